"""NNGuide: the energy, guided by the most similar confident ID train rows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import bank_of
from moodbench.scores.machinery.similar import MostSimilar
from moodbench.scores.machinery.statistics import Mean, UnitMean


@SCORES.register("nnguide")
@dataclass
class NNGuide(Score):
    """``E(x) · mean of the K largest z · z_i E(x_i)``, z unit features and E the energy, over all ID train rows x_i.

    Parameters
    ----------
    k : int, default=10
        K, as in the authors' configuration. With fewer ID train rows, all of them.

    Attributes
    ----------
    bank_ : Bank
        All ID train rows, which the scores that need them walk over together.

    Notes
    -----
    The whole of ID train is the bank. The product means something for positive energies only: where a row's energy is
    negative, similar neighbours lower its score.

    References
    ----------
    Park et al., Nearest Neighbor Guidance for Out-of-Distribution Detection, ICCV 2023, arXiv 2309.14888.
    Reference code: roomo7time/nnguide, ood_detectors/nnguide.py. (OpenOOD takes K = 100 of the first 1 % of the rows.)
    """

    title = "NNGuide"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Park et al., ICCV 2023, arXiv 2309.14888"
    year = 2023
    cost = "memory bank"
    sweep = {"k": (1, 10, 50, 100)}

    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"the number of neighbours must be at least 1, got {self.k}")

    def fit(self, train: Train) -> Fit:
        negative: float
        mean: Tensor
        negative, mean = yield Mean("energy_is_negative", lambda block: (block.log_sum_exp < 0).float()), UnitMean()
        if negative > 0:
            self.note_ = f"{100 * negative:.3g} % of ID train has negative energies, which turn the score around"
        self.bank_ = bank_of(train, mean)
        self._place = self.bank_.join(lambda block: MostSimilar(self.k, self.bank_, block, _energies))

    def score(self, block: Block) -> Tensor:
        return self.bank_.of(self._place, block).mean(dim=1) * block.log_sum_exp


def _energies(stored: Block) -> Tensor:
    return stored.log_sum_exp
