"""HEAT as the paper composes it: of features, of spatial standard deviations, and of the logits' energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.heat import HEAT
from moodbench.scores.heat_el import HEATEnergy
from moodbench.scores.machinery.corrected import Corrected
from moodbench.scores.machinery.gaussian import joined_notes
from moodbench.scores.machinery.layered import fit_each, notes_of, of_view, train_of
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import Statistic
from moodbench.views import LayerView


@SCORES.register("heat_sum")
@dataclass
class HEATSum(Score):
    """``-1 / beta log mean_i exp(beta E_i)``, and ``-mean_i E_i`` for beta = 0, over three energies i.

    E_i are minus `heat` of the features, minus `heat` of the last map's standard deviations, and minus `heat_el`, each
    less its mean over ID train rows and divided by their standard deviation.

    Parameters
    ----------
    beta : float, default=0
        Large values let the term decide that is least like ID train, small ones (below 0) that which is most like it.
    layer : str, default=""
        Whose standard deviations are read (``extract --layers NAME --pool std``). Empty: those of the last layer that
        is cached so, and the results name it.
    steps : int, default=10
        Of Langevin dynamics of features and logits; 40 and 50 in the authors' program for CIFAR-10.
    steps_std : int, default=1
        Of standard deviations, as in the program for CIFAR-10.
    hidden, epochs, batch : int, default=128, 10, 128
        As in `heat`, for all three.
    rate : float, default=0.0002
    rows : int, default=5000
        Of the samples that the networks are trained on, and means and standard deviations are taken over.
    seed : int, default=0
        Of the samples, the networks' first weights, and all draws of their training.

    Attributes
    ----------
    view_ : str
        The cache of the standard deviations.
    terms_ : dict of str to Corrected
        ``features``, ``std`` and ``logits``.
    means_, spreads_ : (3,) float64
        Of these scores on ID train.

    Notes
    -----
    Without a layer pooled by ``std`` this is left out: a sum of two terms would be another score (`heat` and `heat_el`
    are there by themselves). Cost of the fit: three trainings as `heat` has one; features and logits share theirs with
    `heat` and `heat_el` where these run along.

    The program takes mean and standard deviation of the first 256 ID train rows, and the sum instead of the mean, which
    orders rows alike.

    References
    ----------
    Lafon et al., Hybrid Energy Based Model in the Feature Space for Out-of-Distribution Detection, ICML 2023,
    arXiv 2305.16966. Reference code: MarcLafon/heatood, heat/scorers/combine_scorer.py.
    """

    title = "HEAT (sum)"
    family = "feature+logit"
    needs = frozenset({"logits", "head", "labels", "layers"})
    paper = "Lafon et al., ICML 2023, arXiv 2305.16966"
    year = 2023
    cost = "sample"

    made_by = "--layers all --pool std"

    beta: float = 0.0
    layer: str = ""
    steps: int = 10
    steps_std: int = 1
    hidden: int = 128
    epochs: int = 10
    batch: int = 128
    rate: float = 2e-4
    rows: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        least = min(self.steps, self.steps_std, self.epochs)
        if min(self.hidden, self.batch, self.rows) < 1 or least < 0 or self.rate <= 0:
            raise UsageError(
                "'heat_sum' needs hidden, batch and rows >= 1, steps, steps_std and epochs >= 0 and rate > 0"
            )

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return the cache of the standard deviations that it reads."""
        there = {name: view.layer for name in cached if (view := LayerView.parse(name)) and view.pool == "std"}
        found = [name for name, layer in there.items() if self.layer in ("", layer)]
        if not there:
            raise ScoreError("no layer pooled by std (extract --layers all --pool std)")
        if not found:
            raise ScoreError(f"no layer '{self.layer}' pooled by std; cached: {', '.join(there.values())}")
        return (found[-1],)

    def fit(self, train: Train) -> Fit:
        (self.view_,) = self.views_among(list(train.views))

        def of(kind: type[Corrected], steps: int) -> Corrected:
            same = {name: getattr(self, name) for name in ("hidden", "epochs", "batch", "rate", "rows", "seed")}
            return kind(steps=steps, **same)

        def seen(name: str, statistic: Statistic[object]) -> Statistic[object]:
            return of_view(self.view_, statistic) if name == "std" else statistic

        self.terms_: dict[str, Corrected] = {
            "features": of(HEAT, self.steps),
            "std": of(HEAT, self.steps_std),
            "logits": of(HEATEnergy, self.steps),
        }
        inside = train_of(train, self.view_)
        yield from fit_each(
            {name: term.fit(inside if name == "std" else train) for name, term in self.terms_.items()}, seen
        )
        samples: list[Rows] = yield tuple(seen(name, Sample(self.rows, seed=self.seed)) for name in self.terms_)
        columns = []
        for (name, term), sample in zip(self.terms_.items(), samples, strict=True):
            logits = None
            if name == "logits":
                assert train.weight is not None
                assert train.bias is not None
                logits = torch.addmm(train.bias, sample.features, train.weight.T)
            columns.append(term.score(Block(sample.features, logits)).double())
        self.means_ = torch.stack([column.mean() for column in columns])
        spreads = torch.stack([column.std(correction=0) for column in columns])
        self.spreads_ = torch.where(spreads > 0, spreads, 1.0)
        layer = LayerView.parse(self.view_)
        assert layer is not None
        notes = notes_of({name: self.terms_[name].note_ for name in ("features", "std")})
        self.note_ = joined_notes(f"std of {layer.layer}", notes)

    def score(self, block: Block) -> Tensor:
        rows = {"std": block.views[self.view_]}
        columns = [term.score(rows.get(name, block)).double() for name, term in self.terms_.items()]
        energies = (self.means_ - torch.stack(columns, dim=1)) / self.spreads_
        if self.beta == 0:
            return -energies.mean(dim=1)
        shift = torch.tensor(len(columns), dtype=energies.dtype, device=energies.device).log()
        return -(torch.logsumexp(self.beta * energies, dim=1) - shift) / self.beta
