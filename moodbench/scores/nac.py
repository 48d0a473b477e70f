"""NAC over several layers: how common the state of each neuron of each layer is on ID train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bins import Bins
from moodbench.scores.machinery.layered import of_view
from moodbench.scores.machinery.viewing import OnView, lacking_view
from moodbench.scores.nac_last import NACLast, StateCounts, States, coverage_of, interval_edges, mean_coverage
from moodbench.views import CHANGED


class GivenStates(States):
    """States that are cached, all but the sigmoid."""

    def of(self, block: Block) -> Tensor:
        """Return the interval of every neuron's state, counted through all neurons, (B, D) int64."""
        states = block.features * self.steepness
        return self.bins.of(states) + torch.arange(states.shape[1], device=states.device) * self.intervals


@dataclass(frozen=True)
class Covered:
    """A layer: its states, the rows of every interval, and how many fill one."""

    states: States
    coverage: Tensor
    full: float


@SCORES.register("nac")
@dataclass
class NAC(OnView):
    """``mean over layers l, and over the neurons j of l, of min(n_lj(s_lj) / max(share · N, 1), 1)``.

    n_lj(s) are the ID train rows whose state is in the same interval as s. The state of a neuron is
    sigmoid(steepness · z_j g_j): z its output, g the gradient of KL(u || p) with respect to it, both summed over the
    places of a map (``extract --view nac``). The features count as one more layer, as in `nac_last`, whose parameters
    are those of the paper for it.

    Parameters
    ----------
    view : str, default="nac"
        All cached views that begin so; one of them: ``nac-blocks.3``.
    steepness : float, default=1
        Of the layers.
    points : int, default=500
        Bounds of the layers' intervals, M in the authors' configuration.
    share : float, default=0.001
        Share of the counted rows that fills an interval, for O = 50 of 50,000 rows.
    each : str, default=""
        Others for single layers: ``layer3=300/50/0.5+layer2=0.01/500/0.05`` (steepness, points, share).
    rows : int, default=50000
        About so many ID train rows are counted, chosen at random; all where there are fewer.
    seed : int, default=0
        Of that choice.

    Attributes
    ----------
    last_ : NACLast
        The features' layer.
    layers_ : dict of str to Covered
        The others.

    Notes
    -----
    The authors choose layers and their parameters on OOD validation sets, and those differ by powers of ten:
    the defaults are theirs for block 11 of a ViT-B; ``each`` takes others.

    References
    ----------
    Liu et al., Neuron Activation Coverage: Rethinking Out-of-distribution Detection and Generalization, ICLR 2024,
    arXiv 2306.02879. Reference code: BierOne/ood_coverage, openood/postprocessors/nac.
    """

    title = "NAC"
    family = "feature+logit"
    needs = frozenset({"logits", "head", "views"})
    paper = "Liu et al., ICLR 2024, arXiv 2306.02879"
    year = 2024

    view: str = "nac"
    steepness: float = 1.0
    points: int = 500
    share: float = 0.001
    each: str = ""
    rows: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        self._check(self.steepness, self.points, self.share)
        self._each()

    def _check(self, steepness: float, points: float, share: float) -> None:
        if steepness <= 0 or points < 4 or not 0 < share <= 1 or self.rows < 1:
            raise UsageError(
                "'nac' needs steepness > 0, points >= 4, share in (0, 1] and rows >= 1, got "
                f"steepness={steepness}, points={points}, share={share} and rows={self.rows}"
            )

    def _each(self) -> dict[str, tuple[float, int, float]]:
        found = {}
        for part in filter(None, self.each.split("+")):
            layer, _, text = part.partition("=")
            try:
                steepness, points, share = text.split("/")
                found[layer] = (float(steepness), int(points), float(share))
            except ValueError:
                raise UsageError(
                    f"'{part}' does not give steepness, points and share of a layer", fix="each=blocks.3=1/500/0.001"
                ) from None
            self._check(*found[layer])
        return found

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the caches of states that begin with `view`."""
        wanted = CHANGED + self.view
        found = tuple(name for name in cached if name == wanted or name.startswith(f"{wanted}-"))
        if not found:
            raise ScoreError(lacking_view(self.view, cached))
        return found

    def fit(self, train: Train) -> Fit:
        share = min(1.0, self.rows / train.rows)
        views = self.views_among(list(train.views))
        each = self._each()
        if unknown := [layer for layer in each if f"{CHANGED}nac-{layer}" not in views]:
            raise ScoreError(lacking_view(f"nac-{unknown[0]}", views))
        self.last_ = NACLast(rows=self.rows, seed=self.seed)
        yield from self.last_.fit(train)
        usual = (self.steepness, self.points, self.share)
        wanted = {}
        for view in views:
            steepness, points, _ = each.get(view.removeprefix(f"{CHANGED}nac-"), usual)
            edges = Bins(interval_edges(points).float().to(train.device))
            wanted[view] = GivenStates(torch.empty(0), steepness, edges)
        counts = yield tuple(of_view(view, StateCounts(one, share, self.seed)) for view, one in wanted.items())
        self.layers_: dict[str, Covered] = {}
        for (view, states), its in zip(wanted.items(), counts, strict=True):
            part = each.get(view.removeprefix(f"{CHANGED}nac-"), usual)[2]
            full = max(part * (int(its.sum()) // train.views[view]), 1.0)
            self.layers_[view] = Covered(states, coverage_of(its, full), full)

    def score(self, block: Block) -> Tensor:
        found = [self.last_.score(block)]
        for view, one in self.layers_.items():
            found.append(mean_coverage(one.states.of(block.views[view]), one.coverage, one.full))
        return torch.stack(found).mean(dim=0)
