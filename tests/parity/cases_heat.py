"""The plain definition of HEAT, trained by autograd and torch's Adam."""

from __future__ import annotations

import numpy as np
import torch

from tests.parity.case import Case


def _unit(rows):
    return np.array([x / np.linalg.norm(x) for x in rows])


SHORT = {"hidden": 16, "steps": 3, "epochs": 4, "batch": 5000, "rate": 1e-2}


def heat(w, b, train, labels, rows, hidden, steps, epochs, batch, rate):
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
        return torch.nn.functional.normalize(x.clamp(min=0) if (train >= 0).all() else x, dim=1)

    # rows are not shuffled: with one batch, their order only says which of them has which jitter
    optimizer = torch.optim.Adam(parameters, lr=rate, betas=(0.0, 0.999))
    for epoch in range(epochs):
        if 2 * epoch >= epochs:
            optimizer.param_groups[0]["lr"] = rate / 10
        torch.randperm(n, generator=draw)
        kinds = torch.multinomial(shares, n, replacement=True, generator=draw)
        start = back(means[kinds] + normal(n, dim) @ root)
        x = start
        for t in range(steps):
            x = x.detach().requires_grad_()
            slope = torch.autograd.grad((network(x) + prior(x)).sum(), x)[0]
            part = 0.9 * (1 - t / steps) ** 2 + 0.1
            x = back(x.detach() - 1e-4 * part * slope - 5e-3 * part * normal(n, dim))
        made = torch.cat([x, start])
        real, made = network(z + 1e-4 * normal(n, dim)), network(made + 1e-4 * normal(2 * n, dim))
        loss = real.mean() - made.mean() + 10 * (real.square().mean() + made.square().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = torch.from_numpy(_unit(rows))
    return -(prior(x) + network(x)).detach().numpy()


def heat_outside(*args, **params):
    """The same where gradients are switched off around it."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        return heat(*args, **params)


CASES = {
    # which row has which jitter depends on their order, and is a matter of 1e-4 of a gradient
    "heat": Case(heat_outside, tolerance=1e-3, params=SHORT),
}
