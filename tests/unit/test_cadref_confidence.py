"""CADRef where the confidence that it divides by is small or negative."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from moodbench.scores.block import Block
from tests.worlds import fit, make_world


@pytest.fixture(scope="module")
def world():
    return make_world(5)


@pytest.fixture(params=["energy", "max_logit"])
def cadref(request, world):
    return fit(["cadref"], world, cadref={"confidence": request.param})["cadref"]


def shifted_to(confidence, score, block):
    """The rows with logits moved so that each has this confidence, in parts of the mean of ID train."""
    logits = block.logits - block.logits.max(dim=1, keepdim=True).values
    if score.confidence == "energy":
        logits = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    return score.score(Block(block.features, logits + confidence * score.confidence_)).double().numpy()


def test_no_score_explodes(cadref, world):
    block = world.block(world.tests["ood"])
    usual = shifted_to(1.0, cadref, block)
    for confidence in (1e-4, 0.0, -1.0, -1e6):
        assert (shifted_to(confidence, cadref, block) >= 100 * usual - 1e-6).all()


def test_more_confidence_never_lowers_a_score(cadref, world):
    block = world.block(world.tests["ood"])
    found = [shifted_to(s, cadref, block) for s in (-50.0, -1.0, -1e-3, 0.0, 1e-3, 0.02, 0.5, 1.0, 3.0)]
    assert all((low <= high + 1e-6 * abs(high)).all() for low, high in pairwise(found))


def test_more_distance_always_lowers_it(cadref, world):
    block = world.block(world.tests["test"])
    below = shifted_to(-1.0, cadref, block)
    further = Block(block.features + 0.5 * (block.features - cadref.means_[block.predicted]), block.logits)
    size = further.features.abs().sum(dim=1) / block.features.abs().sum(dim=1)
    assert (shifted_to(-1.0, cadref, further) * size.numpy() < below).all()


def test_other_rows_are_as_in_the_paper(cadref, world):
    block = world.block(world.tests["ood"])
    logits = block.logits - block.logits.max(dim=1, keepdim=True).values + 0.02 * cadref.confidence_
    if cadref.confidence == "energy":
        logits = logits - torch.logsumexp(logits, dim=1, keepdim=True) + 0.02 * cadref.confidence_
    block = Block(block.features, logits)
    s = torch.logsumexp(logits.double(), 1) if cadref.confidence == "energy" else logits.double().amax(1)
    d = (block.features - cadref.means_[block.predicted]).double() * cadref.signs_[block.predicted]
    length = block.features.double().abs().sum(dim=1)
    expected = -(d.clamp_min(0).sum(dim=1) / s - d.clamp_max(0).sum(dim=1) / cadref.confidence_) / length
    np.testing.assert_allclose(cadref.score(block).numpy(), expected.numpy(), rtol=1e-3)


def test_results_say_how_much_of_id_train_is_negative(world):
    params = {"confidence": "max_logit"}
    assert fit(["cadref"], world, cadref=params)["cadref"].note_ is None
    tops = world.block(world.train).max_logit
    low = world.with_(bias=world.bias - float(tops.quantile(0.1)))
    note = fit(["cadref"], low, cadref=params)["cadref"].note_
    assert note == "10 % of ID train has a negative max_logit, which counts as 1 % of the mean"
