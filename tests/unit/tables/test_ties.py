"""Who shares the best number of a column, and what a missing mean lacks."""

from __future__ import annotations

import pytest

from moodbench.sizes import percent
from moodbench.tables.grid import grid, per_dataset
from moodbench.tables.marks import printed, ranks, signed
from moodbench.tables.order import series_in_order
from tests.tables import TITLES, result


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0.9, 0.8, 0.7], ["best", "second", ""]),
        ([0.9, 0.9, 0.7], ["best", "best", ""]),  # two first places leave no second
        ([0.90001, 0.9, 0.7], ["best", "best", ""]),  # both print 90.00
        ([0.9, 0.8, 0.80004, 0.7], ["best", "second", "second", ""]),
        ([0.9, None, None], ["", "", ""]),
        ([0.9, "words", 0.8], ["best", "", "second"]),
        ([0.5, 0.5], ["best", "best"]),
        ([], []),
    ],
)
def test_marks_are_places_of_a_competition_at_the_precision_that_is_printed(values, marks):
    assert ranks(values, "higher") == marks
    assert ranks([1 - v if isinstance(v, float) else v for v in values], "lower") == marks
    assert set(ranks(values, None)) <= {""}


@pytest.mark.parametrize("half", [0.92175, 0.64675, 0.48275, 0.00125])
def test_equal_means_print_alike_however_they_were_summed(half):
    around = [half * (1 - 1e-13), half, half * (1 + 1e-13)]
    assert len({printed(value) for value in around}) == 1
    assert len({signed(value) for value in around}) == 1
    assert len({percent(value) for value in around}) == 1


def test_variants_stand_in_the_order_of_their_numbers():
    rows = [result("m", "knn", 0.9, params=f"k={k}") for k in ("10", "5", "0.5", "1", "all")]
    assert [one.params for one in series_in_order(rows)] == ["k=0.5", "k=1", "k=5", "k=10", "k=all"]


def test_at_most_three_pairs_are_named_as_the_best():
    rows = [result(f"m{i}", "msp", 0.9) for i in range(5)]
    (line,) = (foot for foot in grid(rows, titles=TITLES).footnotes if foot.startswith("Best"))
    assert line == "Best AUROC of the table: MSP on m0, MSP on m1, MSP on m2 and 2 more"
    (line,) = (foot for foot in grid(rows[:3], titles=TITLES).footnotes if foot.startswith("Best"))
    assert line == "Best AUROC of the table: MSP on m0, MSP on m1, MSP on m2"


def test_a_missing_mean_names_the_ood_dataset_that_it_lacks():
    rows = [
        *(result("vit", score, 0.9, ood="texture", group="far") for score in ("msp", "knn")),
        result("vit", "msp", 0.8, ood="ninco", group="near"),
        result("vit", "msp", 0.85),
    ]
    expected = {"far": ["texture"], "near": ["ninco"]}
    (foot,) = (line for line in grid(rows, titles=TITLES, expected=expected).footnotes if line.startswith("—"))
    assert foot.startswith("— no result on ninco yet, and no mean with it")
    assert foot.endswith(": KNN")


def test_chosen_datasets_keep_only_the_averages_over_what_is_shown():
    places = [("texture", "far"), ("places", "far"), ("ninco", "near"), ("imagenet_o", "near")]
    rows = [result("vit", "msp", 0.9, ood=ood, group=group) for ood, group in places]
    rows += [result("vit", "msp", 0.9, group=group) for group in ("far", "near", "all")]

    def columns(*datasets):
        table = per_dataset(rows, "vit", metric=["auroc"], titles=TITLES, datasets=datasets)
        return [column.heading for column in table.columns]

    texture, places, ninco = ("far", "Texture"), ("far", "places"), ("near", "NINCO")
    assert columns("ninco", "texture") == [texture, ninco]
    assert columns("places", "texture", "ninco") == [texture, places, ("far", "average"), ninco]
    assert columns(*(ood for ood, _ in places_of(rows))) == columns()
    assert columns()[-1] == ("all", "average")


def places_of(rows):
    return [(row.ood, row.group) for row in rows if row.ood != "mean"]
