"""MoCo v1 and v2: training checkpoints, of which the encoder of the queries is taken.

The names below ``encoder_q.`` are torchvision's and timm's. Its last layer projects into the space of the contrastive
loss: what it is called (``fc``) makes a classifier of it for whoever loads it as it is. The result has none.

References
----------
facebookresearch/moco, ``moco/builder.py`` (``encoder_q``, ``encoder_k``, ``queue``) and ``main_lincls.py``.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from moodbench.models.formats.base import FORMATS, Format, State, without

ENCODER = "encoder_q."
PROJECTOR = ("fc.", "head.")


class MocoFormat(Format):
    """Takes the encoder out of a training file, without its projection."""

    def matches(self, keys: Collection[str], architecture: str | None) -> bool:
        """An encoder of queries."""
        return any(key.startswith(ENCODER) for key in keys)

    def convert(self, state: State, network: nn.Module) -> State:
        """Return the tensors of that encoder."""
        encoder = {name.removeprefix(ENCODER): t for name, t in state.items() if name.startswith(ENCODER)}
        return without(encoder, PROJECTOR)


FORMATS.register("moco")(MocoFormat())
