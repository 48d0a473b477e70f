"""Several values of a parameter: what they mean, what is refused, and that a sweep gives what single runs give."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import moodbench
from moodbench.cli.params import parse_params
from moodbench.errors import UnknownNameError, UsageError
from moodbench.evaluation.kept import kept_rows
from moodbench.results import read_results
from moodbench.results.table import format_rows
from moodbench.scores.machinery.variants import MOST_VARIANTS, make_variants, score_of
from moodbench.workspace import ModelName

QUIET = {"device": "cpu", "report": lambda line: None}


def described(params, *names):
    return [(score_of(label), one.describe()) for label, one in make_variants(names or tuple(params), params).items()]


def test_a_list_is_a_variant_for_each_value_and_lists_are_a_grid():
    assert described({"knn": {"k": [1, 10, 100]}}) == [("knn", "k=1"), ("knn", "k=10"), ("knn", "k=100")]
    pairs = [params.split(";")[:2] for _, params in described({"vra": {"low": (0.5, 0.6), "high": [0.9, 0.95]}})]
    assert pairs == [[f"low={low}", f"high={high}"] for low, high in product((0.5, 0.6), (0.9, 0.95))]


@pytest.mark.parametrize("values", [range(1, 4), np.arange(1, 4), (1, 2, 3), ["1", "2", "3"]])
def test_any_sequence_is_a_sweep(values):
    assert described({"knn": {"k": values}}) == [("knn", f"k={k}") for k in (1, 2, 3)]


def test_one_value_runs_under_the_name_of_the_score():
    for one in (7, [7], "7", np.int64(7)):
        assert list(make_variants(["knn"], {"knn": {"k": one}})) == ["knn"]


def test_values_have_the_type_of_their_parameter():
    variants = make_variants(["scale"], {"scale": {"relu": ["true", "false"], "percentile": ["80", "90.5"]}})
    found = {(one.relu, one.percentile) for one in variants.values()}
    assert found == {(True, 80.0), (True, 90.5), (False, 80.0), (False, 90.5)}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"knn": {"k": []}}, "the parameter 'knn.k' has no value"),
        ({"knn": {"k": [1, 1.5]}}, "'1.5' is not a whole number"),
        ({"knn": {"k": [10, 10]}}, "two variants of 'knn' have the same parameters: k=10"),
        ({"energy": {"temperature": [1.00000001, 1.00000002]}}, "have the same parameters: temperature=1"),
        ({"knn": {"k": range(1, 1 + MOST_VARIANTS + 1)}}, "make 201 variants, and at most 200"),
        ({"knn": {"j": [1, 2]}}, "has no parameter 'j'"),
        ({"msp": {"k": [1]}}, "has no parameter 'k'"),
        ({"vim": {"dim": 3}}, "there are parameters for the score 'vim', which is not run"),
    ],
)
def test_what_makes_no_sweep_is_refused(params, said):
    with pytest.raises(UsageError, match=said):
        make_variants(["knn", "msp", "energy"], params)


def test_an_unknown_score_is_named():
    with pytest.raises(UnknownNameError, match="knm"):
        make_variants(["knn"], {"knm": {"k": [1]}})


@given(st.lists(st.text("ab1,\\. ", min_size=1).filter(lambda t: t.strip() and not t.endswith("\\")), min_size=1))
def test_commas_part_values_and_escaped_ones_do_not(values):
    values = [value.replace("\\", "") for value in values]
    values = [value if value.strip() else "x" for value in values]
    item = "a.b=" + ",".join(value.replace(",", r"\,") for value in values)
    assert parse_params([item]) == {"a": {"b": values[0] if len(values) == 1 else values}}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["knn.k=1,,2"], "a comma without a value beside it"),
        (["knn.k=1,"], "a comma without a value beside it"),
        (["knn.k=,"], "a comma without a value beside it"),
        (["knn.k=1", "knn.k=2"], "the parameter 'knn.k' is given twice"),
        (["knn.k="], "is not a parameter"),
        (["k=1"], "is not a parameter"),
    ],
)
def test_what_is_no_parameter_is_refused(items, said):
    with pytest.raises(UsageError, match=said):
        parse_params(items)


def test_a_sweep_gives_the_rows_of_single_runs(space):
    values = {"knn": {"k": [1, 3, 9]}, "energy_react": {"quantile": [0.8, 0.9]}, "lof": {"k": [5, 10]}}
    moodbench.score(model="net", score=[*values, "msp"], benchmark="b", params=values, workspace=space, **QUIET)
    file = space.results_file("b", ModelName("net"))
    together = file.read_text()
    kept = kept_rows(space, "b", "net").kept.arrays
    for score, (key, some) in ((score, next(iter(its.items()))) for score, its in values.items()):
        for value in some:
            how = {"params": {score: {key: value}}, "workspace": space, **QUIET}
            moodbench.score(model="net", score=score, benchmark="b", **how)
    assert file.read_text() == together
    again = kept_rows(space, "b", "net").kept.arrays
    assert kept.keys() == again.keys()
    assert all(np.array_equal(kept[path], again[path]) for path in kept)


def test_each_variant_keeps_its_row_scores(space):
    moodbench.score(model="net", score="knn", benchmark="b", params={"knn": {"k": [1, 5]}}, workspace=space, **QUIET)
    names = kept_rows(space, "b", "net").kept.names
    assert {("knn", "k=1"), ("knn", "k=5")} <= set(names)


def test_variants_share_a_pass_over_the_rows(space, monkeypatch):
    from moodbench.features.reader import RowReader

    counted = []
    blocks = RowReader.blocks

    def counting(self, *args, **how):
        counted.append(self.file.stem)
        return blocks(self, *args, **how)

    monkeypatch.setattr(RowReader, "blocks", counting)
    moodbench.score(model="net", score="vim", benchmark="b", workspace=space, **QUIET)
    single, counted[:] = list(counted), []
    how = {"params": {"vim": {"dim": [1, 2, 3]}}, "workspace": space, **QUIET}
    moodbench.score(model="net", score="vim", benchmark="b", **how)
    assert counted == single


def test_seeds_and_sweeps_go_together(space):
    params = {"kmeans": {"clusters": [2, 4]}}
    how = {"model": "net", "benchmark": "b", "workspace": space, **QUIET}
    rows = moodbench.score(score=["kmeans", "msp"], params=params, seeds=2, **how)
    both = {row.params for row in rows if row.score == "kmeans"}
    assert both == {f"clusters={n};rows=10000;seed=0..1" for n in (2, 4)}
    one = moodbench.score(score="kmeans", params={"kmeans": {"clusters": 4}}, seeds=2, **how)
    assert format_rows(one) == format_rows(row for row in rows if "clusters=4" in row.params)


def test_with_seeds_the_variants_without_a_random_part_stay(space):
    how = {"model": "net", "benchmark": "b", "workspace": space, "params": {"knn": {"k": [1, 5]}}, **QUIET}
    moodbench.score(score="knn", **how)
    said = []
    rows = moodbench.score(score=["knn", "kmeans"], seeds=2, **how | {"report": said.append})
    assert any("kept the results of 1 score" in line for line in said)
    assert {row.params for row in rows if row.score == "knn"} == {"k=1", "k=5"}
    assert len(read_results(space.results_file("b", ModelName("net")))) == len(rows)


def test_each_class_in_turn_takes_sweeps_too(space):
    how = {"model": "net", "score": "knn", "benchmark": "each", "workspace": space, **QUIET}
    rows = moodbench.score(params={"knn": {"k": [1, 2]}}, **how)
    single = moodbench.score(params={"knn": {"k": 2}}, **how)
    assert format_rows(row for row in rows if row.params == "k=2") == format_rows(single)
