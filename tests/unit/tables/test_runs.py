"""Training runs of one recipe as one model: means, spreads, and what a run lacks."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import pytest
import yaml

from moodbench.commands.table import table
from moodbench.errors import ResultsError, UsageError
from moodbench.results import write_results
from moodbench.tables.runs import group_of, together
from moodbench.workspace import Workspace
from tests.runs import provenance, rows_of

GROUPS = {"a_s0": "a", "a_s1": "a", "a_s2": "a"}
AUROCS = {"a_s0": 0.9, "a_s1": 0.8, "a_s2": 0.85, "b": 0.7}


def rows():
    return [row for model, auroc in AUROCS.items() for row in rows_of(model, auroc=auroc, auroc_low=auroc - 0.1)]


def test_names_of_groups():
    assert group_of("a_s1@moodv2+probe", GROUPS) == "a@moodv2+probe"
    assert group_of("b", GROUPS) is None


def test_means_and_spreads():
    found = together(rows(), GROUPS)
    assert {row.model for row in found} == {"a", "b"}
    assert [row for row in found if row.model == "b"] == rows_of("b", auroc=0.7, auroc_low=0.6)
    of_a = [row for row in found if row.model == "a"]
    assert {row.key for row in of_a} == {row.key for row in rows_of("b")}
    some = [0.9, 0.8, 0.85]
    for row in of_a:
        assert row.auroc == pytest.approx(statistics.mean(some))
        assert row.auroc_seed_sd == pytest.approx(statistics.stdev(some))
        assert row.auroc_low == pytest.approx(0.75)
        assert (row.fpr95, row.fpr95_seed_sd, row.aupr_in) == (0.25, 0, None)
        assert row.remarks == ("mean ± sample standard deviation over 3 training runs: a_s0, a_s1, a_s2",)


def test_what_a_run_lacks_leaves_a_cell_empty():
    some = [row for row in rows() if (row.model, row.score, row.ood) != ("a_s1", "vim", "far")]
    some = [
        replace(r, auroc=None, note="no head") if (r.model, r.score, r.ood) == ("a_s2", "msp", "sea") else r
        for r in some
    ]
    found = {(row.score, row.ood): row for row in together(some, GROUPS) if row.model == "a" and row.ood != "mean"}
    assert (found["vim", "far"].auroc, found["vim", "far"].note) == (None, "no number of a_s1")
    assert (found["msp", "sea"].auroc, found["msp", "sea"].note) == (None, "no number of a_s2; no head")
    assert found["msp", "far"].auroc is not None


def test_a_single_run_stays_what_it_is():
    one = rows_of("a_s0")
    assert together(one, GROUPS) == one


@pytest.fixture
def space(tmp_path):
    entry = {"title": "A", "pretext": "classification", "timm": "resnet18"}
    catalog = {
        "models": {name: {**entry, "title": name.upper(), "runs": "a"} for name in GROUPS} | {"b": entry},
        "datasets": {name: {"title": name} for name in ("train", "test", "near", "far", "sea")},
        "benchmarks": {"b": {"id_train": "train", "id_test": "test", "ood": {"near": ["near"], "far": ["far", "sea"]}}},
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (tmp_path / "catalog.yaml",))
    for model, auroc in AUROCS.items():
        its = rows_of(model, auroc=auroc)
        write_results(space.results_dir / "b" / f"{model}.csv", its, provenance(its))
    return space


def test_the_table(space):
    text = str(table(benchmark="b", runs=True, format="plain", workspace=space))
    assert "85.00 ±5.00" in text
    assert "over 3 training runs: a_s0, a_s1, a_s2" in text
    assert {*text.split()} & {"A_S0", "A_S1"} == set()
    made = json.loads(table(benchmark="b", runs=True, model="a", format="json", layout="grid", workspace=space))
    assert "0.85" in json.dumps(made)
    assert "A_S0" in str(table(benchmark="b", format="plain", workspace=space))


def test_a_group_that_is_called_as_a_model_is_refused(space):
    file = space.catalogs[0]
    file.write_text(file.read_text().replace("runs: a\n", "runs: b\n"))
    with pytest.raises(UsageError, match="'b' is a model and a group of training runs"):
        table(benchmark="b", runs=True, workspace=replace(space))


@pytest.mark.parametrize("how", [{"significance": True}, {"layout": "paper"}, {"layout": "depth"}])
def test_what_is_about_single_models_is_refused(space, how):
    with pytest.raises(UsageError, match="--runs shows means over several"):
        table(benchmark="b", runs=True, workspace=space, **how)


def put(space, model, weights, images="same"):
    """Write results of a model that was extracted with these weights, of these images."""
    its = rows_of(model, auroc=AUROCS[model])
    made = {"source": "extract", "model": {"weights_sha256": weights}, "images": {"fingerprint": images}}
    datasets = {"far": {"contents": "x", "rows": 3, "skipped": 0, "provenance": made}}
    write_results(space.results_dir / "b" / f"{model}.csv", its, {**provenance(its), "datasets": datasets})


def test_runs_that_are_one_run_or_have_other_images_have_no_mean(space):
    for number, model in enumerate(GROUPS):
        put(space, model, f"w{number}")
    assert "85.00 ±5.00" in str(table(benchmark="b", runs=True, format="plain", workspace=space))
    put(space, "a_s2", "w0")
    with pytest.raises(
        ResultsError, match="'a_s0' and 'a_s2' have the same weights, and are no two training runs of 'a'"
    ):
        table(benchmark="b", runs=True, workspace=space)
    assert "70.00" in str(table(benchmark="b", runs=True, model="b", format="plain", workspace=space))
    put(space, "a_s2", "w2", "others")
    with pytest.raises(ResultsError, match="'a_s0' and 'a_s2' are runs of 'a', and were given other images of far"):
        table(benchmark="b", runs=True, workspace=space)
    assert "A_S2" in str(table(benchmark="b", format="plain", workspace=space))


def test_names_of_runs_and_of_groups_are_not_taken_for_one_another(space):
    with pytest.raises(UsageError, match="with --runs 'a_s1' is one of the runs of 'a'") as error:
        table(benchmark="b", runs=True, model="a_s1", workspace=space)
    assert error.value.fix == "--model a, or leave --runs out"
    with pytest.raises(UsageError, match="'a' is a group of training runs") as error:
        table(benchmark="b", model="a", workspace=space)
    assert error.value.fix == "--runs shows the means over them"
    with pytest.raises(UsageError, match="there is no model with results 'c'"):
        table(benchmark="b", model="c", runs=True, workspace=space)
