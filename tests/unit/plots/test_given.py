"""Which pairs of model and score a plot of a few shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moodbench.errors import ResultsError, UsageError
from moodbench.types import MEAN
from tests.plots import auroc_of, world


def names(pairs):
    return [(model.name, one.score) for model, one in pairs]


def best_of(pairs, oods=3):
    return max(pairs, key=lambda pair: sum(auroc_of(int(pair[0][5:]), int(pair[1][5:]), o) for o in range(oods)))


MODELS, SCORES = [f"model{i:02}" for i in range(3)], [f"score{i:02}" for i in range(4)]


def test_nothing_named_is_the_best_pair():
    assert names(world().pairs(8)) == [best_of([(m, s) for m in MODELS for s in SCORES])]


def test_a_model_named_has_its_best_score_and_a_score_its_best_model():
    given = world()
    of_models = names(replace(given, models=tuple(MODELS)).pairs(8))
    assert set(of_models) == {best_of([(m, s) for s in SCORES]) for m in MODELS}
    of_scores = names(replace(given, scores=tuple(SCORES)).pairs(8))
    assert set(of_scores) == {best_of([(m, s) for m in MODELS]) for s in SCORES}


def test_both_named_are_all_pairs_and_too_many_are_refused():
    given = replace(world(), models=tuple(MODELS), scores=tuple(SCORES))
    assert len(given.pairs(12)) == 12
    with pytest.raises(UsageError, match="12 pairs"):
        given.pairs(11)


def test_a_table_has_all_pairs_of_what_is_named():
    given = world()
    assert len(replace(given, scores=tuple(SCORES)).pairs(99, table=True)) == 12
    assert len(given.pairs(99, table=True)) == 3


def test_controls_take_part_where_they_are_named():
    given = world(1, 2)
    rows = [
        replace(row, control=row.score == "score01", auroc=0.99 if row.score == "score01" else 0.6)
        for row in given.results
    ]
    assert names(replace(given, results=rows).pairs(8)) == [("model00", "score00")]
    rows = [row for row in rows if row.control]
    assert names(replace(given, results=rows, scores=("score01",)).pairs(8)) == [("model00", "score01")]


def test_a_pair_that_lacks_datasets_comes_after_those_that_do_not():
    given = world(2, 1)
    rows = [replace(row, auroc=0.99) for row in given.results if (row.model, row.ood) == ("model00", "ood00")]
    rows += [row for row in given.results if row.model == "model01"]
    assert names(replace(given, results=rows).pairs(8)) == [("model01", "score00")]
    chosen = replace(given, results=rows, oods=("ood00",))
    assert chosen.datasets == ["ood00"]
    assert names(chosen.pairs(8)) == [("model00", "score00")]


def test_groups_and_names_choose_datasets():
    assert sorted(world(oods=4).datasets) == ["ood00", "ood01", "ood02", "ood03"]
    assert replace(world(oods=4), group="near").datasets == ["ood01", "ood03"]
    assert replace(world(oods=4), oods=("ood02",)).datasets == ["ood02"]


def test_without_numbers_there_is_nothing_to_draw():
    given = world(1, 1)
    rows = [replace(row, auroc=None) for row in given.results]
    with pytest.raises(ResultsError, match="no score of 'b' has an AUROC"):
        replace(given, results=rows).pairs(8)
    means = [row for row in given.results if row.ood == MEAN]
    with pytest.raises(ResultsError, match="no score"):
        replace(given, results=means).pairs(8)
