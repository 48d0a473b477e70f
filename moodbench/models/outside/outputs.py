"""Exported networks: which of the outputs of a file are features and logits, and the head that leads from one to other.

An export shows no layers, only outputs by name or number. Features are the one that is called so, or that the user
names (``--features NAME``). The head is looked for among the file's own arrays: a matrix and a bias that make its
logits of its features are its classifier, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError, UsageError
from moodbench.models.features import PRE_LOGITS
from moodbench.models.head import NO_HEAD, as_vectors, head_of
from moodbench.models.outside.head_input import TOLERANCE
from moodbench.types import Head

FEATURES = ("features", "feature", "embeddings", "embedding", "image_embeds", "pooler_output")
"""What outputs with features are called, if nobody says otherwise."""

LOGITS = ("logits", "logit")


@dataclass(frozen=True)
class NamedOutputs:
    """Reads features and logits off what an exported network returns.

    Attributes
    ----------
    features : str
    logits : str or None
    """

    features: str
    logits: str | None

    def __call__(self, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return (B, D) features and (B, C) logits of (B, 3, H, W) images."""
        found = by_name(network(images))
        return as_vectors(found[self.features]), None if self.logits is None else as_vectors(found[self.logits])


def by_name(output: Any) -> dict[str, Tensor]:
    """Return the tensors among what a network returns: by their keys, fields, or numbers from 0."""
    if isinstance(output, Tensor):
        return {"0": output}
    if isinstance(output, Mapping):
        parts = {str(key): value for key, value in output.items()}
    elif hasattr(output, "_fields"):
        parts = dict(zip(output._fields, output, strict=True))
    else:
        parts = {str(i): value for i, value in enumerate(output if isinstance(output, (tuple, list)) else ())}
    return {name: value for name, value in parts.items() if isinstance(value, Tensor)}


def chosen(found: Mapping[str, Tensor], spec: ModelSpec, count: int) -> NamedOutputs:
    """Return which outputs are features and logits.

    Parameters
    ----------
    found : mapping
        The outputs for `count` pictures.
    spec : ModelSpec
        Its `features` names an output, unless it is the usual word for what a classifier reads.

    Raises
    ------
    ModelError
        It cannot be told.
    UsageError
        There is no output of that name.
    """
    usable = {name: as_vectors(one) for name, one in found.items()}
    usable = {name: one for name, one in usable.items() if one.ndim == 2 and len(one) == count}
    said = ", ".join(f"{name} {tuple(one.shape)}" for name, one in found.items()) or "nothing"
    if spec.features != PRE_LOGITS:
        if spec.features not in usable:
            raise UsageError(
                f"'{spec.name}' has no output '{spec.features}' with one row a picture; of {count} it makes {said}",
                fix=f"--features {' or '.join(usable)}" if usable else "export one",
            )
        features = spec.features
    else:
        named = [name for name in FEATURES if name in usable]
        if not named:
            unsaid = [name for name in usable if name not in LOGITS]
            raise ModelError(
                f"it cannot be told which output of '{spec.name}' are features: of {count} pictures it makes {said}",
                fix=_advice(unsaid, alone=len(usable) == 1),
            )
        features = named[0]
    others = [name for name in usable if name != features]
    logits = next((name for name in LOGITS if name in others), others[0] if len(others) == 1 else None)
    return NamedOutputs(features, logits)


def _advice(unsaid: list[str], *, alone: bool) -> str:
    """Return what to do where no output is called features; a single one without a name may as well be logits."""
    anew = "export it again, with what its classifier reads as an output 'features'"
    if not unsaid:
        return anew
    if alone:
        return f"if these are logits: {anew}; if they are features: --features {unsaid[0]}"
    return f"say it: --features {' or '.join(unsaid)}"


def find_matrix(arrays: Mapping[str, Tensor], features: Tensor, logits: Tensor) -> Head | None:
    """Return the matrix and bias among `arrays` that make `logits` (B, C) of `features` (B, D); None without any."""
    wide, classes = features.shape[1], logits.shape[1]
    allowed = TOLERANCE * float(logits.abs().max())
    biases = [one for one in arrays.values() if tuple(one.shape) == (classes,)]
    for one in arrays.values():
        shapes = [one, one.T] if one.ndim == 2 else []
        for weight in (shape.float() for shape in shapes if tuple(shape.shape) == (classes, wide)):
            product = features.float() @ weight.T
            for bias in [None, *biases]:
                answer = product if bias is None else product + bias.float()
                if float((answer - logits).abs().max()) <= allowed:
                    return head_of(weight, None if bias is None else bias.float())
    return None


def own_head(
    spec: ModelSpec, arrays: Mapping[str, Tensor], compute: NamedOutputs, network: nn.Module, images: Tensor
) -> Head | None:
    """Return the head of an exported network; None where it has no logits, or none is wanted.

    Raises
    ------
    ModelError
        It has logits, and no matrix in it makes them of its features.
    """
    if spec.head.kind != "own" or compute.logits is None:
        return None
    with torch.no_grad():
        features, logits = compute(network, images)
    assert logits is not None
    head = find_matrix(arrays, features, logits)
    if head is None:
        raise ModelError(
            f"no matrix in '{spec.name}' makes its output '{compute.logits}' of its output '{compute.features}'",
            fix=f"give the head as a file (--head-file FILE), name other features (--features NAME), or {NO_HEAD}",
        )
    return head


def side_of(spec: ModelSpec, native: int | None = None) -> int:
    """Return the side of the pictures that an exported network is shown.

    Raises
    ------
    ModelError
        Neither the file nor the user says it.
    """
    said = spec.image.get("size") or native
    if not said:
        raise ModelError(
            f"'{spec.name}' does not say how large its pictures are", fix="--image-size 224, as in training"
        )
    return int(said)
