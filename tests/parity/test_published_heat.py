"""HEAT's training against the authors' program, step by step, with the same draws (`published_nearest.md`).

Draws come from torch's global generator, in the order in which their program asks for them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from moodbench.scores.heat import Mixture
from moodbench.scores.heat_el import LogitEnergy
from moodbench.scores.machinery.energy_network import EnergyNetwork, Recipe, train_energy
from tests.parity.case import golden_world
from tests.worlds import fit

SETS = ("val", "blend_a", "blend_b")
RECIPE = Recipe(5, 1e-4, 5e-3, positive=True, penalty=10.0, rate=1e-2, epochs=2, batch=256)
HIDDEN = 32


class TheirDraws:
    """What the authors' program draws on ID train rows of unit length, float32."""

    def __init__(self, rows, labels):
        self.means = torch.from_numpy(np.stack([rows[labels == k].mean(axis=0) for k in np.unique(labels)])).float()
        centred = rows - np.stack([rows[labels == k].mean(axis=0) for k in np.unique(labels)])[labels]
        covariance = centred.T @ centred / len(rows) + 1e-12 * np.eye(rows.shape[1])
        self.factor = torch.linalg.cholesky(torch.from_numpy(covariance).float())
        self.shares = torch.bincount(torch.from_numpy(labels)).float()[None] / len(rows)
        torch.manual_seed(0)

    def parameters(self, dim, hidden):
        layers = [torch.nn.Linear(dim, hidden), torch.nn.Linear(hidden, hidden), torch.nn.Linear(hidden, 1)]
        values = [one.detach().double() for layer in layers for one in layer.parameters()]
        values[4] = values[4][0]
        return values

    def batches(self, rows, batch):
        order = torch.randperm(rows)
        return (order[i * batch : (i + 1) * batch] for i in range(rows // batch))

    def proposals(self, count):
        classes = torch.multinomial(self.shares, count, True)[0]
        shape = (count, *self.means.shape)
        noise = torch.normal(torch.zeros(shape), torch.ones(shape))[torch.arange(count), classes]
        rows = self.means[classes] + noise @ self.factor.T
        torch.randn(rows.shape)  # which is overwritten before it is used, as are the next
        torch.FloatTensor(count).uniform_(1, 1)
        torch.FloatTensor(count).uniform_(1, 1)
        return rows.double()

    def normal(self, shape):
        return torch.empty(shape).normal_().double()


class TheirNormalDraws(TheirDraws):
    """The same of the term of the logits, which begins with a standard normal."""

    def __init__(self):
        torch.manual_seed(0)
        self.dim = 0

    def parameters(self, dim, hidden):
        self.dim = dim
        return super().parameters(dim, hidden)

    def proposals(self, count):
        rows = torch.randn(count, self.dim)
        torch.randn(rows.shape)
        torch.FloatTensor(count).uniform_(1, 1)
        torch.FloatTensor(count).uniform_(1, 1)
        return rows.double()


@pytest.fixture
def trained():
    world = golden_world("relu48")
    score = fit(["heat"], world, heat={"epochs": 0})["heat"]
    rows = world.train.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    state = torch.get_rng_state()
    draws = TheirDraws(rows, world.labels)
    network = EnergyNetwork(draws.parameters(rows.shape[1], HIDDEN), 4)
    train_energy(network, torch.from_numpy(rows), Mixture(score.classes_, 1000.0).slope, RECIPE, draws)
    torch.set_rng_state(state)
    score.network_ = network
    return world, score


@pytest.fixture
def trained_on_logits():
    world = golden_world("relu48")
    score = fit(["heat_el"], world, heat_el={"epochs": 0})["heat_el"]
    rows = torch.from_numpy(world.train).double()
    state = torch.get_rng_state()
    draws = TheirNormalDraws()
    network = EnergyNetwork(draws.parameters(rows.shape[1], HIDDEN), 4)
    energy = LogitEnergy(torch.from_numpy(world.weight).double(), torch.from_numpy(world.bias).double(), 1.0)
    recipe = replace(RECIPE, step=0.1, noise=0.1, penalty=0.1, sphere=False)
    train_energy(network, rows, energy.slope, recipe, draws)
    torch.set_rng_state(state)
    score.network_ = network
    return world, score


def published(name):
    with np.load(Path(__file__).with_name("published_nearest.npz")) as arrays:
        return np.concatenate([arrays[f"{name}/{part}"].astype(np.float64) for part in SETS])


def test_every_row_of_the_energy_of_logits_agrees_with_the_authors_program(trained_on_logits):
    world, score = trained_on_logits
    expected = published("heat_el")
    found = np.concatenate([score.score(world.block(world.tests[part])).numpy() for part in SETS])
    rows = np.concatenate([world.tests[part] for part in SETS])
    network = score.network_.energy(torch.from_numpy(rows).double()).numpy()
    assert np.abs(found - expected).max() < 1e-3 * network.std()


def test_every_row_agrees_with_the_authors_program(trained):
    world, score = trained
    expected = published("heat")
    found = np.concatenate([score.score(world.block(world.tests[part])).numpy() for part in SETS])
    network = np.concatenate(
        [score.network_.energy(torch.from_numpy(unit(world.tests[part]))).numpy() for part in SETS]
    )
    off = found - expected
    off -= off.mean()  # of the density we leave a constant out
    assert np.abs(off).max() < 1e-3 * network.std()


def unit(rows):
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
