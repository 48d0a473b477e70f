"""Transductive scores on streams: against their plain definitions, and against what the authors' programs give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from moodbench.scores.base import SCORES, create_score
from moodbench.scores.machinery.passes import fit_scores
from tests.parity import cases_streams, cases_tanl
from tests.parity.case import golden_world
from tests.streams import stream_of
from tests.worlds import make_world

STREAMS = cases_streams.STREAMS | cases_tanl.STREAMS


def test_every_transductive_score_has_a_definition():
    assert set(STREAMS) == {name for name in SCORES.names() if SCORES.get(name).is_transductive()}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("oodd", {"queue": 9, "k_ood": 3, "k": 4}),
        ("oodd", {"share": 0.1}),
        ("adaneg", {"temperature": 0.3, "memory": 3, "gap": 0.1}),
        ("adaneg", {"temperature": 0.3, "memory": 3, "gap": 0.1, "adapt": "sample"}),
        ("adaneg", {"temperature": 0.2, "gap": 0.3, "threshold": 0.4, "weight": 0.5, "groups": 3}),
        ("tanl", {"temperature": 0.3, "gap": 0.1}),
        ("tanl", {"temperature": 0.2, "gap": 0.2, "labels": 7, "queue": 9, "history": 0.5, "window": 30}),
        ("tanl", {"temperature": 0.3, "gap": 0.0, "labels": 11, "step": 4, "history": 0.95}),
        ("tanl", {"temperature": 0.3, "gap": 0.1, "labels": 11, "step": 0, "history": 1.0}),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_streams_agree_with_the_plain_definition(name, params, seed):
    world = make_world(seed, rows=60)
    if name == "oodd":  # no row is so sure that nothing is left of the other classes in float32
        world = world.with_(weight=world.weight * np.float32(0.1), bias=world.bias * np.float32(0.1))
    fitted, missing = fit_scores({name: create_score(name, params)}, world.facts(), lambda: world.blocks(64))
    assert not missing
    rows = np.concatenate([world.tests["test"], world.tests["ood"]])
    order = np.random.default_rng(seed).permutation(len(rows))
    found = stream_of(fitted[name], world, rows, order, 16)[order]
    head = (world.weight.astype(np.float64), world.bias.astype(np.float64))
    given = (*head, world.train.astype(np.float64), world.labels, rows[order].astype(np.float64))
    expected = STREAMS[name](*given, batch=16, **params)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * expected.std())


PUBLISHED = {
    "oodd": ("oodd", {}),
    "oodd_small": ("oodd", {"k": 3, "k_ood": 2, "share": 0.2, "queue": 40}),
    "adaneg": ("adaneg", {"temperature": 0.04}),
    "adaneg_sample": ("adaneg", {"temperature": 0.04, "adapt": "sample"}),
    "adaneg_full": ("adaneg", {"temperature": 0.04, "memory": 4, "gap": 0.2}),
    "adaneg_full_sample": ("adaneg", {"temperature": 0.04, "memory": 4, "gap": 0.2, "adapt": "sample"}),
    "tanl": ("tanl", {"temperature": 0.04, "labels": 100}),
    "tanl_history": ("tanl", {"temperature": 0.04, "labels": 100, "queue": 40, "gap": 0.2, "history": 0.95}),
    "tanl_step": ("tanl", {"temperature": 0.04, "labels": 60, "queue": 8, "gap": 0.1, "history": 0.5, "step": 2}),
    "tanl_plain": ("tanl", {"temperature": 0.04, "labels": 60, "queue": 40, "gap": 0.3, "step": 0}),
}
"""Name in the file → score and parameters."""

ORDER = {"oodd": (100, 512), "adaneg": (7, 64), "tanl": (7, 64)}
"""Score → seed of the order (NumPy's old generator, as in the program of OODD), and rows that come together."""


@pytest.fixture(scope="module")
def published():
    found = {}
    for name in ("published_streams", "published_tanl"):
        with np.load(Path(__file__).parent / f"{name}.npz") as arrays:
            found |= dict(arrays)
    return found


@pytest.mark.parametrize("ood", ["blend_a", "blend_b"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_agrees_with_the_published_program(published, name, ood):
    score, params = PUBLISHED[name]
    world = golden_world("relu48")
    if score == "oodd":  # few of the ID train rows are so sure that their MSP is 1
        world = world.with_(weight=world.weight * np.float32(0.2), bias=world.bias * np.float32(0.2))
    else:
        world = world.with_(weight=published["weight"], bias=np.zeros(len(published["weight"]), np.float32))
    texts = {kind: torch.from_numpy(published[kind]) for kind in ("negatives", "noise")}
    train = replace(world.facts(), texts=texts)
    fitted, missing = fit_scores({score: create_score(score, params)}, train, lambda: world.blocks(257))
    assert not missing
    rows = np.concatenate([world.tests["val"], world.tests[ood]])
    seed, batch = ORDER[score]
    found = stream_of(fitted[score], world, rows, np.random.RandomState(seed).permutation(len(rows)), batch)
    expected = np.concatenate([published[f"{name}/{ood}/{side}"].astype(np.float64) for side in ("id", "ood")])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * expected.std())
