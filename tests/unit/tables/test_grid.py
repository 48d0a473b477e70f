"""Grids: which number stands where, how it is marked, and what cannot be shown."""

from __future__ import annotations

import pytest

from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.tables.grid import grid, per_dataset
from moodbench.tables.order import models_in_order, series_in_order
from tests.tables import SMALL, TITLES, cells, marks, result


def test_the_grid_has_families_down_and_pretext_tasks_across():
    table = grid(SMALL, titles=TITLES)
    assert [column.heading for column in table.columns] == [
        ("classification", "ViT-B/16", "AUROC ↑"),
        ("classification", "ViT-B/16", "FPR95 ↓"),
        ("masked image modeling", "BEiT v2", "AUROC ↑"),
        ("masked image modeling", "BEiT v2", "FPR95 ↓"),
    ]
    assert [(row.block, row.title) for row in table.rows] == [("probability", "MSP"), ("feature", "KNN")]
    assert cells(table) == [[0.5, 0.875, 0.985, 0.1], [None, None, 0.9, 0.05]]


def test_best_and_second_follow_the_orientation_and_two_best_leave_no_second():
    rows = [
        result("vit", "msp", 0.90001, 0.5),
        result("vit", "energy", 0.9, 0.3),
        result("vit", "knn", 0.8, 0.2),
        result("vit", "vim", 0.7, 0.9),
    ]
    # 90.001 and 90.000 print alike, so they are marked alike
    assert marks(grid(rows)) == [["best", ""], ["best", "second"], ["", "best"], ["", ""]]


def test_a_column_with_one_number_has_no_best():
    assert marks(grid(SMALL, titles=TITLES)) == [["", "", "best", "second"], ["", "", "second", "best"]]


def test_a_mean_that_is_not_there_is_never_made_up():
    rows = [
        result("vit", "msp", 0.9, ood="texture", group="far"),
        result("vit", "msp", 0.9, group="far"),
        result("vit", "knn", 0.8),
    ]
    table = grid(rows, titles=TITLES)
    assert cells(table) == [[None, None], [0.8, 0.2]]
    assert "— not every OOD dataset has a result: MSP" in table.footnotes
    assert cells(grid(rows, group="far")) == [[0.9, 0.1], [None, None]]


def test_the_grid_of_one_metric_names_it_in_the_title():
    table = grid(SMALL, metric=["auroc"], titles=TITLES)
    assert table.title == "imagenet: mean over all OOD datasets, AUROC ↑"
    assert [column.heading for column in table.columns] == [
        ("classification", "ViT-B/16"),
        ("masked image modeling", "BEiT v2"),
    ]


def test_per_dataset_has_one_column_pair_for_each_dataset_then_the_average():
    rows = [
        result("vit", "msp", 0.9, ood="ninco", group="far"),
        result("vit", "msp", 0.7, ood="texture", group="far"),
        result("vit", "msp", 0.8, group="far"),
        result("vit", "msp", 0.8),
        result("beit", "msp", 0.9),
    ]
    table = per_dataset(rows, "vit", titles=TITLES)
    assert table.title == "imagenet: ViT-B/16"
    assert [column.heading for column in table.columns[::2]] == [
        ("Texture", "AUROC ↑"),
        ("NINCO", "AUROC ↑"),
        ("average", "AUROC ↑"),
    ]
    assert [(row.block, row.title) for row in table.rows] == [("probability", "MSP")]
    assert cells(table) == [[0.7, 0.3, 0.9, 0.1, 0.8, 0.2]]


def test_several_groups_have_a_heading_and_an_average_of_their_own():
    rows = [
        *(result("vit", "msp", 0.9, ood=ood, group="far") for ood in ("texture", "places")),
        result("vit", "msp", 0.6, ood="ninco", group="near"),
        *(result("vit", "msp", auroc, group=group) for group, auroc in (("far", 0.9), ("near", 0.6), ("all", 0.8))),
    ]
    table = per_dataset(rows, "vit", metric=["auroc"], titles=TITLES)
    assert [column.heading for column in table.columns] == [
        ("far", "Texture"),
        ("far", "places"),
        ("far", "average"),
        ("near", "NINCO"),
        ("all", "average"),
    ]
    assert cells(table) == [[0.9, 0.9, 0.9, 0.6, 0.8]]


def test_per_dataset_of_all_models_ranks_them_together():
    table = per_dataset(SMALL, titles=TITLES)
    assert [(row.block, row.title, row.family) for row in table.rows] == [
        ("ViT-B/16", "MSP", "probability"),
        ("ViT-B/16", "KNN", "feature"),
        ("BEiT v2", "MSP", "probability"),
        ("BEiT v2", "KNN", "feature"),
    ]
    assert marks(table) == [["", ""], ["", ""], ["best", "second"], ["second", "best"]]


def test_variants_and_parameters_are_told_apart():
    rows = [
        result("vit@fp16+probe", "knn", 0.9, params="k=5", pretext="classification"),
        result("vit", "knn", 0.8, params="k=50"),
        result("vit", "msp", 0.8, params="t=1"),
    ]
    assert [model.title for model in models_in_order(rows, TITLES)] == ["ViT-B/16", "ViT-B/16 @fp16+probe"]
    assert [one.title for one in series_in_order(rows, TITLES)] == ["MSP", "KNN (k=5)", "KNN (k=50)"]


def test_what_cannot_be_shown_is_an_error():
    with pytest.raises(ResultsError, match="moodbench score"):
        grid([])
    with pytest.raises(UsageError, match="several benchmarks: cifar10, imagenet"):
        grid([*SMALL, result("vit", "vim", 0.5, benchmark="cifar10")])
    with pytest.raises(UnknownNameError, match="no OOD group 'nera'"):
        grid([*SMALL, result("vit", "msp", 0.5, ood="ninco", group="near")], group="nera")
    with pytest.raises(UnknownNameError, match="there is no metric 'aurok'"):
        grid(SMALL, metric="aurok")
    with pytest.raises(UnknownNameError, match=r"'bait'\. Did you mean 'beit'"):
        per_dataset(SMALL, "bait")
    with pytest.raises(
        UnknownNameError, match=r"there is no model with results 'nope'\.\n.*known models with results: "
    ):
        per_dataset(SMALL, "nope")


def test_controls_are_never_best():
    rows = [result("vit", "knn", 0.99, control=True), result("vit", "msp", 0.9), result("vit", "vim", 0.8)]
    assert marks(grid(rows)) == [["best", "best"], ["", ""], ["second", "second"]]
