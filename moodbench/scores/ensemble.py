"""Deep ensembles: what several networks agree on that know the same classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Need, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.mixture import mixture_confidence, mixture_information
from moodbench.sizes import many
from moodbench.views import MEMBER, RUN


class OverMembers(Score):
    """A score that reads the logits of other models beside those of the model itself."""

    needs: ClassVar[frozenset[Need]] = frozenset({"logits", "members"})
    paper = "Lakshminarayanan et al., NeurIPS 2017, arXiv 1612.01474"
    year = 2017

    members: str
    refused_: Mapping[str, str] = MappingProxyType({})

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the other members."""
        if self.members == "runs":
            found = tuple(name for name in cached if name.startswith(RUN))
            if not found:
                raise ScoreError("no other training run of the model (members names others)")
            return found
        named = list(dict.fromkeys(self.members.split()))
        lacking = [name for name in named if MEMBER + name not in cached]
        if not named:
            raise ScoreError("no member is named")
        if lacking:
            why = [self.refused_[MEMBER + name] for name in lacking if MEMBER + name in self.refused_]
            lacks = f"no member {', '.join(lacking)} with the same images and classes"
            raise ScoreError("; ".join(dict.fromkeys(why)) or lacks)
        return tuple(MEMBER + name for name in named)

    def fit(self, train: Train) -> Fit:
        yield from ()
        others = self.views_among(train.cached_views or list(train.views))
        kind = "training run" if self.members == "runs" else "member"
        names = ", ".join(name.removeprefix(RUN).removeprefix(MEMBER) for name in others)
        self.note_ = f"{many(len(others) + 1, kind)} of equal weight: the model and {names}"

    def probabilities(self, block: Block) -> Tensor:
        """Return the softmax of each member, (members, B, C) float64; the model itself first."""
        others = [block.views[name].logits for name in self.views_among(list(block.views))]
        return torch.softmax(torch.stack([block.logits, *others]).double(), dim=-1)

    @abstractmethod
    def score(self, block: Block) -> Tensor: ...


@SCORES.register("ensemble")
@dataclass
class Ensemble(OverMembers):
    """``max_k mean_m softmax(l_m)_k`` over the members m: MSP of the mean prediction of several networks.

    Parameters
    ----------
    members : str, default="runs"
        Besides the model itself. ``runs``: the other training runs of its recipe (``runs`` in the catalogue) that are
        cached. Or names of models with blanks between them: ``--param "ensemble.members=net_b net_c"``.

    Notes
    -----
    Every member has caches of the same images, and a head of the same classes. Probabilities are averaged, as in the
    paper; OpenOOD's ``ensemble`` averages logits. The number stands in the row of the model that was scored, whose ID
    accuracy is that of the model alone; of training runs it is the same in the row of each, but for rounding.

    References
    ----------
    Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS 2017,
    arXiv 1612.01474, which also trains its members on adversarial examples.
    """

    title = "Ensemble"
    family = "probability"

    members: str = "runs"

    def score(self, block: Block) -> Tensor:
        return mixture_confidence(self.probabilities(block))


@SCORES.register("ensemble_mi")
@dataclass
class EnsembleInformation(OverMembers):
    """``mean_m H(p_m) - H(mean_m p_m)``: minus the mutual information of class and member, p_m = softmax(l_m).

    Parameters
    ----------
    members : str, default="runs"
        Besides the model itself. ``runs``: the other training runs of its recipe (``runs`` in the catalogue) that are
        cached. Or names of models with blanks between them: ``--param "ensemble_mi.members=net_b net_c"``.

    References
    ----------
    Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS 2017,
    arXiv 1612.01474, where disagreement is the sum of the divergences KL(p_m || mean), which is M times as much.
    """

    title = "Ensemble (information)"
    family = "probability"

    members: str = "runs"

    def score(self, block: Block) -> Tensor:
        return mixture_information(self.probabilities(block))
