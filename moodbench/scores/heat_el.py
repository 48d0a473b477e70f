"""HEAT's term of the logits: their energy, corrected by a small network that reads the features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.corrected import Corrected
from moodbench.scores.machinery.energy_network import SeededDraws
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.statistics import NegativeShare


@SCORES.register("heat_el")
@dataclass
class HEATEnergy(Corrected):
    """``log sum_k exp(l_k) / T - e(x)``: the negative energy of the logits l, less that of a network e of the features.

    The network is trained so that e is low where ID train lies and high where Langevin dynamics lead, which begin with
    standard normal rows and go down the energy of the head and of the network.

    Parameters
    ----------
    temperature : float, default=1
        T, as in the authors' program for CIFAR; 500 for ImageNet.
    hidden : int, default=128
        Width of the network. Theirs is 1024.
    layers : int, default=4
        Inner layers, all with the same weights, as in the program.
    steps : int, default=10
        Of Langevin dynamics. They take 50 for CIFAR-10, 200 for CIFAR-100, 40 for ImageNet.
    epochs : int, default=10
        Rounds over the sample, in the second half of which updates are a tenth as large. They take 20 for CIFAR-10.
    batch : int, default=128
        Rows of an update. Theirs is 256.
    rate : float, default=0.0002
        Of Adam. Theirs is 0.00001, for the wider network and more updates.
    rows : int, default=5000
        The network is trained on a random sample of so many ID train rows.
    seed : int, default=0
        Of the sample, the network's first weights, and all draws of the training.

    Attributes
    ----------
    network_ : EnergyNetwork
        e.

    Notes
    -----
    Cost of the fit: for each row of the sample and each epoch, about `steps` (2 H D + 2 `layers` H² + 4 C D)
    multiplications, whatever the number of ID train rows: about a minute on two cores with D = 768 and C = 100. Sizes
    of steps and noise (0.1) and the weight of squared energies in the loss (0.1) are those of the program for CIFAR-10;
    width and length of the training are ours.

    Features are taken as they are, where `heat` divides them by their length: the standard normal rows know nothing of
    their scale, as in the program. Negative entries are allowed in Langevin dynamics where features have some; the
    program, whose features follow a ReLU, allows none.

    References
    ----------
    Lafon et al., Hybrid Energy Based Model in the Feature Space for Out-of-Distribution Detection, ICML 2023,
    arXiv 2305.16966. Reference code: MarcLafon/heatood, heat/ebm/hybridenergy.py, heat/ebm/losses.py and
    heat/scorers/energy_logits_scorer.py, with heat/config/ebm/heat_el_c10.yaml.
    """

    title = "HEAT (energy)"
    family = "feature+logit"
    needs = frozenset({"logits", "head"})
    paper = "Lafon et al., ICML 2023, arXiv 2305.16966"
    year = 2023
    called = "heat_el"

    temperature: float = 1.0

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        assert train.bias is not None
        sample: Rows
        negative: float
        sample, negative = yield Sample(self.rows, seed=self.seed), NegativeShare()
        recipe = self.recipe(step=0.1, noise=0.1, positive=negative == 0, penalty=0.1, sphere=False)
        energy = LogitEnergy(train.weight.double(), train.bias.double(), self.temperature)
        self.network_ = self.trained(train, energy, recipe, lambda: sample.features.double(), train.dim)

    def score(self, block: Block) -> Tensor:
        return block.log_sum_exp.double() / self.temperature - self.network_.energy(block.features.double())


class LogitEnergy:
    """``-log sum_k exp(w_k x + b_k) / T`` of a head (C, D) and (C,), as what makes no rows of its own, float64."""

    def __init__(self, weight: Tensor, bias: Tensor, temperature: float) -> None:
        self.weight, self.bias = weight, bias
        self._temperature = temperature

    @property
    def device(self) -> torch.device:
        """Where rows live."""
        return self.weight.device

    def slope(self, rows: Tensor) -> Tensor:
        """Return its gradient by rows (n, D), (n, D)."""
        belongs = torch.softmax(product(rows, self.weight.T, self.bias), dim=1)
        return product(belongs, self.weight).div_(-self._temperature)

    def proposals(self, count: int, draws: SeededDraws) -> Tensor:
        """Return standard normal rows, (count, D)."""
        return draws.normal(torch.Size((count, self.weight.shape[1])))
