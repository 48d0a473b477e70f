"""The tiny benchmark, extracted and scored."""

from __future__ import annotations

import pytest

from moodbench.commands.extract import extract
from moodbench.commands.score import score


@pytest.fixture
def scored(space):
    """A workspace with a few scores."""
    extract("tiny", benchmark="tiny", workspace=space, workers=0)
    score(model="tiny", score=["msp", "knn", "vim", "mahalanobis"], device="cpu", workspace=space)
    return space
