"""HEAT: a mixture of Gaussians, corrected by a small network that is trained against what the mixture makes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.gmm_tied import log_density
from moodbench.scores.machinery.corrected import Corrected
from moodbench.scores.machinery.energy_network import SeededDraws
from moodbench.scores.machinery.gaussian import ClassGaussians, class_gaussians
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums, Moment, NegativeShare, SecondMoment
from moodbench.scores.machinery.unit import exact_unit_features, unit_rows


@SCORES.register("heat")
@dataclass
class HEAT(Corrected):
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

    The paper composes three such scores: this one, one of the spatial standard deviations of the last map, and one that
    corrects the logits' energy (`heat_el`). The second is this score of another view (``extract --layers NAME --pool
    std``, ``score --model MODEL@layer-NAME-std --score heat``), `heat_sum` all three together. Differences from the
    program: directions in which ID train does not vary are left out where it adds 1e-12 to the covariance; negative
    entries are allowed in Langevin dynamics where features have some.

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
    called = "heat"

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
        recipe = self.recipe(step=1e-4, noise=5e-3, positive=negative == 0, penalty=10.0, sphere=True)
        mixture = Mixture(self.classes_, self.temperature)
        self.network_ = self.trained(train, mixture, recipe, lambda: unit_rows(sample.features.double()), train.dim)

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

    @property
    def device(self) -> torch.device:
        """Where rows live."""
        return self.means.device

    def slope(self, rows: Tensor) -> Tensor:
        """Return the gradient of -log p / T by rows (n, D), (n, D)."""
        ways = rows - self.centre
        belongs = torch.softmax(product(ways, self._pulls, self._terms), dim=1)
        return product(ways, self._precision).sub_(product(belongs, self._pulls.T)).div_(self._temperature)

    def proposals(self, count: int, draws: SeededDraws) -> Tensor:
        """Return rows of the mixture, (count, D)."""
        classes = draws.classes(self.shares, count)
        return self.rows(classes, draws.normal(torch.Size((count, len(self.centre)))))

    def rows(self, classes: Tensor, noise: Tensor) -> Tensor:
        """Return rows of some classes (n,), with standard normal noise (n, D), (n, D)."""
        return torch.addmm(self._places.index_select(0, classes), noise, self._root)
