"""Published tables that come with moodbench; where they are from stands in ``published/README.md``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from moodbench.comparison.reference import Given, Reference
from moodbench.types import MEAN

FOLDER = Path(__file__).with_name("published")

MODELS = {"ViT": "vit", "MoCov3": "mocov3", "DINOv2": "dinov2", "BEiTv2": "beitv2", "BEiT": "beit"}
"""Rows of the figure → models of the catalogue, of which any variant may stand beside them."""

SCORES = {
    "MSP": "msp",
    "Energy": "energy",
    "MaxLogit": "max_logit",
    "KL-Matching": "kl_matching",
    "Residual": "residual",
    "ReAct": "energy_react",
    "Mahalanobis": "mahalanobis",
    "ViM": "vim",
}

_READING = 0.005
"""How far off numbers are that were read off the figure, as a fraction."""

_BY_EYE = f"read off the published figure by eye, give or take {100 * _READING:g} points"


def moodv2() -> Reference:
    """Return the numbers of MOODv2: of ViT from its main table, of the other networks from its figure."""
    return Reference("the published numbers of MOODv2", "published", (*_table(), *_figure()))


PUBLISHED = {"moodv2": moodv2}
"""Name → what reads it."""


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _table() -> Iterator[Given]:
    for row in _rows("moodv2_table.csv"):
        if row["row"] not in SCORES:  # of MOODv1 and MOODv2 it does not say which network and score they are
            continue
        ood = MEAN if row["ood"] == "average" else row["ood"]
        for metric in ("auroc", "fpr95"):
            yield Given(
                row["benchmark"], MODELS["ViT"], SCORES[row["row"]], ood, metric, float(row[f"{metric}_percent"]) / 100
            )


def _figure() -> Iterator[Given]:
    for row in _rows("moodv2_figure.csv"):
        model = MODELS.get(row["pretext"])
        if model is None:  # ViT, which is in the table
            continue
        for title, score in SCORES.items():
            value = float(row[title]) / 100
            yield Given("imagenet", model, score, MEAN, "auroc", value, reading=_READING, note=_BY_EYE)
