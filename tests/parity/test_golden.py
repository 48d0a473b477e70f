"""The nine scores of MOODv2 against the reference program's own output, and against their plain definitions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from moodbench.ranking import Ranking
from tests.parity.case import golden_world
from tests.worlds import run_scores

NAMES = {
    "msp": "MSP",
    "max_logit": "MaxLogit",
    "energy": "Energy",
    "energy_react": "Energy+React",
    "vim": "ViM",
    "residual": "Residual",
    "gradnorm": "GradNorm",
    "mahalanobis": "Mahalanobis",
    "kl_matching": "KL-Matching",
}
SETS = ("val", "blend_a", "blend_b")
HERE = Path(__file__).parent


class Golden:
    """One golden file, and what moodbench makes of its inputs."""

    def __init__(self, file: str) -> None:
        self.world = golden_world(file)
        with np.load(HERE / f"{file}.npz") as arrays:
            self.arrays = dict(arrays)
        # a block size that does not divide the number of rows
        self.scores = run_scores(list(NAMES), self.world, block=257)
        metrics = json.loads(bytes(self.arrays["metrics_json"]))
        self.metrics = {(m["method"], m["oodset"]): m for m in metrics}

    def reference(self, name: str) -> dict[str, np.ndarray]:
        return {s: self.arrays[f"score/{NAMES[name]}/{s}"].astype(np.float64) for s in SETS}


@pytest.fixture(scope="module", params=["relu48", "vit768"])
def golden(request):
    return Golden(request.param)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_agrees_with_the_reference_program(golden, name):
    expected = golden.reference(name)
    scale = np.concatenate(list(expected.values())).std()
    for part in SETS:
        np.testing.assert_allclose(golden.scores[name][part], expected[part], rtol=0, atol=2e-4 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_metrics_agree_with_the_reference_program(golden, name):
    ranked = Ranking(golden.scores[name]["val"])
    for part in SETS[1:]:
        expected = golden.metrics[NAMES[name], part]
        against = ranked.against(golden.scores[name][part])
        assert against.auroc == pytest.approx(expected["auroc"], abs=1e-4 if name == "msp" else 1e-5)
        assert round(against.fpr() * against.ood.size) == round(expected["fpr"] * against.ood.size)
