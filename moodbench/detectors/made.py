"""Classes with the habits of scikit-learn, made from the scores: one place per score stays true."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from moodbench.detectors.estimator import ScoreDetector, created
from moodbench.errors import UnknownNameError, UsageError
from moodbench.scores.base import BESIDE, SCORES, Score, display_order
from moodbench.types import TEXTS

COMMON: Mapping[str, Any] = {"device": "auto", "threads": None}
"""Parameters that every class has besides those of its score."""

EXAMPLE = """
Examples
--------
>>> from moodbench.detectors import {name}, example
>>> train, labels, head, unseen, far = example()
>>> detector = {name}().fit(train, labels, head=head)
>>> detector.score_samples(far).shape
(40,)
>>> set(detector.calibrate(unseen).predict(far).tolist()) <= {{-1, 1}}
True
"""


def class_names() -> dict[str, str]:
    """Return class name → score, of all scores on one vector of an image, in the order in which they are shown.

    Those that want texts besides the head are not among them; `class_of` makes theirs, too.
    """
    return {SCORES.get(name).__name__: name for name in display_order(SCORES) if not _reads_more(SCORES.get(name))}


def _reads_more(score: type[Score]) -> bool:
    return bool(score.needs & {*BESIDE, "stream", *TEXTS})


def stub() -> str:
    """Return what type checkers read of `moodbench.detectors`, where no class is written down."""
    lines = [
        '"""The classes of `moodbench.detectors` for type checkers, made by `make docs`; do not edit."""',
        "",
        "from moodbench.detectors.estimator import ScoreDetector as ScoreDetector",
        "from moodbench.detectors.made import class_of as of",
        "from moodbench.detectors.sample import example as example",
        "",
        '__all__ = ["ScoreDetector", "example", "of"]',
    ]
    for title, score in class_names().items():
        own = SCORES.get(score)
        typed = {f.name: f.type for f in dataclasses.fields(own) if f.init} if own.parameters() else {}  # type: ignore[arg-type]
        given = [f"{name}: {typed[name]} = ..." for name in own.parameters()]
        given += ["device: str = ...", "threads: int | None = ..."]
        inside = ",\n        ".join(["self", "*", *given])
        lines += ["", f"class {title}(ScoreDetector):", f"    def __init__(\n        {inside},\n    ) -> None: ..."]
    return "\n".join(lines) + "\n"


@cache
def class_of(score: str) -> type[ScoreDetector]:
    """Return the class of a score, which may be one of somebody's own.

    Raises
    ------
    UnknownNameError
        There is no such score.
    UsageError
        It reads layers or changed images, which are in caches, or a stream of images.
    """
    own = SCORES.get(score)
    if own.needs & BESIDE:
        raise UsageError(
            f"the score '{score}' reads more than one vector of an image, and arrays hold one",
            fix=f"it runs over caches: moodbench extract and moodbench score, or moodbench.score(score='{score}')",
        )
    if own.is_transductive():
        raise UsageError(
            f"the score '{score}' is transductive: its number of an image depends on the others that are tested, and a "
            "detector judges each by itself",
            fix=f"moodbench score --score {score} tests it on a benchmark",
        )
    defaults = {**own.parameters(), **COMMON}

    def make(self: Any, *unnamed: Any, **given: Any) -> None:
        if unnamed:
            called = f"{own.__name__}({', '.join(f'{name}=…' for name in list(defaults)[: len(unnamed)])})"
            raise UsageError(f"parameters of {own.__name__} are given by name", fix=f"as in {called}")
        unknown = [name for name in given if name not in defaults]
        if unknown:
            raise UnknownNameError(f"parameter of {own.__name__}", unknown[0], defaults, plural="parameters of it")
        for name, value in {**defaults, **given}.items():
            setattr(self, name, value)
        created(own.__name__, score, {name: getattr(self, name) for name in own.parameters()})  # refused before the fit

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value) for name, value in defaults.items()
    ]
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    make.__signature__ = inspect.Signature([itself, *parameters])  # type: ignore[attr-defined]
    described = inspect.cleandoc(own.__doc__ or own.title) + "\n" + EXAMPLE.format(name=own.__name__)
    members = {"__init__": make, "__doc__": described, "__module__": "moodbench.detectors", "score_": score}
    return type(own.__name__, (ScoreDetector,), members)
