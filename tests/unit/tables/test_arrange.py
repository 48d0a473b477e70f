"""Tables sorted, with intervals, other decimals and captions: in every format."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import UnknownNameError, UsageError
from moodbench.tables.arrange import captioned, in_order, looking
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import grid, per_dataset, pivot
from moodbench.tables.marks import width_of
from tests.tables import SMALL, TABLE, TITLES, cells, marks, result

FORMAT_NAMES = ("plain", "markdown", "latex", "html", "csv", "json")
NUMBERS = st.one_of(st.none(), st.integers(0, 100).map(lambda n: n / 100))


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_sorting_by_a_column_keeps_every_row_and_puts_the_best_first(values):
    rows = [result("vit", f"s{i:02}", value, note="" if value is not None else "no") for i, value in enumerate(values)]
    table = grid(rows, metric=["auroc", "fpr95"])
    for by, better in (("vit", "higher"), ("vit:fpr95", "lower"), ("best", "higher")):
        (sorted_,) = in_order([table], by)
        assert sorted(row.title for row in sorted_.rows) == sorted(row.title for row in table.rows)
        column = [row.cells[1 if better == "lower" else 0].value for row in sorted_.rows]
        there = [value for value in column if value is not None]
        assert there == sorted(there, reverse=better == "higher")
        assert column[len(there) :] == [None] * (len(column) - len(there))


def test_a_sorted_row_says_to_which_block_it_belongs_in_every_format():
    rows = [result("vit", s, a) for s, a in (("msp", 0.9), ("energy", 0.5), ("knn", 0.7), ("vim", 0.8))]
    table = grid([*rows, result("vit", "s01", 0.6)], metric=["auroc"], titles=TITLES)
    (by,) = in_order([table], "vit")
    assert [row.title for row in by.rows] == ["MSP", "ViM", "KNN", "s01", "Energy"]
    for line, block in (("KNN", "feature"), ("s01", "feature"), ("Energy", "logit")):
        plain = FORMATS.get("plain")([by])
        assert re.search(rf"^{block} +{line} ", plain, re.MULTILINE)
        assert re.search(rf"^\| {block} +\| {line} ", FORMATS.get("markdown")([by]), re.MULTILINE)
        assert f"\n{block} & {line} & " in FORMATS.get("latex")([by])
        assert re.search(rf">{line} <span class=\"chip {block}\">{block}</span>", FORMATS.get("html")([by]))
    assert r"\addlinespace" not in FORMATS.get("latex")([by])
    assert 'class="block"' not in FORMATS.get("html")([by])
    assert json.loads(FORMATS.get("json")([by]))[0]["records"][0]["score"] == "msp"


def test_columns_are_called_by_model_score_dataset_group_and_mean():
    rows = [
        result("vit", s, a, ood=o, group=g)
        for s, a in (("msp", 0.9), ("vim", 0.8))
        for o, g in (("texture", "far"), ("places", "far"), ("ninco", "near"), ("mean", "far"), ("mean", "all"))
    ]
    table = per_dataset(rows, "vit", titles=TITLES)
    for name in ("texture", "ninco", "far", "mean", "mean:fpr95", "title", "best"):
        assert len(in_order([table], name)[0].rows) == 2
    assert in_order([pivot(rows, "model", "score")], "vim")[0].rows[0].title == "vit"
    with pytest.raises(UnknownNameError, match=r"no column to sort by 'textur'. Did you mean 'texture'"):
        in_order([table], "textur")
    with pytest.raises(UnknownNameError, match="no metric to sort by 'aurc'"):
        in_order([table], "mean:aurc")


def test_a_table_without_the_column_stays_as_it_is():
    one, other = grid(SMALL, titles=TITLES), grid([result("vit", "msp", 0.5)], titles=TITLES)
    assert in_order([one, other], "beit")[1] is other


def test_decimals_decide_what_prints_alike():
    rows = [result("vit", "msp", 0.98504), result("vit", "knn", 0.98496)]
    table = grid(rows, metric=["auroc"])
    assert marks(looking(table, 2, False)) == [["best"], ["best"]]
    assert marks(looking(table, 3, False)) == [["best"], ["second"]]
    for name in ("plain", "markdown", "latex", "html", "csv"):
        shown = FORMATS.get(name)([looking(table, 3, False)])
        assert "98.504" in shown
        assert "98.496" in shown
    assert "98.504" not in FORMATS.get("plain")([looking(table, 1, False)])
    (made,) = json.loads(FORMATS.get("json")([looking(table, 0, False)]))
    assert made["records"][0]["auroc"] == 0.98504
    for wrong in (-1, 9, True, 1.5):
        with pytest.raises(UsageError, match="decimals cannot be"):
            looking(table, wrong, False)


def test_intervals_follow_the_auroc_in_every_format():
    rows = [
        result("vit", "msp", 0.9, auroc_low=0.88, auroc_high=0.915),
        result("vit", "knn", 0.8, auroc_low=0.75, auroc_high=0.825),
    ]
    table = looking(grid(rows), 1, True)
    shown = {name: FORMATS.get(name)([table]) for name in FORMAT_NAMES}
    assert "*90.0 [88.0, 91.5]" in shown["plain"]
    assert r"**90.0** \[88.0, 91.5\]" in shown["markdown"]
    assert r"\textbf{90.0} {\scriptsize {[}88.0, 91.5]}" in shown["latex"]
    assert '<strong>90.0</strong> <span class="of">[88.0, 91.5]</span>' in shown["html"]
    record = next(csv.DictReader(io.StringIO(shown["csv"])))
    assert (record["auroc_low_percent"], record["auroc_high_percent"]) == ("88.0", "91.5")
    assert "[…, …] is the 95 % interval of an AUROC" in table.footnotes
    assert not any(note.startswith("95 % intervals reach") for note in table.footnotes)
    assert looking(grid(SMALL), 2, True).footnotes[0] == "no interval is known of these means"
    with pytest.raises(UsageError, match="only AUROC has an interval"):
        looking(grid(rows, metric=["fpr95"]), 2, True)


def test_caption_and_label_in_every_format():
    (table,) = captioned([TABLE], "50 % & <more>", "tab:main")
    shown = {name: FORMATS.get(name)([table]) for name in FORMAT_NAMES}
    assert r"\caption{50 \% \& \textless{}more\textgreater{}}\label{tab:main}" in shown["latex"]
    assert '<section id="tab:main"><h2>50 % &amp; &lt;more&gt;</h2>' in shown["html"]
    assert shown["markdown"].startswith("**50 % & &lt;more&gt;**")
    assert shown["plain"].startswith("50 % & <more>\n")
    assert json.loads(shown["json"])[0]["title"] == "50 % & <more>"
    assert cells(table) == cells(TABLE)
    with pytest.raises(UsageError, match="--caption and --label would be of 2 tables at once"):
        captioned([TABLE, TABLE], "a", "b")
    for label in ("", "a b", "a}", "é", r"\x"):
        with pytest.raises(UsageError, match="--label cannot be"):
            captioned([TABLE], None, label)
    with pytest.raises(UsageError, match="--caption cannot be empty"):
        captioned([TABLE], " ", None)


def test_a_spread_that_prints_as_zero_says_whether_it_is():
    assert [width_of(x) for x in (0.0, 1e-16, 1e-9, 4.9e-5, 5.1e-5, 0.004)] == [
        "0",
        "0",
        "<0.01",
        "<0.01",
        "0.01",
        "0.40",
    ]
    assert width_of(0.004, 0) == "<1"
