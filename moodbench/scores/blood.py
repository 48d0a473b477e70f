"""BLOOD: how smooth the maps from each layer to the next are at an image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES
from moodbench.scores.block import Block
from moodbench.scores.machinery.viewing import OnView


@SCORES.register("blood")
@dataclass
class BLOOD(OnView):
    """``-mean over layers l of || J_l ||_F^2``, J_l the Jacobian of layer l + 1 with respect to layer l, at the image.

    Parameters
    ----------
    view : str, default="blood"
        The cached view, with its numbers (``blood-10``) where there are several.
    maps : str, default="mean"
        ``mean`` over all maps, the paper's BLOOD_M; ``last``: the last alone, its BLOOD_L.

    Notes
    -----
    Nothing is learned from ID train. What is cached are the squared norms, which need the network; see
    `moodbench.models.recipes.blood`.

    References
    ----------
    Jelenić et al., Out-of-Distribution Detection by Leveraging Between-Layer Transformation Smoothness, ICLR 2024,
    arXiv 2310.02832. Reference code: fjelenic/between-layer-ood.
    """

    title = "BLOOD"
    family = "feature"
    paper = "Jelenić et al., ICLR 2024, arXiv 2310.02832"
    year = 2024

    view: str = "blood"
    maps: str = "mean"

    def __post_init__(self) -> None:
        if self.maps not in ("mean", "last"):
            raise UsageError(f"the parameter maps of 'blood' is mean or last, got '{self.maps}'")

    def score(self, block: Block) -> Tensor:
        squares = block.views[self.view_read(list(block.views))].features.double()
        return -(squares.mean(dim=1) if self.maps == "mean" else squares[:, -1])
