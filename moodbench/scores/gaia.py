"""GAIA: gradients at the normalisation layers of a network that are not as they are for ID images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES
from moodbench.scores.block import Block
from moodbench.scores.machinery.viewing import OnView


@SCORES.register("gaia_a")
@dataclass
class GAIAA(OnView):
    """``-sum_l a_l``: minus the channel-wise average abnormality of every layer l, the numbers of ``--view gaia_a``.

    Parameters
    ----------
    view : str, default="gaia_a"
        The cached view.

    Notes
    -----
    What the numbers are, and of which layers, is the view's: see `moodbench.models.recipes.gaia` and docs/views.md.

    References
    ----------
    Chen et al., GAIA: Delving into Gradient-based Attribution Abnormality for Out-of-distribution Detection,
    NeurIPS 2023, arXiv 2311.09620. Reference code: JGEthanChen/GAIA-OOD, cal_method.py, cal_grad_value.
    """

    title = "GAIA-A"
    family = "feature+logit"
    needs = frozenset({"views"})
    paper = "Chen et al., NeurIPS 2023, arXiv 2311.09620"
    year = 2023

    view: str = "gaia_a"

    def score(self, block: Block) -> Tensor:
        return -block.views[self.view_read(list(block.views))].features.double().sum(dim=1)


@SCORES.register("gaia_z")
@dataclass
class GAIAZ(GAIAA):
    """``-sum_l z_l``: minus the zero-deflation abnormality of every layer l, the numbers of ``--view gaia_z``.

    Parameters
    ----------
    view : str, default="gaia_z"
        The cached view.

    Notes
    -----
    What the numbers are, and of which layers, is the view's: see `moodbench.models.recipes.gaia` and docs/views.md.

    References
    ----------
    Chen et al., GAIA: Delving into Gradient-based Attribution Abnormality for Out-of-distribution Detection,
    NeurIPS 2023, arXiv 2311.09620. Reference code: JGEthanChen/GAIA-OOD, cal_method.py, cal_zero.
    """

    title = "GAIA-Z"

    view: str = "gaia_z"
