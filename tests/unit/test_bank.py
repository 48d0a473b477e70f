"""The memory bank: one walk for all scores, one product a meeting, and a fault that stays with its score."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.scores.base import create_score
from moodbench.scores.machinery import bank
from moodbench.scores.machinery.bank import Largest, bank_of, large_pairs
from moodbench.scores.machinery.passes import fit_scores
from tests.worlds import make_world, run_scores

NAMES = (
    "knn",
    "cos_max",
    "projection",
    "nnguide",
    "relation",
    "hopfield",
    "conformance",
    "mean_shifted",
    "combood",
    "grood",
)
MANY_CLASSES = make_world(2, classes=90, dim=30, rows=900)


def fitted(world, names=NAMES):
    """Scores fitted together, and how often a walk over ID train was begun."""
    walks = []

    def walk():
        walks.append(1)
        return world.blocks(64)

    facts = world.facts()
    object.__setattr__(facts, "bank", walk)
    scores, missing = fit_scores({name: create_score(name) for name in names}, facts, lambda: world.blocks(64))
    assert not missing
    return scores, walks, facts


def test_all_scores_share_one_walk():
    world = make_world(0)
    scores, walks, _ = fitted(world)
    block = world.block(world.tests["test"])
    for score in scores.values():
        score.score(block)
    assert len(walks) == 1


def test_a_meeting_multiplies_once(monkeypatch):
    counted = []
    plain = bank.product
    monkeypatch.setattr(bank, "product", lambda *args: counted.append(args[0].shape) or plain(*args))
    world = make_world(0)
    scores, _, _ = fitted(world, ("knn", "nnguide", "relation"))
    block = world.block(world.tests["test"])
    counted.clear()
    for score in scores.values():
        score.score(block)
    assert counted.count(block.features.shape) == len(world.blocks(64))


def test_together_and_alone_are_the_same():
    together = run_scores(NAMES, MANY_CLASSES)
    for name in NAMES:
        alone = run_scores([name], MANY_CLASSES)
        for part, values in alone[name].items():
            np.testing.assert_array_equal(together[name][part], values, err_msg=name)


def test_a_fault_stays_with_the_score_that_has_it():
    world = make_world(0)
    scores, _, facts = fitted(world, ("knn", "conformance"))
    place = bank_of(facts).join(lambda block: Breaks())
    block = world.block(world.tests["test"])
    with pytest.raises(ZeroDivisionError):
        bank_of(facts).of(place, block)
    for score in scores.values():
        assert torch.isfinite(score.score(block)).all()


class Breaks:
    """A guest with a bug."""

    def facing(self, stored):
        return self._meet

    def _meet(self, meeting):
        raise ZeroDivisionError

    def leave(self):
        raise AssertionError("it was not asked to stay")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 99), st.booleans())
def test_the_largest_are_those_of_all_at_once(k, widths, seed, ties):
    generator = torch.Generator().manual_seed(seed)
    pieces = [torch.randn(5, width, generator=generator) for width in widths]
    pieces = [piece.round() for piece in pieces] if ties else pieces
    largest = Largest(k)
    for piece in pieces:
        row, column = large_pairs(piece, largest.limits, k, torch.full((5,), 1e-6))
        largest.add(row, piece[row, column], 5)
    everything = torch.cat(pieces, dim=1)
    expected = everything.topk(min(k, everything.shape[1]), dim=1).values
    assert torch.equal(largest.best, expected)


@pytest.mark.parametrize("threshold", [0.001, 0.03, 0.6])
def test_relations_found_by_sparse_products_are_all_of_them(threshold):
    world = MANY_CLASSES
    score = create_score("relation", {"threshold": threshold})
    ready, _ = fit_scores({"relation": score}, world.facts(), lambda: world.blocks(64))
    block, stored = world.block(world.tests["ood"]), world.block(world.train)
    unit = [torch.nn.functional.normalize(rows.features.double()) for rows in (block, stored)]
    p = [torch.softmax(rows.logits.double(), dim=1) for rows in (block, stored)]
    relations = (unit[0] @ unit[1].T).clamp(min=0) * (p[0] @ p[1].T)
    expected = torch.where(relations > threshold, relations, 0.0).sum(dim=1)
    unsure = threshold * ((relations - threshold).abs() < 1e-6).sum(dim=1)  # rounding decides
    assert int((expected > 0).sum()) > 0
    error = (ready["relation"].score(block) - expected).abs()
    assert (error <= unsure + 1e-4 * expected + 1e-5).all()


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("knn", "machinery.similar"),
        ("nnguide", "machinery.similar"),
        ("oodd", "machinery.similar"),
        ("mean_shifted", "mean_shifted"),
        ("conformance", "conformance"),
        ("grood", "grood"),
    ],
)
def test_coarse_products_change_nothing_that_is_found(name, where, monkeypatch):
    world = make_world(3, classes=8, dim=150, rows=1100)
    found = []
    for coarse in (True, False):
        monkeypatch.setattr(
            importlib.import_module(f"moodbench.scores.{where}"), "pays", lambda rows, coarse=coarse: coarse
        )
        found.append(run_scores([name], world)[name])
    for part, values in found[0].items():
        if name in ("conformance", "grood"):  # nearest in whitened rows, which are products; in float64, by a product
            rtol = {"conformance": 1e-5, "grood": 1e-12}[name]
            np.testing.assert_allclose(values, found[1][part], rtol=rtol, err_msg=part)
        else:
            np.testing.assert_array_equal(values, found[1][part], err_msg=part)


def test_a_cosine_does_not_depend_on_the_rows_it_comes_with():
    world = make_world(4, classes=8, dim=150, rows=1100)
    scores, _, _ = fitted(world, ("knn",))
    rows = world.tests["test"]
    whole = scores["knn"].score(world.block(rows))
    one = world.block(rows).rows(torch.tensor([5]))
    assert torch.equal(scores["knn"].score(one), whole[5:6])
