"""A model whose weights lie at the hub, and what fetching them gives."""

from __future__ import annotations

from moodbench.catalog import ModelSpec
from moodbench.models.weights import (
    Weights,
    fetch_weights,
)

SPEC = ModelSpec("mine", "Mine", "unspecified", timm="test_vit.r160_in1k")


def fetch(spec: ModelSpec) -> tuple[Weights, list[str]]:
    """Return the weights of a model, and what was reported while they were fetched."""
    lines: list[str] = []
    return fetch_weights(spec, report=lines.append), lines
