"""How far a score lies from its plain definition in worlds where rounding shows (`tests.parity.hard_worlds`).

What a processor's order of additions decides in the last bit of a float32 must not move a score by more than a
thousandth of its own spread, nor a row past others: with two classes that spread may itself be 1e-10.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from moodbench.devices import arithmetic
from moodbench.ranking import Ranking
from moodbench.scores.base import SCORES, create_score
from moodbench.scores.machinery.passes import fit_scores
from tests.parity.cases import CASES
from tests.parity.hard_worlds import CLASSES, SCALES, hard_world
from tests.worlds import World

ROWS = 20
"""Of ID test and of OOD, each: the first ten of ID test are ID train rows, five of OOD stand there twice."""

ALLOWED = 1e-3
"""Largest difference of a row, in standard deviations of the definition over the rows."""

PAIRS = 2 / ROWS**2
"""Largest difference in AUROC: two of the pairs of an ID and an OOD row."""


def _worlds(name: str) -> Iterator[tuple[str, World]]:
    signed = [(k, scale, False) for k in CLASSES for scale in SCALES if not SCORES.get(name).post_relu]
    after_relu = [(k, scale, True) for k in CLASSES for scale in (SCALES if SCORES.get(name).post_relu else (1.0,))]
    for classes, scale, relu in signed + after_relu:
        yield f"C = {classes}, scale {scale:g}{', ReLU' if relu else ''}", hard_world(classes, scale, relu=relu)


def difference(name: str, world: World) -> str | None:
    """Say how the score and its definition differ; None where they do not."""
    case = CASES[name]
    rows = np.concatenate([world.tests["test"][:ROWS], world.tests["ood"][:ROWS]])
    with arithmetic(1), torch.inference_mode():
        scores = {name: create_score(name, case.params)}
        fitted, missing = fit_scores(scores, world.facts(), lambda: world.blocks(97))
        if missing:
            return f"not fitted: {missing[name]}"
        found = fitted[name].score(world.block(rows)).double().numpy()
    assert world.weight is not None
    assert world.bias is not None
    inputs = [array.astype(np.float64) for array in (world.weight, world.bias, world.train)]
    expected = case.definition(*inputs, world.labels, rows.astype(np.float64), **case.params)
    assert np.isfinite(expected).all()
    spread = expected.std()
    off = np.abs(found - expected)
    if spread <= 1e-12 * np.abs(expected).max():
        return None if (off <= 1e-6 * np.abs(expected)).all() else "all rows score the same, but not so here"
    if not (off <= ALLOWED * spread).all():
        return f"{off.max() / spread:.1e} standard deviations off"
    moved = _auroc(found) - _auroc(expected)
    return f"AUROC moved by {moved:.4f}" if abs(moved) > PAIRS else None


def _auroc(values: np.ndarray) -> float:
    values = np.where(np.abs(values) < 1e-300, 0, values)  # a float64 has no digits there
    return Ranking(values[:ROWS]).against(values[ROWS:]).auroc


def differences(name: str) -> dict[str, str]:
    """Return in which worlds a score and its definition differ, and how."""
    return {text: found for text, world in _worlds(name) if (found := difference(name, world)) is not None}
