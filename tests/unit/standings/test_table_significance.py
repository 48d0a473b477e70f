"""`table --significance`: which cells are marked, in every format, and what it needs."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest

import moodbench
from moodbench.errors import ResultsError
from tests.ranked import put, run

MARK = {"markdown": "‡", "plain": "‡", "html": "‡", "latex": r"$\ddagger$"}


@pytest.fixture
def tied(space):
    """Two models that are alike, and a bad one."""
    for name in ("train", "test", "near", "far"):
        put(space, "twin", name, noise=0.01)
    run(space, "plain", "twin", "noisy", scores=("euclid", "knn", "random"))
    return space


def records(space, **how):
    (found,) = json.loads(moodbench.table(benchmark="b", format="json", workspace=space, significance=True, **how))
    return found


@pytest.mark.parametrize("metric", ["auroc", "fpr95"])
@pytest.mark.parametrize("layout", ["grid", "datasets"])
def test_it_agrees_with_rank(tied, metric, layout):
    for record in records(tied, metric=metric, layout=layout)["records"]:
        if record["score"] == "random":
            assert f"{metric}_not_worse" not in record
        else:
            assert record[f"{metric}_not_worse"] in (True, False)
    if layout == "datasets" and metric == "auroc":
        mean = [one for one in records(tied, metric=metric, layout=layout)["records"] if one["group"] == "all"]
        pairs = {(one.model, one.score): one.not_worse for one in moodbench.rank(benchmark="b", workspace=tied).pairs}
        assert {(m["model"], m["score"]): m["auroc_not_worse"] for m in mean if m["score"] != "random"} == pairs
        assert 1 < sum(pairs.values()) < len(pairs)


@pytest.mark.parametrize("format", MARK)
def test_every_format_marks_what_may_be_as_good_and_says_so_below(tied, format):
    text = moodbench.table(benchmark="b", format=format, workspace=tied, significance=True, layout="datasets")
    assert f"{MARK[format]} not significantly worse" in text
    assert text.count(MARK[format]) > 2
    assert "Holm" in text
    assert MARK[format] not in moodbench.table(benchmark="b", format=format, workspace=tied, layout="datasets")


def test_programs_read_a_column(tied):
    text = moodbench.table(benchmark="b", format="csv", workspace=tied, significance=True, layout="datasets")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["auroc_not_worse"] for row in rows} == {"yes", "no", ""}
    assert {row["score"] for row in rows if not row["auroc_not_worse"]} == {"random"}


def test_other_metrics_are_not_tested_and_that_is_said(tied):
    text = moodbench.table(benchmark="b", metric=["auroc", "aupr_in"], workspace=tied, significance=True)
    assert "AUPR-IN not tested" in text
    text = moodbench.table(benchmark="b", metric=["aupr_in"], workspace=tied, significance=True)
    assert "Significance is known of AUROC and FPR95 alone" in text
    assert text.count("‡") == 0


def test_each_class_in_turn(tied):
    run(tied, "plain", "twin", "noisy", benchmark="each", scores=("euclid",))
    (found,) = json.loads(
        moodbench.table(benchmark="each", format="json", layout="datasets", workspace=tied, significance=True)
    )
    assert {(one["model"], one["auroc_not_worse"]) for one in found["records"] if one["ood"] == "ant"} == {
        ("plain", True),
        ("twin", True),
        ("noisy", False),
    }


def test_without_row_scores_it_says_what_to_run(tied):
    shutil.rmtree(tied.cache_dir / "noisy" / "scores")
    with pytest.raises(ResultsError, match="of 'noisy' there are none") as caught:
        moodbench.table(benchmark="b", workspace=tied, layout="datasets", significance=True)
    assert caught.value.fix == "moodbench score --benchmark b --model noisy --score knn --score euclid"


def marks(space, **how):
    text = moodbench.table(benchmark="b", format="json", workspace=space, significance=True, **how)
    return {
        (record["model"], record["score"], record["ood"], record["group"]): record.get("auroc_not_worse")
        for found in json.loads(text)
        for record in found["records"]
    }


def test_what_is_compared_in_a_turned_table_is_marked_there(tied):
    # rows are a model on a dataset, and in each the scores are compared: the best of a bad model has its mark too
    rows = marks(tied, layout="datasets", transpose=True)
    for model in ("plain", "twin", "noisy"):
        assert True in {rows[model, score, "far", "far"] for score in ("euclid", "knn")}
        assert rows[model, "random", "far", "far"] is None
