"""RankFeat: the energy of images whose maps have lost their rank-1 part."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES
from moodbench.scores.block import Block
from moodbench.scores.machinery.viewing import OnView


@SCORES.register("rankfeat")
@dataclass
class RankFeat(OnView):
    """``log sum_k exp(l'_k)``: `energy` of the logits l' that follow from the maps which ``--view rankfeat`` changes.

    Parameters
    ----------
    view : str, default="rankfeat"
        The cached view, with its layers (``rankfeat-published``) where there are several.

    Notes
    -----
    Which layers' maps are changed, and how, is the view's: see `moodbench.models.recipes.rankfeat` and docs/views.md.

    References
    ----------
    Song et al., RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection, NeurIPS 2022, arXiv 2209.08590.
    Reference code: KingJamesSong/RankFeat, test_ood_resnetv2.py, iterate_data_rankfeat.
    """

    title = "RankFeat"
    family = "logit"
    needs = frozenset({"logits", "views"})
    paper = "Song et al., NeurIPS 2022, arXiv 2209.08590"
    year = 2022

    view: str = "rankfeat"

    def score(self, block: Block) -> Tensor:
        return block.views[self.view_read(list(block.views))].log_sum_exp
