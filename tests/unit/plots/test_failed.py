"""Pairs whose score failed are named below every picture that lacks them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moodbench.plots.given import Given
from moodbench.types import MEAN
from tests.plots import drawn, texts, world

SAYS = "Without an AUROC (moodbench table says why): score01 on model02."


def failing(given: Given, oods: tuple[str, ...] = ("ood00", MEAN)) -> Given:
    """Return what is given, without numbers for one pair on some OOD datasets."""

    def without(row):
        fails = (row.model, row.score) == ("model02", "score01") and row.ood in oods
        return replace(row, auroc=None, auroc_low=None, auroc_high=None) if fails else row

    return replace(given, results=[without(row) for row in given.results])


@pytest.mark.parametrize("kind", ["grid", "cost", "accuracy", "heatmap", "ranks", "correlation", "sweep"])
def test_a_pair_without_a_number_is_named(kind):
    given = world(3, 4, rows=20)
    assert SAYS not in said(kind, given)
    assert SAYS in said(kind, failing(given))


@pytest.mark.parametrize("kind", ["bars", "roc", "distributions"])
def test_where_the_best_pair_is_drawn_only_named_pairs_are_missed(kind):
    given = failing(world(3, 4, rows=20))
    assert SAYS not in said(kind, given)
    asked = {"models": ("model02",), "scores": ("score01", "score02")}
    rows = [row for row in given.results if row.model in asked["models"] and row.score in asked["scores"]]
    assert SAYS in said(kind, replace(given, results=rows, **asked))


def test_datasets_that_are_not_drawn_do_not_count():
    given = failing(world(3, 4, rows=20), ("ood00",))
    assert given.without_auroc() == [SAYS]
    assert replace(given, oods=("ood01",)).without_auroc() == []
    assert replace(given, group="near").without_auroc() == []  # ood00 is far


def test_controls_count_where_they_were_asked_for():
    given = failing(world(3, 4, rows=20))
    given = replace(given, results=[replace(row, control=row.score == "score01") for row in given.results])
    assert given.without_auroc() == []
    assert replace(given, scores=("score01",)).without_auroc() == [SAYS]


def said(kind: str, given: Given) -> str:
    """Return everything that is written in a picture, lines joined."""
    return " ".join(" ".join(texts(drawn(kind, given))).split())
