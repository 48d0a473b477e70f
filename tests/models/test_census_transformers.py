"""The census of transformers examines rightly, and its committed table is complete and without faults."""

from __future__ import annotations

import csv

import pytest

pytest.importorskip("transformers")

from moodbench.models.outside import head_input
from tests.models import census_transformers as census

ROWS = list(csv.DictReader(census.TABLE.read_text(encoding="utf-8").splitlines()[1:]))


@pytest.mark.parametrize(
    ("kind", "name", "how"),
    [
        ("convnext", "ConvNextForImageClassification", "plain"),
        ("deit", "DeiTForImageClassificationWithTeacher", "mean of several heads"),
        ("dinov2", "Dinov2ForImageClassification", "plain"),
        ("levit", "LevitForImageClassification", "plain"),
        ("swin", "SwinForImageClassification", "plain"),
    ],
)
def test_one_architecture(kind, name, how):
    row = census.examine(kind, name)
    assert (row.outcome, row.how) == ("equal", how)
    assert int(row.layers) > 0


def test_a_head_that_is_wrong_is_noticed(monkeypatch):
    found = head_input.find_head

    def careless(network, images, name):
        right = found(network, images, name)
        return head_input.Found(type(right.head)(right.head.weight, 0 * right.head.bias), right.compute)

    monkeypatch.setattr("moodbench.models.outside.load.find_head", careless)
    assert census.examine("vit", "ViTForImageClassification").outcome == "DIFFERS"


def test_the_table_is_whole_and_without_faults():
    assert {row["outcome"] for row in ROWS} <= {"equal", "refused", "skipped"}
    assert sum(row["outcome"] == "equal" for row in ROWS) >= 40
    assert {row["network"] for row in ROWS if row["outcome"] == "refused"} == {
        "ImageGPTForImageClassification",
        "Siglip2ForImageClassification",
    }
