"""Numbers that are means over several seeds: their spread in every format, and what says what it is."""

from __future__ import annotations

import csv
import io
import json

import pytest

from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import grid, per_dataset
from moodbench.types import Result

FOOTNOTE = "± is the sample standard deviation over 5 seeds; the number and its interval are means over them"


def row(score, **changes):
    values = {
        "auroc": 0.9,
        "auroc_low": 0.88,
        "auroc_high": 0.91,
        "fpr95": 0.25,
        "ood": "mean",
        "group": "all",
    } | changes
    return Result("b", "net", "classification", score, "", "feature", n_id=50, n_ood=40, **values)


SEEDED = {"seeds": 5, "auroc_seed_sd": 0.004, "fpr95_seed_sd": 0.0123}


@pytest.fixture
def rows():
    return [row("kmeans", **SEEDED), row("euclid", auroc=0.8), row("lof", seeds=1, auroc=0.7)]


@pytest.mark.parametrize(
    ("format", "numbers"),
    [
        ("plain", ["90.00 ±0.40", "25.00 ±1.23"]),
        ("markdown", ["**90.00 ±0.40**", "25.00 ±1.23"]),
        ("latex", [r"\textbf{90.00 $\pm$0.40}", r"25.00 $\pm$1.23"]),
        ("html", ["<strong>90.00 ±0.40</strong>", "25.00 ±1.23"]),
    ],
)
def test_people_read_the_spread_beside_the_number(rows, format, numbers):
    text = FORMATS.get(format)([grid(rows)])
    for number in numbers:
        assert number in text
    assert text.count(r"$\pm$" if format == "latex" else "±") == 3  # and the footnote
    assert "is the sample standard deviation over 5 seeds" in text


def test_programs_get_columns(rows):
    (record, *others) = json.loads(FORMATS.get("json")([grid(rows)]))[0]["records"]
    by_score = {one["score"]: one for one in [record, *others]}
    assert {key: by_score["kmeans"][key] for key in SEEDED} == SEEDED
    assert "seeds" not in by_score["euclid"]
    lines = list(csv.DictReader(io.StringIO(FORMATS.get("csv")([grid(rows)]))))
    found = {one["score"]: (one["auroc_seed_sd_percent"], one["fpr95_seed_sd_percent"], one["seeds"]) for one in lines}
    assert found == {"kmeans": ("0.40", "1.23", "5"), "euclid": ("", "", ""), "lof": ("", "", "")}


def test_a_footnote_says_over_how_many_seeds(rows):
    assert FOOTNOTE in grid(rows).footnotes
    more = [*rows, row("rpd", **{**SEEDED, "seeds": 3})]
    assert FOOTNOTE.replace("5", "3 to 5") in grid(more).footnotes


@pytest.mark.parametrize("metric", ["fpr95_ood", "autc"])
def test_other_metrics_have_no_spread(rows, metric):
    assert not any("±" in note for note in grid(rows, metric=[metric]).footnotes)
    assert "±" not in FORMATS.get("plain")([grid(rows, metric=[metric])])


def test_without_seeds_nothing_is_said(rows):
    table = grid(rows[1:])
    assert "±" not in FORMATS.get("markdown")([table])
    assert "seeds" not in FORMATS.get("csv")([table])


def test_the_layout_by_datasets_has_it_too():
    rows = [row("kmeans", **SEEDED), row("kmeans", ood="street", group="far", **SEEDED)]
    assert FORMATS.get("plain")([per_dataset(rows)]).count("±0.40") == 2
