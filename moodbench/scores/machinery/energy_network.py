"""A small network that gives rows an energy, trained against rows that a density makes: contrastive divergence.

Everything is float64 and written out, forwards and backwards: a fit neither depends on the order of additions nor
leaves a graph behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

LEAK = 0.2
"""Slope of the activation below zero."""

DECAY = 0.999
"""Of the mean square of gradients, in Adam; their mean itself is not kept."""

TINY = 1e-8

LAST = 0.1
"""Part of the first step and the first noise that is left in the last."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    steps : int
        Of Langevin dynamics.
    step, noise : float
        What the first of them multiplies the gradient and the noise with.
    positive : bool
        Rows have no negative entries, so steps may not make any.
    jitter : float
        Standard deviation of the noise on all rows that the network is shown.
    sphere : bool
        Rows are of unit length, so steps lead back there.
    penalty : float
        Weight of squared energies.
    rate : float
        Of Adam; a tenth of it in the second half.
    epochs, batch : int
    """

    steps: int
    step: float
    noise: float
    positive: bool
    penalty: float
    rate: float
    epochs: int
    batch: int
    jitter: float = 1e-4
    sphere: bool = True


class Draws(Protocol):
    """Where all chance comes from."""

    def parameters(self, dim: int, hidden: int) -> list[Tensor]:
        """Return first values of weights and biases: (H, D), (H,), (H, H), (H,), (H,), (1,)."""

    def batches(self, rows: int, batch: int) -> Iterator[Tensor]:
        """Yield the places of the rows of each batch of an epoch."""

    def proposals(self, count: int) -> Tensor:
        """Return rows that the density makes, (count, D)."""

    def normal(self, shape: torch.Size) -> Tensor:
        """Return numbers of a standard normal distribution."""


class EnergyNetwork:
    """``u^T h_n + d`` with h_0 = a(W z + b), h_i = a(V h_(i-1) + c), a the leaky ReLU: all inner layers are the same.

    Parameters
    ----------
    parameters : list of tensors
        W (H, D), b (H,), V (H, H), c (H,), u (H,), d (1,), float64.
    layers : int
        n.
    """

    def __init__(self, parameters: list[Tensor], layers: int) -> None:
        self.parameters, self.layers = parameters, layers
        self._squares = [torch.zeros_like(one) for one in parameters]
        self._updates = 0

    def energy(self, rows: Tensor) -> Tensor:
        """Return the energy of rows (n, D), (n,)."""
        return self._hidden(rows)[-1] @ self.parameters[4] + self.parameters[5]

    def by_rows(self, rows: Tensor) -> Tensor:
        """Return the gradient of each row's energy by the row, (n, D)."""
        hidden = self._hidden(rows)
        gradient = self.parameters[4] * _slopes(hidden[-1])
        for below in reversed(hidden[:-1]):
            gradient = (gradient @ self.parameters[2]).mul_(_slopes(below))
        return gradient @ self.parameters[0]

    def by_parameters(self, rows: Tensor, weigh: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Return the gradient of a function of energies, whose own derivative by them `weigh` gives, (n,) → (n,)."""
        hidden = self._hidden(rows)
        weights = weigh(hidden[-1] @ self.parameters[4] + self.parameters[5])
        inner, inner_bias = torch.zeros_like(self.parameters[2]), torch.zeros_like(self.parameters[3])
        gradient = torch.outer(weights, self.parameters[4]).mul_(_slopes(hidden[-1]))
        for below in reversed(hidden[:-1]):
            inner.addmm_(gradient.T, below)
            inner_bias += gradient.sum(dim=0)
            gradient = (gradient @ self.parameters[2]).mul_(_slopes(below))
        outer = [hidden[-1].T @ weights, weights.sum()[None]]
        return [gradient.T @ rows, gradient.sum(dim=0), inner, inner_bias, *outer]

    def update(self, gradients: list[Tensor], rate: float) -> None:
        """Take a step of Adam without momentum."""
        self._updates += 1
        whole = 1 - DECAY**self._updates
        for parameter, square, gradient in zip(self.parameters, self._squares, gradients, strict=True):
            square.mul_(DECAY).addcmul_(gradient, gradient, value=1 - DECAY)
            parameter.addcdiv_(gradient, (square / whole).sqrt_().add_(TINY), value=-rate)

    def _hidden(self, rows: Tensor) -> list[Tensor]:
        hidden = [_activated(torch.addmm(self.parameters[1], rows, self.parameters[0].T))]
        for _ in range(self.layers):
            hidden.append(_activated(torch.addmm(self.parameters[3], hidden[-1], self.parameters[2].T)))
        return hidden


def _activated(values: Tensor) -> Tensor:
    return torch.nn.functional.leaky_relu_(values, LEAK)


def _slopes(activated: Tensor) -> Tensor:
    return torch.where(activated > 0, 1.0, LEAK)


def train_energy(
    network: EnergyNetwork, rows: Tensor, slope: Callable[[Tensor], Tensor], recipe: Recipe, draws: Draws
) -> None:
    """Lower the energy of rows, and raise that of the rows that are made.

    Rows are proposed by a density and moved by Langevin dynamics down the energy of density and network together; those
    before and after count alike. The loss is the difference of the mean energies, and `penalty` times the sum of the
    mean squares.

    Parameters
    ----------
    network : EnergyNetwork
        Is changed.
    rows : (n, D) float64
        Of unit length where the recipe has a sphere.
    slope : callable
        The gradient of the density's energy by rows, (m, D) → (m, D).
    recipe : Recipe
    draws : Draws
    """
    for epoch in range(recipe.epochs):
        rate = recipe.rate if 2 * epoch < recipe.epochs else recipe.rate / 10
        for places in draws.batches(len(rows), recipe.batch):
            real = rows.index_select(0, places)
            made = langevin(network, draws.proposals(len(real)), slope, recipe, draws)
            real = real + recipe.jitter * draws.normal(real.shape)
            made = made + recipe.jitter * draws.normal(made.shape)
            down = network.by_parameters(real, _pull(1.0, recipe.penalty))
            up = network.by_parameters(made, _pull(-1.0, recipe.penalty))
            network.update([a + b for a, b in zip(down, up, strict=True)], rate)


def _pull(direction: float, penalty: float) -> Callable[[Tensor], Tensor]:
    return lambda energies: (direction + 2 * penalty * energies) / len(energies)


def langevin(
    network: EnergyNetwork, start: Tensor, slope: Callable[[Tensor], Tensor], recipe: Recipe, draws: Draws
) -> Tensor:
    """Return rows after some steps of Langevin dynamics, and behind them those that they began with."""
    start = _back(start, recipe)
    rows = start
    for number in range(recipe.steps):
        part = LAST + (1 - LAST) * (1 - number / recipe.steps) ** 2
        way = recipe.step * part * (network.by_rows(rows) + slope(rows))
        rows = _back(rows - way - recipe.noise * part * draws.normal(rows.shape), recipe)
    return torch.cat([rows, start])


def _back(rows: Tensor, recipe: Recipe) -> Tensor:
    """Return rows brought back to where features are: without negative entries, of unit length, as the recipe says."""
    rows = rows.clamp_min(0.0) if recipe.positive else rows
    return torch.nn.functional.normalize(rows, dim=1) if recipe.sphere else rows


class Density(Protocol):
    """What a network corrects."""

    @property
    def device(self) -> torch.device:
        """Where its rows live."""

    def slope(self, rows: Tensor) -> Tensor:
        """Return the gradient of its energy by rows (n, D), (n, D)."""

    def proposals(self, count: int, draws: SeededDraws) -> Tensor:
        """Return the rows that Langevin dynamics begin with, (count, D)."""


class SeededDraws:
    """All chance of a training, from torch's CPU generator."""

    def __init__(self, density: Density, seed: int) -> None:
        self._density, self._device = density, density.device
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
        """Return rows as the density proposes them, (count, D)."""
        return self._density.proposals(count, self)

    def classes(self, shares: Tensor, count: int) -> Tensor:
        """Return `count` numbers of classes that have these shares (K,)."""
        found = torch.multinomial(shares.cpu(), count, replacement=True, generator=self._generator)
        return found.to(self._device)

    def normal(self, shape: torch.Size) -> Tensor:
        """Return numbers of a standard normal distribution."""
        return torch.randn(shape, generator=self._generator, dtype=torch.float64).to(self._device)

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self._generator, dtype=torch.float64).to(self._device)
