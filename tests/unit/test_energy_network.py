"""The energy network of HEAT: its gradients, its optimiser, and the rows that it is trained against."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moodbench.errors import UsageError
from moodbench.scores.base import create_score
from moodbench.scores.heat import Mixture, SeededDraws
from moodbench.scores.machinery.energy_network import EnergyNetwork, Recipe, langevin
from tests.worlds import fit, make_world

WORLD = make_world(5)


def fitted(world=WORLD, **params):
    return fit(["heat"], world, heat={"hidden": 16, "epochs": 3} | params)["heat"]


@pytest.fixture(scope="module")
def score():
    return fitted()


@pytest.fixture
def network(score):
    draws = SeededDraws(Mixture(score.classes_, 1000.0), 1)
    return EnergyNetwork(draws.parameters(24, 16), 3)


def plain(parameters, rows):
    first, first_bias, inner, inner_bias, last, last_bias = parameters
    x = torch.nn.functional.leaky_relu(rows @ first.T + first_bias, 0.2)
    for _ in range(3):
        x = torch.nn.functional.leaky_relu(x @ inner.T + inner_bias, 0.2)
    return x @ last + last_bias


def test_gradients_are_those_of_autograd(network):
    rows = torch.randn(30, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    parameters = [one.clone().requires_grad_() for one in network.parameters]
    energies = plain(parameters, rows)
    torch.testing.assert_close(network.energy(rows.detach()), energies.detach())
    by_rows = torch.autograd.grad(energies.sum(), rows, retain_graph=True)[0]
    torch.testing.assert_close(network.by_rows(rows.detach()), by_rows)
    by_parameters = torch.autograd.grad((energies + 3 * energies.square()).mean(), parameters)
    found = network.by_parameters(rows.detach(), lambda e: (1 + 6 * e) / len(e))
    for mine, theirs in zip(found, by_parameters, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_updates_are_those_of_adam_without_momentum(network):
    parameters = [one.clone().requires_grad_() for one in network.parameters]
    adam = torch.optim.Adam(parameters, lr=1e-2, betas=(0.0, 0.999))
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        gradients = [torch.randn(one.shape, dtype=torch.float64, generator=generator) for one in parameters]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        adam.step()
        network.update(gradients, 1e-2)
    for mine, theirs in zip(network.parameters, parameters, strict=True):
        torch.testing.assert_close(mine, theirs.detach())


def test_the_slope_of_a_mixture_is_the_gradient_of_its_density(score):
    mixture = Mixture(score.classes_, 1000.0)
    rows = mixture.rows(torch.tensor([0, 1, 2]), torch.zeros(3, 24, dtype=torch.float64)).requires_grad_()
    white = (rows - mixture.centre) @ mixture.basis
    squares = (white[:, None] - mixture.means).square().sum(dim=2)
    energy = -torch.logsumexp(mixture.shares.log() - squares / 2, dim=1) / 1000
    torch.testing.assert_close(mixture.slope(rows.detach()), torch.autograd.grad(energy.sum(), rows)[0])


def test_rows_of_a_mixture_have_its_mean_and_covariance(score):
    mixture = Mixture(score.classes_, 1000.0)
    made = SeededDraws(mixture, 0).proposals(40_000)
    unit = torch.from_numpy(WORLD.train).double()
    unit = unit / unit.norm(dim=1, keepdim=True)
    torch.testing.assert_close(made.mean(dim=0), unit.mean(dim=0), atol=5e-3, rtol=0)
    torch.testing.assert_close(torch.cov(made.T), torch.cov(unit.T), atol=5e-3, rtol=0)


@pytest.mark.parametrize("positive", [True, False])
def test_langevin_dynamics_stay_where_features_are(score, network, positive):
    mixture = Mixture(score.classes_, 1000.0)
    draws = SeededDraws(mixture, 0)
    recipe = Recipe(4, 1e-4, 5e-3, positive=positive, penalty=10.0, rate=1e-3, epochs=1, batch=8)
    rows = langevin(network, draws.proposals(50), mixture.slope, recipe, draws)
    assert rows.shape == (100, 24)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(100, dtype=torch.float64))
    assert bool((rows >= 0).all()) is positive
    assert not torch.equal(rows[:50], rows[50:])


def test_training_raises_the_energy_of_what_does_not_belong():
    """Where a mixture is wrong (a class that is a ring), the network tells the ring from its middle."""
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 600)
    ring = np.stack([np.cos(angles), np.sin(angles), np.full(600, 1.0)], axis=1).astype(np.float32)
    world = WORLD.with_(train=ring, labels=np.zeros(600, np.int64), weight=None, bias=None)
    middle = np.array([[0.0, 0.0, 1.0], [0.1, -0.1, 1.0]], np.float32)
    trained, untrained = (
        fitted(world, hidden=32, epochs=epochs, rate=1e-2, rows=600, layers=2, steps=3) for epochs in (60, 0)
    )

    def gap(score):
        inside, outside = (score.score(world.block(rows)) for rows in (ring[:50], middle))
        return float(inside.mean() - outside.mean())

    assert gap(trained) > gap(untrained) + 0.01


def test_fewer_rows_than_a_batch_are_one_batch():
    few = WORLD.with_(train=WORLD.train[:20], labels=WORLD.labels[:20])
    assert np.isfinite(fitted(few).score(few.block(few.tests["test"])).numpy()).all()


@pytest.mark.parametrize(
    "params", [{"hidden": 0}, {"batch": 0}, {"rows": 0}, {"steps": -1}, {"temperature": 0.0}, {"rate": -1.0}]
)
def test_parameters_that_make_no_sense_are_refused(params):
    with pytest.raises(UsageError):
        create_score("heat", params)
