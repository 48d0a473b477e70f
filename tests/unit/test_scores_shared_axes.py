"""Scores that read their numbers off coordinates that others share, against their plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.cases_distance import ssd
from tests.parity.cases_hybrid import pnml
from tests.worlds import World, fit


@pytest.fixture(params=["full rank", "after a LayerNorm", "ill-conditioned", "mean outside the range"])
def world(request):
    """Features of 10 dimensions with rows to score that leave the range of ID train, if it has one."""
    rng = np.random.default_rng(3)
    train, test = rng.normal(0.4, 1, (300, 10)), rng.normal(0.2, 1.5, (40, 10))
    train, test = (x * np.linspace(0.5, 2, 10) for x in (train, test))
    if request.param == "after a LayerNorm":
        train -= train.mean(axis=1, keepdims=True)
        train, test = (x - 0.3 * x.mean(axis=1, keepdims=True) for x in (train, test))
    elif request.param == "ill-conditioned":
        train[:, 0] = train[:, 1] + 1e-4 * train[:, 0]
    elif request.param == "mean outside the range":
        train /= np.abs(train[:, :1])
        train[:, 0] = 0
        train[:, 0] = np.sqrt((train**2).sum(axis=1)) / 3  # a constant share of the length
    weight, bias = rng.normal(0, 1, (4, 10)).astype(np.float32), rng.normal(0, 0.1, 4).astype(np.float32)
    return request.param, train.astype(np.float32), test.astype(np.float32), weight, bias


@pytest.mark.parametrize(("name", "definition"), [("ssd", ssd), ("pnml", pnml)])
def test_shared_coordinates_give_the_definition(world, name, definition):
    kind, train, test, weight, bias = world
    if name == "ssd" and kind in ("ill-conditioned", "mean outside the range"):
        pytest.skip("what a pseudo-inverse of rounding errors gives is no definition")
    labels = np.arange(len(train)) % 4
    world = World(weight, bias, train, labels, {"test": test})
    score = fit([name], world)[name]
    found = score.score(world.block(test)).double().numpy()
    wanted = definition(weight, bias, train.astype(np.float64), labels, test.astype(np.float64))
    assert np.abs(found - wanted).max() <= 2e-4 * wanted.std()
    shared = score.slanted_ if name == "ssd" else score.leverage_
    assert (shared is not None) == (kind in ("full rank", "after a LayerNorm")), kind
