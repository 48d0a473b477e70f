"""The census examines rightly, and its committed table is one of these versions' kind: complete and without faults."""

from __future__ import annotations

import csv
import dataclasses

import pytest
import timm

from moodbench.models import head
from moodbench.types import Head
from tests.models import census

ROWS = list(csv.DictReader(census.TABLE.read_text(encoding="utf-8").splitlines()[1:]))


@pytest.mark.parametrize(
    ("name", "network", "outcome", "how"),
    [
        ("test_vit", "VisionTransformer", "equal", "plain"),
        ("test_resnet", "ResNet", "equal", "plain"),
        ("test_efficientnet", "EfficientNet", "equal", "plain"),
        ("deit_tiny_distilled_patch16_224", "VisionTransformerDistilled", "equal", "two tokens side by side"),
        ("vit_5b_patch16_sapiens2", "Eva", "skipped", "over 3000 million parameters"),
    ],
)
def test_one_architecture(name, network, outcome, how):
    if not timm.is_model(name):
        pytest.skip("this version of timm does not have it")
    row = census.examine(name)
    assert (row.architecture, row.network, row.outcome, row.how) == (name, network, outcome, how)
    assert (row.difference != "") is (outcome == "equal")


def test_a_head_that_is_wrong_is_noticed(monkeypatch):
    """With timm's pre-logits, the mean of two tokens, and the mean of both heads: what a careless reader would take."""
    wrong = head.Kind("careless", head.pre_logits, lambda net: head._same(net.head, net.head_dist))
    monkeypatch.setitem(head.KINDS, "VisionTransformerDistilled", lambda net: wrong)
    assert census.examine("deit_tiny_distilled_patch16_224").outcome == "DIFFERS"


def test_a_bias_that_is_wrong_is_noticed_where_almost_nothing_arrives(monkeypatch):
    monkeypatch.setattr(head, "_head", lambda weight, bias: Head(weight.astype("f4"), 0 * bias.astype("f4")))
    assert census.examine("test_efficientnet").outcome == "DIFFERS"


def test_what_breaks_is_a_row_too():
    assert census.examine("no_such_architecture").outcome == "FAILED"


def test_a_table_is_read_again_unless_other_versions_made_it(tmp_path):
    rows = [
        census.Row("b", "B", "1.0", "64", "8", "10", "equal", "plain", "1e-07"),
        census.Row("a", *[""] * 5, "x", "y,z"),
    ]
    census.write(tmp_path / "t.csv", rows)
    assert census.read(tmp_path / "t.csv") == rows[::-1]
    text = (tmp_path / "t.csv").read_text()
    assert f"timm {timm.__version__}" in text.splitlines()[0]
    (tmp_path / "t.csv").write_text(text.replace("timm ", "timm 0.", 1))
    assert census.read(tmp_path / "t.csv") == []
    assert census.read(tmp_path / "none.csv") == []


def test_the_committed_table():
    names = [row["architecture"] for row in ROWS]
    assert list(ROWS[0]) == [field.name for field in dataclasses.fields(census.Row)]
    assert names == sorted(set(names))
    assert {row["outcome"] for row in ROWS} == {"equal", "refused", "skipped"}
    assert {row["network"] for row in ROWS if row["outcome"] == "refused"} == {"VOLO"}
    assert all(float(row["difference"]) <= census.TOLERANCE for row in ROWS if row["outcome"] == "equal")


def test_every_kind_of_classifier_is_in_the_committed_table():
    seen = {row["how"].partition(", batch norm")[0] for row in ROWS if row["outcome"] == "equal"}
    assert seen == {
        "plain",
        "two tokens side by side",
        "branches side by side",
        "stages side by side, weighted",
        "mean of two heads",
        "after the hidden layer",
    }
