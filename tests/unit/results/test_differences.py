"""What differs between two results: every field of every row, within a tolerance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.comparison.changes import changes
from moodbench.results.differences import ROW, differences
from tests.runs import provenance, row, rows_of

NUMBERS = st.one_of(st.none(), st.integers(0, 1000).map(lambda n: n / 1000))
ROWS = st.lists(
    st.builds(
        row, score=st.sampled_from(["msp", "vim"]), ood=st.sampled_from(["near", "far"]), auroc=NUMBERS, fpr95=NUMBERS
    ),
    unique_by=lambda r: r.key,
)


@given(ROWS, ROWS, st.sampled_from([0.0, 0.01, 0.25]))
def test_it_is_what_a_look_at_every_pair_says(a, b, tolerance):
    expected = set()
    for key in {r.key for r in (*a, *b)}:
        mine, theirs = (next((r for r in rows if r.key == key), None) for rows in (a, b))
        if mine is None or theirs is None:
            expected.add((key, ROW))
            continue
        for name in ("auroc", "fpr95"):
            one, other = getattr(mine, name), getattr(theirs, name)
            if (one is None) != (other is None) or (one is not None and round(abs(one - other), 6) > tolerance):
                expected.add((key, name))
    found = differences(a, b, tolerance)
    assert {(one.row.key, one.field) for one in found} == expected
    assert len(found) == len(expected)
    mirrored = differences(b, a, tolerance)
    assert {(one.row.key, one.field, one.difference) for one in mirrored} == {
        (one.row.key, one.field, None if one.difference is None else -one.difference) for one in found
    }


def test_nothing_differs_from_itself():
    assert differences(rows_of(), rows_of()[::-1]) == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"n_ood": 4}, "n_ood"),
        ({"note": "trial"}, "note"),
        ({"remarks": ("trial",)}, "remarks"),
        ({"control": True}, "control"),
        ({"auroc_low": 0.1}, "auroc_low"),
        ({"aupr_in": 0.1}, "aupr_in"),
        ({"pretext": "contrastive"}, "pretext"),
        ({"seeds": 3}, "seeds"),
    ],
)
def test_every_field_counts_and_no_tolerance_helps_words_and_counts(changed, field):
    (one,) = differences([row()], [replace(row(), **changed)], 1.0)
    assert one.field == field


def made(a, b, tolerance=0.0, **more):
    key = ("b", "vit")
    noted = [{key: provenance(rows_of(), **of)} for of in ({}, more)]
    return changes(("old", a, noted[0]), ("new", b, noted[1]), tolerance)


def test_the_answer_names_the_largest_difference_and_what_only_one_has():
    a = [row(), row(score="vim"), row(ood="far")]
    found = made(a, [row(auroc=0.905), row(score="vim", auroc=0.7), row(ood="sea")])
    assert found.answer() == (
        "4 of 4 rows differ between old and new; the largest difference is -20.00 points of AUROC (vim on vit, b, near)"
        "; 1 is only in old; 1 is only in new."
    )
    assert found
    assert [record["note"] for record in found.records()][2:] == ["only in old", "only in new"]
    assert found.records()[1] | {"note": ""} == {
        "benchmark": "b",
        "model": "vit",
        "score": "vim",
        "params": "",
        "ood": "near",
        "group": "near",
        "metric": "auroc",
        "a": 0.9,
        "b": 0.7,
        "difference": -0.2,
        "note": "",
    }
    same = made(a, a)
    assert (bool(same), same.answer(), same.json()) == (False, "Nothing differs: 3 rows in old and new.", "[]\n")
    assert made([row()], [row(auroc=0.9004)], 0.001).answer() == (
        "Nothing differs by more than 0.1 points: 1 row in old and new."
    )


def test_causes_are_said_once_in_the_notes_and_small_differences_get_more_decimals():
    found = made([row()], [row(auroc=0.90000001, note="x")], versions={"numpy": "2.0", "torch": "2.6"})
    text = found.text()
    assert "1: torch 2.5 → 2.6" in text
    assert "90.000000" in text
    assert "90.000001" in text
    assert "A: old" in text
