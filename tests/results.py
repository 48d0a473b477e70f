"""A row of results, and what a reader of a result file sees."""

from __future__ import annotations

from moodbench.results import (
    read_provenance,
    read_results,
)
from moodbench.types import Result


def row(score="msp", ood="texture", group="far", auroc=0.9, **changes) -> Result:
    """Return a row of the model vit on imagenet."""
    values = {"params": "", "family": "probability", "n_id": 50, "n_ood": 40, "fpr95": 0.25} | changes
    return Result("imagenet", "vit", "classification", score=score, ood=ood, group=group, auroc=auroc, **values)


def outcome(file):
    """What a reader sees: the numbers, and which run they are noted to be of."""
    return read_results(file), read_provenance(file)["run"]


NEW = [row(auroc=0.2)]
