"""Monte Carlo dropout: what several passes with dropout agree on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES
from moodbench.scores.block import Block
from moodbench.scores.machinery.mixture import mixture_confidence, mixture_information
from moodbench.scores.machinery.viewing import OnView
from moodbench.views import CHANGED


class _OverPasses(OnView):
    """A score that reads all cached passes with dropout side by side."""

    needs: ClassVar = frozenset({"logits", "views"})
    paper = "Gal and Ghahramani, ICML 2016, arXiv 1506.02142"
    year = 2016

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the passes: the views that begin with `view`."""
        wanted = CHANGED + self.view
        found = tuple(name for name in cached if name == wanted or name.startswith(f"{wanted}-"))
        if len(found) < 2:
            what = "only one view" if found else "no view"
            how = "extract --view dropout --view dropout:seed=1"
            raise ScoreError(f"{what} '{self.view}', and it compares several ({how})")
        rates = {name.removeprefix(f"{CHANGED}dropout-").partition("-")[0] for name in found}
        if len(rates) > 1 and self.view == "dropout":
            several = ", ".join(sorted(f"dropout-{rate}" for rate in rates))
            raise ScoreError(f"views 'dropout' of several rates, and the parameter view names none: {several}")
        return found

    def probabilities(self, block: Block) -> Tensor:
        """Return the softmax of each pass, (passes, B, C) float64."""
        names = self.views_among(list(block.views))
        logits = torch.stack([block.views[name].logits for name in names])
        return torch.softmax(logits.double(), dim=-1)

    @abstractmethod
    def score(self, block: Block) -> Tensor: ...


@SCORES.register("mc_dropout")
@dataclass
class MCDropout(_OverPasses):
    """``max_k mean_t softmax(l_t)_k`` over several passes t with dropout.

    Parameters
    ----------
    view : str, default="dropout"
        What the names of the passes begin with; with the rate (``dropout-0.1``) where there are several. Each is a
        view: ``--view dropout:seed=0 --view dropout:seed=1``, ….

    References
    ----------
    Gal and Ghahramani, Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning, ICML 2016,
    arXiv 1506.02142. The published number of passes is 10 to 100.
    """

    title = "MC dropout"
    family = "probability"

    view: str = "dropout"

    def score(self, block: Block) -> Tensor:
        return mixture_confidence(self.probabilities(block))


@SCORES.register("mc_dropout_mi")
@dataclass
class MCDropoutInformation(_OverPasses):
    """``mean_t H(p_t) - H(mean_t p_t)``: minus the mutual information of class and pass, p_t = softmax(l_t).

    Parameters
    ----------
    view : str, default="dropout"
        What the names of the passes begin with; with the rate (``dropout-0.1``) where there are several. Each is a
        view: ``--view dropout:seed=0 --view dropout:seed=1``, ….

    References
    ----------
    Gal and Ghahramani, Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning, ICML 2016,
    arXiv 1506.02142; the mutual information is that of Houlsby et al., arXiv 1112.5745.
    """

    title = "MC dropout (information)"
    family = "probability"

    view: str = "dropout"

    def score(self, block: Block) -> Tensor:
        return mixture_information(self.probabilities(block))
