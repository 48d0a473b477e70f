"""Any two of scores, models and OOD datasets down and across: every number in its place, compared with its rivals."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import UnknownNameError, UsageError
from moodbench.metrics import METRICS
from moodbench.tables.grid import grid, per_dataset, pivot
from tests.tables import TITLES, cells, marks, result

AXES = ("score", "model", "dataset")
SETS = {"texture": "far", "places": "far", "ninco": "near"}
NUMBERS = st.integers(0, 10_000).map(lambda n: n / 10_000)


@st.composite
def some_results(draw):
    """Numbers of some models and scores on some OOD datasets and their means, with gaps."""
    found = []
    for model in draw(st.lists(st.sampled_from(["vit", "moco", "beit"]), min_size=1, unique=True)):
        for score in draw(st.lists(st.sampled_from(["msp", "energy", "knn", "vim"]), min_size=1, unique=True)):
            for ood, group in (*SETS.items(), ("mean", "far"), ("mean", "all")):
                if draw(st.integers(0, 9)):
                    found.append(result(model, score, draw(NUMBERS), draw(NUMBERS), ood=ood, group=group))
    return found or [result("vit", "msp", 0.5)]


@given(some_results(), st.sampled_from(list(permutations(AXES, 2))))
def test_every_number_stands_where_its_row_and_column_say(results, axes):
    known = {(r.model, r.score, r.ood, r.group): r for r in results}
    table = pivot(results, *axes, metric=["auroc", "fpr95"])
    seen = set()
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            keys = {**row.keys, **column.keys}
            place = (keys["model"], keys["score"], keys["ood"], keys["group"])
            expected = getattr(known[place], keys["metric"]) if place in known else None
            assert cell.value == expected
            seen.add((place, keys["metric"]))
    if "dataset" in axes:
        assert seen >= {(place, metric) for place in known for metric in ("auroc", "fpr95") if place[2] != "mean"}
    else:
        assert {place[2:] for place, _ in seen} == {("mean", "all")}


@given(some_results(), st.sampled_from(list(permutations(AXES, 2))))
def test_the_best_is_that_of_a_column_or_of_a_row_of_an_ood_dataset(results, axes):
    table = pivot(results, *axes, metric=["auroc", "fpr95"])
    assert table.rivals == ("row" if axes[0] == "dataset" else "column")
    for i, column in enumerate(table.columns):
        metric = column.keys["metric"]
        for row in table.rows:
            value = row.cells[i].value
            if table.rivals == "row":
                others = zip(table.columns, row.cells, strict=True)
                rivals = [cell.value for other, cell in others if other.keys["metric"] == metric]
            else:
                rivals = [other.cells[i].value for other in table.rows]
            printed = [round(100 * each, 2) for each in rivals if each is not None]
            best = {"higher": max, "lower": min}[METRICS[metric].better]
            wins = value is not None and len(printed) > 1 and round(100 * value, 2) == best(printed)
            assert (row.cells[i].mark == "best") == wins


def test_the_known_layouts_are_two_of_them():
    rows = [result(m, s, 0.5, ood=o, group=g) for m in ("vit", "beit") for s in ("msp", "vim") for o, g in SETS.items()]
    rows += [result(m, s, 0.6) for m in ("vit", "beit") for s in ("msp", "vim")]
    assert pivot(rows, "score", "model", titles=TITLES) == grid(rows, titles=TITLES)
    assert pivot(rows, "score", "dataset", titles=TITLES) == per_dataset(rows, titles=TITLES)
    assert pivot(rows, "score", "dataset", one="vit", titles=TITLES) == per_dataset(rows, "vit", titles=TITLES)


def test_rows_and_columns_change_places():
    rows = [result("vit", "msp", 0.9), result("beit", "msp", 0.8), result("vit", "knn", 0.7)]
    table = pivot(rows, "model", "score", metric=["auroc"], titles=TITLES)
    assert table.stub == ("pretext task", "model")
    assert [(row.block, row.title) for row in table.rows] == [
        ("classification", "ViT-B/16"),
        ("masked image modeling", "BEiT v2"),
    ]
    assert [column.heading for column in table.columns] == [("probability", "MSP"), ("feature", "KNN")]
    assert cells(table) == [[0.9, 0.7], [0.8, None]]
    assert table.footnotes[0] == "Best AUROC of the table: MSP on ViT-B/16"


def test_a_control_competes_neither_as_a_row_nor_as_a_column():
    rows = [
        result(model, score, auroc, control=score == "knn")
        for model, score, auroc in (
            ("vit", "knn", 0.99),
            ("beit", "knn", 0.98),
            ("vit", "msp", 0.5),
            ("beit", "msp", 0.4),
        )
    ]
    for down, across in (("score", "model"), ("model", "score")):
        table = pivot(rows, down, across, metric=["auroc"], titles=TITLES)
        named = {
            {**row.keys, **column.keys}["score"]
            for row in table.rows
            for column, cell in zip(table.columns, row.cells, strict=True)
            if cell.mark
        }
        assert named == ({"msp"} if across == "score" else set())  # alone in its column, nothing to be better than
        assert table.footnotes[0] == "Best AUROC of the table: MSP on ViT-B/16"


def test_models_without_a_mean_are_left_out_as_rows_too():
    expected = {"far": ["texture", "places"]}
    rows = [result("vit", "msp", 0.9, ood=name, group="far") for name in expected["far"]]
    rows += [result("vit", "msp", 0.9), result("beit", "msp", 0.8, ood="texture", group="far")]
    table = pivot(rows, "model", "score", titles=TITLES, expected=expected)
    assert [row.title for row in table.rows] == ["ViT-B/16", "BEiT v2"]
    assert [row.title for row in table.for_people().rows] == ["ViT-B/16"]
    assert any("no result on places yet" in note and "BEiT v2" in note for note in table.footnotes)
    (line,) = pivot(rows[3:], "model", "score", titles=TITLES, expected=expected).for_people().rows
    assert line.title == "all 1 score"


def test_a_third_kind_has_blocks_unless_one_is_named():
    rows = [result("vit", s, 0.5, ood=o, group=g) for s in ("msp", "vim") for o, g in SETS.items()]
    table = pivot(rows, "dataset", "model", titles=TITLES)
    assert table.stub == ("score", "OOD dataset")
    assert list(dict.fromkeys(row.block for row in table.rows)) == ["MSP", "ViM"]
    table = pivot(rows, "dataset", "model", one="vim", titles=TITLES)
    assert (table.title, table.stub) == ("imagenet: ViM", ("group", "OOD dataset"))
    assert {row.keys["score"] for row in table.rows} == {"vim"}
    assert marks(table) == [["", ""]] * len(table.rows)
    with pytest.raises(UnknownNameError, match="no score with results 'nope'"):
        pivot(rows, "dataset", "model", one="nope")
    with pytest.raises(UsageError, match="rows and columns at once"):
        pivot(rows, "model", "model")
