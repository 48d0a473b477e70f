"""Scores of a density, or of another energy, that a small network corrects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import ClassVar

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import Cost, Score, Train
from moodbench.scores.machinery.energy_network import Density, EnergyNetwork, Recipe, SeededDraws, train_energy


@dataclass
class Corrected(Score):
    """A score with an energy network that is trained on a sample of the ID train rows.

    Parameters
    ----------
    temperature : float
        Divides the energy that is corrected.
    hidden : int
        Width of the network.
    layers : int
        Inner layers, all with the same weights.
    steps : int
        Of Langevin dynamics.
    epochs, batch : int
        Rounds over the sample, and rows of an update.
    rate : float
        Of Adam.
    rows : int
        Size of the sample.
    seed : int
    """

    cost: ClassVar[Cost] = "sample"
    called: ClassVar[str]

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
        least = min(self.layers, self.steps, self.epochs)
        if min(self.hidden, self.batch, self.rows) < 1 or least < 0 or not (self.temperature > 0 and self.rate > 0):
            raise UsageError(
                f"'{self.called}' needs hidden, batch and rows >= 1, layers, steps and epochs >= 0, temperature and "
                "rate > 0"
            )

    def recipe(self, *, step: float, noise: float, positive: bool, penalty: float, sphere: bool) -> Recipe:
        """Return how the network is trained, with these numbers of the dynamics and of the loss."""
        return Recipe(
            self.steps,
            step,
            noise,
            positive,
            penalty=penalty,
            rate=self.rate,
            epochs=self.epochs,
            batch=self.batch,
            sphere=sphere,
        )

    def trained(
        self, train: Train, density: Density, recipe: Recipe, rows: Callable[[], Tensor], dim: int
    ) -> EnergyNetwork:
        """Return the network, trained on rows (n, D) float64; scores that ask for the same one share it."""

        def build() -> EnergyNetwork:
            draws = SeededDraws(density, self.seed)
            network = EnergyNetwork(draws.parameters(dim, self.hidden), self.layers)
            train_energy(network, rows(), density.slope, recipe, draws)
            return network

        return train.shared((self.called, *astuple(self)), build)
