"""The plain definition of HEAT, trained by autograd and torch's Adam."""

from __future__ import annotations

import numpy as np
import torch

from tests.parity.case import Case
from tests.views import spreads_of


def _unit(rows):
    return np.array([x / np.linalg.norm(x) for x in rows])


SHORT = {"hidden": 16, "steps": 3, "epochs": 4, "batch": 5000, "rate": 1e-2}


def _trained(z, prior, proposals, *, sphere, step, noise, penalty, hidden, steps, epochs, rate):
    """Return the energy of rows: `prior` of them, and a network trained on rows z (n, D)."""
    n, dim = z.shape
    draw = torch.Generator().manual_seed(0)

    def uniform(*shape, inputs):
        values = (2 * torch.rand(shape, generator=draw, dtype=torch.float64) - 1) / inputs**0.5
        return values.clone().requires_grad_()

    def normal(*shape):
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    parameters = [uniform(hidden, dim, inputs=dim), uniform(hidden, inputs=dim)]
    parameters += [uniform(*shape, inputs=hidden) for shape in ((hidden, hidden), (hidden,), (hidden,), (1,))]

    def network(x):
        first, first_bias, inner, inner_bias, last, last_bias = parameters
        x = torch.nn.functional.leaky_relu(x @ first.T + first_bias, 0.2)
        for _ in range(4):
            x = torch.nn.functional.leaky_relu(x @ inner.T + inner_bias, 0.2)
        return x @ last + last_bias

    def back(x):
        x = x.clamp(min=0) if (z >= 0).all() else x
        return torch.nn.functional.normalize(x, dim=1) if sphere else x

    # rows are not shuffled: with one batch, their order only says which of them has which jitter
    optimizer = torch.optim.Adam(parameters, lr=rate, betas=(0.0, 0.999))
    for epoch in range(epochs):
        if 2 * epoch >= epochs:
            optimizer.param_groups[0]["lr"] = rate / 10
        torch.randperm(n, generator=draw)
        start = back(proposals(n, draw))
        x = start
        for t in range(steps):
            x = x.detach().requires_grad_()
            slope = torch.autograd.grad((network(x) + prior(x)).sum(), x)[0]
            part = 0.9 * (1 - t / steps) ** 2 + 0.1
            x = back(x.detach() - step * part * slope - noise * part * normal(n, dim))
        made = torch.cat([x, start])
        real, made = network(z + 1e-4 * normal(n, dim)), network(made + 1e-4 * normal(2 * n, dim))
        loss = real.mean() - made.mean() + penalty * (real.square().mean() + made.square().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lambda x: (prior(x) + network(x)).detach().numpy()


def _of_mixture(train, labels, *, hidden, steps, epochs, batch, rate):
    """Return the energy of unit rows with their mixture before it."""
    z = torch.from_numpy(_unit(train))
    classes = np.unique(labels)
    n, dim = z.shape
    assert n <= batch
    means = torch.stack([z[torch.from_numpy(labels == k)].mean(dim=0) for k in classes])
    shares = torch.tensor([float((labels == k).mean()) for k in classes], dtype=torch.float64)
    centred = z - means[torch.from_numpy(np.searchsorted(classes, labels))]
    values, vectors = torch.linalg.eigh(centred.T @ centred / n)
    kept = values > 1e-10 * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    white, root = vectors / values.sqrt(), (vectors * values.sqrt()) @ vectors.T
    centre = z.mean(dim=0)
    centres = (means - centre) @ white

    def prior(x):
        y = (x - centre) @ white
        squares = y.square().sum(dim=1)[:, None] - 2 * y @ centres.T + centres.square().sum(dim=1)
        return -torch.logsumexp(shares.log() - squares / 2, dim=1) / 1000

    def proposals(count, draw):
        kinds = torch.multinomial(shares, count, replacement=True, generator=draw)
        return means[kinds] + torch.randn(count, dim, generator=draw, dtype=torch.float64) @ root

    numbers = {"sphere": True, "step": 1e-4, "noise": 5e-3, "penalty": 10.0}
    return _trained(z, prior, proposals, **numbers, hidden=hidden, steps=steps, epochs=epochs, rate=rate)


def heat(w, b, train, labels, rows, **params):
    return -_of_mixture(train, labels, **params)(torch.from_numpy(_unit(rows)))


def _of_logits(w, b, train, *, hidden, steps, epochs, batch, rate):
    """Return the energy of rows with that of their logits before it."""
    weight, bias = torch.from_numpy(w), torch.from_numpy(b)
    assert len(train) <= batch

    def prior(x):
        return -torch.logsumexp(x @ weight.T + bias, dim=1)

    def proposals(count, draw):
        return torch.randn(count, weight.shape[1], generator=draw, dtype=torch.float64)

    numbers = {"sphere": False, "step": 0.1, "noise": 0.1, "penalty": 0.1}
    z = torch.from_numpy(train)
    return _trained(z, prior, proposals, **numbers, hidden=hidden, steps=steps, epochs=epochs, rate=rate)


def heat_el(w, b, train, labels, rows, **params):
    return -_of_logits(w, b, train, **params)(torch.from_numpy(rows))


def heat_sum(w, b, train, labels, rows, steps, steps_std, beta, **params):
    (known, found) = (next(iter(spreads_of(x.astype(np.float32)).values())).astype(np.float64) for x in (train, rows))
    terms = [
        (_of_mixture(train, labels, steps=steps, **params), _unit(train), _unit(rows)),
        (_of_mixture(known, labels, steps=steps_std, **params), _unit(known), _unit(found)),
        (_of_logits(w, b, train, steps=steps, **params), train, rows),
    ]
    energies = []
    for energy, inside, tested in terms:
        own = energy(torch.from_numpy(inside))
        energies.append((energy(torch.from_numpy(tested)) - own.mean()) / own.std())
    # -log(mean(exp(beta e))) / beta, which the exponential alone is too large for
    return -(np.logaddexp.reduce(beta * np.array(energies)) - np.log(len(energies))) / beta


def outside(definition):
    """Return the same where gradients are switched off around it."""

    def run(*args, **params):
        with torch.inference_mode(mode=False), torch.enable_grad():
            return definition(*args, **params)

    return run


CASES = {
    # which row has which jitter depends on their order, and is a matter of 1e-4 of a gradient
    "heat": Case(outside(heat), tolerance=1e-3, params=SHORT),
    "heat_el": Case(outside(heat_el), tolerance=1e-3, params=SHORT),
    "heat_sum": Case(outside(heat_sum), tolerance=1e-3, params=SHORT | {"steps_std": 1, "beta": 0.5}),
}
