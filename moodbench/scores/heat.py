"""HEAT: a mixture of Gaussians, corrected by a small network that is trained against what the mixture makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.gmm_tied import log_density
from moodbench.scores.machinery.energy_network import EnergyNetwork, Recipe, train_energy
from moodbench.scores.machinery.gaussian import ClassGaussians, class_gaussians
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums, Moment, NegativeShare, SecondMoment
from moodbench.scores.machinery.unit import exact_unit_features, unit_rows


@SCORES.register("heat")
@dataclass
class HEAT(Score):
    """``log p(z) / T - e(z)`` with z = x / ||x||, p the tied mixture of `gmm_tied` fitted to the z, and e a network.

    The network learns to correct the mixture: it is trained so that its energy e is low where ID train lies and high
    where the mixture, and Langevin dynamics down the energy of both, put rows that do not belong there.

    Parameters
    ----------
    temperature : float, default=1000
        T, as in the authors' program for CIFAR.
    hidden : int, default=128
        Width of the network. Theirs is 1024.
    layers : int, default=4
        Inner layers, all with the same weights, as in the program.
    steps : int, default=10
        Of Langevin dynamics. They take 40 for CIFAR-10, 20 for CIFAR-100.
    epochs : int, default=10
        Rounds over the sample, in the second half of which updates are a tenth as large. They take 20.
    batch : int, default=128
        Rows of an update. Theirs is 1024.
    rate : float, default=0.0002
        Of Adam. Theirs is 0.00001, for the wider network and more updates.
    rows : int, default=5000
        The network is trained on a random sample of so many ID train rows; the mixture is that of all rows.
    seed : int, default=0
        Of the sample, the network's first weights, and all draws of the training.

    Attributes
    ----------
    classes_ : ClassGaussians
        The K classes that have rows.
    log_shares_ : (K,) float32 or float64
        The logarithms of their shares.
    network_ : EnergyNetwork
        e.

    Notes
    -----
    Cost of the fit: for each row of the sample and each epoch, about `steps` (2 H D + 2 `layers` H² + D² + 2 K D)
    multiplications, whatever the number of ID train rows: 6e11 with the defaults for D = 768 and K = 100 classes, about
    a minute on two cores. With the authors' values for CIFAR-10, on all of it, they are 4e14. The defaults, a narrower
    network and a shorter training, are ours; the steps and the loss are theirs.

    The paper sums three such scores, each standardised on ID train: this one, one of the spatial standard deviations of
    the last map, and one that corrects the logits' energy. The second is this score of another view (``extract --layers
    NAME --pool std``, ``score --model MODEL@layer-NAME-std --score heat``; the program has ``steps=1`` for it); the
    third and the sum are not here. Differences from the program: directions in which ID train does not vary are left
    out where it adds 1e-12 to the covariance; negative entries are allowed in Langevin dynamics where features have
    some.

    References
    ----------
    Lafon et al., Hybrid Energy Based Model in the Feature Space for Out-of-Distribution Detection, ICML 2023,
    arXiv 2305.16966. Reference code: MarcLafon/heatood, heat/ebm/hybridenergy.py, heat/ebm/losses.py and
    heat/scorers/ssd_scorer.py, with heat/config/ebm/heat_gmm_c10.yaml.
    """

    title = "HEAT"
    family = "feature"
    needs = frozenset({"labels"})
    paper = "Lafon et al., ICML 2023, arXiv 2305.16966"
    year = 2023
    cost = "sample"

    temperature: float = 1000.0
    hidden: int = 128
    layers: int = 4
    steps: int = 10
    epochs: int = 10
    batch: int = 128
    rate: float = 2e-4
    rows: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("hidden", "batch", "rows")}
        least = min(self.layers, self.steps, self.epochs)
        if min(counts.values()) < 1 or least < 0 or not (self.temperature > 0 and self.rate > 0):
            raise UsageError(
                "'heat' needs hidden, batch and rows >= 1, layers, steps and epochs >= 0, temperature and rate > 0"
            )

    def fit(self, train: Train) -> Fit:
        moment: Moment
        sums: GroupSums
        sample: Rows
        negative: float
        moment, sums, sample, negative = yield (
            SecondMoment(unit=True),
            FeatureSumsByLabel(train.label_classes, unit=True),
            Sample(self.rows, seed=self.seed),
            NegativeShare(),
        )
        self.classes_ = class_gaussians(train, moment, sums, unit=True)
        self.log_shares_ = (self.classes_.counts / moment.count).log().to(self.classes_.means.dtype)
        self.note_ = self.classes_.note
        mixture = Mixture(self.classes_, self.temperature)
        draws = SeededDraws(mixture, self.seed)
        self.network_ = EnergyNetwork(draws.parameters(train.dim, self.hidden), self.layers)
        recipe = Recipe(
            self.steps, 1e-4, 5e-3, negative == 0, penalty=10.0, rate=self.rate, epochs=self.epochs, batch=self.batch
        )
        train_energy(self.network_, unit_rows(sample.features.double()), mixture.slope, recipe, draws)

    def score(self, block: Block) -> Tensor:
        prior = log_density(self.classes_, self.log_shares_, block) / self.temperature
        return prior - self.network_.energy(exact_unit_features(block))


class Mixture:
    """A tied mixture as what makes rows and draws them back, float64."""

    def __init__(self, classes: ClassGaussians, temperature: float) -> None:
        white = classes.whitener
        axes = white.axes
        self.centre, self.basis, self.means = axes.centre, white.basis, classes.means.double()
        self.shares = classes.counts / classes.counts.sum()
        self._terms = self.shares.log() - self.means.square().sum(dim=1) / 2
        self._pulls = self.basis @ self.means.T
        self._precision = self.basis @ self.basis.T
        self._temperature = temperature
        directions = axes.vectors[:, white.kept]
        spread = directions * axes.values[white.kept].sqrt()
        self._places = self.centre + self.means @ spread.T
        self._root = spread @ directions.T  # the root that does not depend on the signs of eigenvectors

    def slope(self, rows: Tensor) -> Tensor:
        """Return the gradient of -log p / T by rows (n, D), (n, D)."""
        ways = rows - self.centre
        belongs = torch.softmax(torch.addmm(self._terms, ways, self._pulls), dim=1)
        return (ways @ self._precision).sub_(belongs @ self._pulls.T).div_(self._temperature)

    def rows(self, classes: Tensor, noise: Tensor) -> Tensor:
        """Return rows of some classes (n,), with standard normal noise (n, D), (n, D)."""
        return torch.addmm(self._places.index_select(0, classes), noise, self._root)


class SeededDraws:
    """All chance of a training, from torch's CPU generator."""

    def __init__(self, mixture: Mixture, seed: int) -> None:
        self._mixture = mixture
        self._device = mixture.means.device
        self._generator = torch.Generator().manual_seed(seed)

    def parameters(self, dim: int, hidden: int) -> list[Tensor]:
        """Return weights and biases, uniform up to one over the root of the number of inputs, as torch's layers."""
        sizes: list[tuple[tuple[int, ...], int]] = [((hidden, dim), dim), ((hidden,), dim)]
        sizes += [((hidden, hidden), hidden), ((hidden,), hidden), ((hidden,), hidden), ((1,), hidden)]
        return [(2 * self._uniform(shape) - 1) / inputs**0.5 for shape, inputs in sizes]

    def batches(self, rows: int, batch: int) -> Iterator[Tensor]:
        """Yield batches of equal size; what is left over of the rows comes in another epoch."""
        order = torch.randperm(rows, generator=self._generator).to(self._device)
        batch = min(batch, rows)
        return iter(torch.split(order[: rows // batch * batch], batch))

    def proposals(self, count: int) -> Tensor:
        """Return rows of the mixture, (count, D)."""
        shares = self._mixture.shares.cpu()
        classes = torch.multinomial(shares, count, replacement=True, generator=self._generator).to(self._device)
        return self._mixture.rows(classes, self.normal(torch.Size((count, len(self._mixture.centre)))))

    def normal(self, shape: torch.Size) -> Tensor:
        """Return numbers of a standard normal distribution."""
        return torch.randn(shape, generator=self._generator, dtype=torch.float64).to(self._device)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self._generator, dtype=torch.float64).to(self._device)
