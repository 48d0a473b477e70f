"""The words of options that take one of a fixed few, and how any other word is refused.

They are kept here, not beside the code that acts on them, because the command line shows and completes them before
anything heavy is imported. Sets that grow (scores, table formats, models, …) are registries and catalogues instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal, get_args

from moodbench.errors import UsageError

Layout = Literal["grid", "datasets", "all", "paper", "classes", "depth"]
"""Of tables: pretext tasks × scores, every OOD dataset side by side, both, the two tables of the MOODv2 paper, every
class of the OOD datasets, or scores × layers of each model."""

Axis = Literal["score", "model", "dataset"]
"""What the rows or the columns of a table are."""

Positive = Literal["id", "ood"]
"""The class that counts as positive in FPR95."""

By = Literal["pair", "model", "score"]
"""What is ranked: pairs of model and score, models by the mean over scores, or scores by the mean over models."""

RankMetric = Literal["auroc", "fpr95"]
"""Metrics for which the error of a difference is known."""

Precision = Literal["fp32", "bf16", "fp16"]
"""Of the network; features and logits are float32 always."""

OnError = Literal["stop", "skip"]
"""What to do about an image that cannot be decoded."""

Decoder = Literal["exact", "fast"]
"""``fast``: JPEGs are decoded smaller where at least twice the needed size is left, and torch resizes, not Pillow."""

CropMode = Literal["center", "squash", "border"]
"""How a picture becomes a square: its middle; all of it, squeezed; all of it, with borders."""

Pool = Literal["model", "cls", "mean", "std"]
"""How the output of a layer becomes one vector: as the model pools its last one, the class token, or the mean or the
standard deviation over the patches or the map."""

EngineName = Literal["local", "ray"]
"""Where work is done: in this process, or in those of a Ray cluster."""

Interpolation = Literal["bilinear", "bicubic", "nearest", "lanczos", "hamming", "box"]
"""The filter that resizes pictures."""

Link = Literal["hard", "symbolic"]
"""How a dataset's folder refers to images that lie elsewhere."""

Needs = Literal[
    "logits", "head", "labels", "layers", "views", "negatives", "negated", "noise", "members", "stream", "nothing"
]
"""What a score may need besides features: cached logits, the linear head, labels of the ID train rows, other vectors of
the images, texts that came with the head, other models, the other test images in an order; or none."""

PretextTask = Literal[
    "classification",
    "contrastive",
    "self-distillation",
    "masked image modeling",
    "multimodal",
    "hybrid",
    "unspecified",
]
"""The pretext tasks with a place of their own in tables and plots, in that order; others may be named, and follow."""

MOST_PRETEXT = 60
"""Characters of the name of a pretext task, which heads columns."""


def check_choice(name: str, value: object, choice: Any) -> None:
    """Raise a `UsageError` unless `value` is one of the words of `choice`, a ``Literal``.

    `name` is what the caller calls the option: ``--layout`` or ``layout``.
    """
    allowed = get_args(choice)
    if value not in allowed:
        raise wrong_choice(name, value, allowed)


def check_choices(name: str, values: Iterable[object], choice: Any) -> None:
    """The same for several values of a repeatable option."""
    for value in values:
        check_choice(name, value, choice)


def pretext_fault(value: str) -> str | None:
    """Return why a text cannot name a pretext task, and None if it can.

    Any text can but one that is nearly a known one: that model would stand in a column group of its own by mistake.
    """
    known = get_args(PretextTask)
    if not value.strip() or len(value) > MOST_PRETEXT or not value.isprintable():
        return f"which is no text of one line and at most {MOST_PRETEXT} characters"
    near = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.85)
    return f"which is nearly '{near[0]}'; write that, or something else" if near and value not in known else None


def wrong_choice(name: str, value: object, allowed: tuple[str, ...]) -> UsageError:
    """Return the refusal of `value`, with the nearest of the `allowed` words."""
    near = difflib.get_close_matches(str(value).lower(), allowed, n=1, cutoff=0.6)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UsageError(f"{name} cannot be '{value}'.{hint}", fix=f"use one of: {', '.join(allowed)}")
