"""Scores that compare rows with texts, and the choice of negatives, against what the published programs give."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from moodbench.scores.base import create_score
from moodbench.scores.machinery.passes import fit_scores
from moodbench.texts.negatives import farthest
from tests.parity.case import golden_world

SETS = ("val", "blend_a", "blend_b")

PUBLISHED = {
    "mcm": ("mcm", {}),
    "mcm_0.1": ("mcm", {"temperature": 0.1}),
    "neglabel_20": ("neglabel", {"groups": 20}),
    "neglabel_100": ("neglabel", {}),
    "clipn": ("clipn", {}),
    "clipn_ctw": ("clipn_ctw", {}),
}
"""Name in the file → score and parameters."""


@pytest.fixture(scope="module")
def published():
    with np.load(Path(__file__).parent / "published_text.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_agrees_with_the_published_program(published, name):
    score, params = PUBLISHED[name]
    world = golden_world("relu48")
    texts = {kind: torch.from_numpy(published[kind]) for kind in ("negatives", "negated")}
    train = replace(world.facts(), texts=texts)
    fitted, missing = fit_scores({score: create_score(score, params)}, train, lambda: world.blocks(257))
    assert not missing
    expected = np.concatenate([published[f"{name}/{part}"].astype(np.float64) for part in SETS])
    found = np.concatenate([fitted[score].score(world.block(world.tests[part])).double().numpy() for part in SETS])
    if score == "clipn":
        found = -np.expm1(-found)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * expected.std())


def embedded(texts):
    rows = np.stack([np.random.default_rng(zlib.crc32(text.encode())).normal(size=24) for text in texts])
    rows = torch.from_numpy(rows.astype(np.float32))
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("noun", [f"the nice noun {i}" for i in range(403)]),
        ("adj", [f"This is a adjective {i} photo" for i in range(101)]),
    ],
)
def test_the_negatives_are_those_of_the_published_program(published, kind, texts):
    classes = embedded([f"the nice class {i}" for i in range(37)])
    assert farthest(embedded(texts), classes) == published[f"mining/{kind}"].tolist()
