"""``moodbench results``: a number traced, runs joined, runs compared, as a person types it."""

from __future__ import annotations

import json

import pytest

from moodbench.results import read_all
from tests.commands import call, offered
from tests.runs import GROUPS, cached, fingerprint, put, row, rows_of

DATASETS = ("train", "test", *GROUPS)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Results of vit on the benchmark b, with the caches that they were made from."""
    from moodbench.workspace import Workspace

    monkeypatch.chdir(tmp_path)
    space = Workspace()
    for seed, name in enumerate(DATASETS):
        cached(space, "vit", name, seed)
    contents = {name: fingerprint(space, "vit", name) for name in DATASETS}
    rows = [*rows_of(auroc_low=0.8, auroc_high=0.95, remarks=("trial",)), row(score="knn", params="k=1")]
    put(tmp_path / "results", [*rows, row(score="knn", params="k=10", auroc=0.5)], contents=contents)
    return tmp_path


def shown(*args):
    done = call("results", "show", *args)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


class TestShow:
    def test_a_number_is_traced_to_its_caches(self, home):
        text = shown("vit/msp/far")
        assert text.startswith("MSP on vit, b: far (far)\n\nAUROC ")
        made_with = "moodbench 0.1.0, numpy 2.0, torch 2.5"
        for said in ("90.00  95 %: 80.00 to 95.00", "trial", made_with, "b/vit.csv (sha256"):
            assert said in text
        # not near, which this number does not depend on
        assert [line.split()[2] for line in text.splitlines()[-3:]] == ["train", "test", "far"]

    def test_of_a_mean_all_that_it_is_over(self, home):
        assert shown("vit/msp") == shown("vit/msp/mean") == shown("vit/msp/all")
        record = json.loads(shown("vit/msp", "--json"))
        assert {one["dataset"]: one["role"] for one in record["inputs"]} == {
            "train": "ID train",
            "test": "ID test",
            "near": "near OOD",
            "far": "far OOD",
            "sea": "far OOD",
        }
        assert {one["state"] for one in record["inputs"]} == {"same"}
        assert (record["metrics"]["auroc"], record["group"], record["changed"]) == (0.9, "all", [])
        assert record["row_scores"]["fault"] == "there are none"
        far = json.loads(shown("vit/msp/far", "--json"))
        assert far["ood"] == "far"  # a dataset comes before the group of its name
        assert "source" in far["inputs"][0] or far["inputs"][0]["rows"] == 3

    def test_what_changed_since_is_said(self, home):
        from moodbench.workspace import Workspace

        cached(Workspace(), "vit", "sea", 99)
        assert "stale: other than when it was made are now sea" in shown("vit/msp")
        assert "its caches have not changed since\n" in shown("vit/msp/near")
        (home / "cache" / "vit" / "near.h5").unlink()
        assert " gone " in shown("vit/msp/near")
        assert "its caches have not changed since, as far as they can be read here\n" in shown("vit/msp/near")

    def test_where_no_cache_is_nothing_is_claimed(self, home):
        text = shown("vit/msp", "--cache-dir", "elsewhere")
        assert "its caches are not here, so nothing says whether they have changed since\n" in text
        assert "None" not in text

    @pytest.mark.parametrize(
        ("cell", "said"),
        [
            ("vit", "'vit' names no cell of results"),
            ("vitt/msp", "there is no model with results 'vitt'. Did you mean 'vit'?"),
            ("vit/mspp", "there is no result of 'vit' with the score 'mspp'. Did you mean 'msp'?"),
            ("vit/msp/nearr", "'nearr'. Did you mean 'near'"),
            ("vit/knn/near", "several results are called 'vit/knn/near'"),
        ],
    )
    def test_what_is_no_cell_is_one_clear_message(self, home, cell, said):
        done = call("results", "show", cell)
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr

    def test_parameters_tell_several_apart(self, home):
        assert "name one with --params: 'k=1', 'k=10'" in call("results", "show", "vit/knn/near").stderr
        assert json.loads(shown("vit/knn/near", "--params", "k=10", "--json"))["metrics"]["auroc"] == 0.5
        assert call("results", "show", "vit/knn/near", "--params", "k=2").exit_code == 2

    def test_shells_are_offered_cells(self, home):
        assert set(offered("moodbench results show vit/m")[0]) == {"vit/msp"}


class TestMerge:
    def test_two_machines(self, home):
        put(home / "one", rows_of("moco"))
        done = call("results", "merge", "one", "results", "--into", "all")
        assert (done.exit_code, done.stdout) == (0, "")
        assert "moco on b: 10 rows, 10 of them new, from one\n" in done.stderr
        assert {r.model for r in read_all(home / "all", "b")} == {"moco", "vit"}
        done = call("results", "merge", "one")
        assert done.exit_code == 0
        assert {r.model for r in read_all(home / "results", "b")} == {"moco", "vit"}

    def test_contradictions_are_named(self, home):
        put(home / "one", [row(auroc=0.1)])
        put(home / "two", [row(auroc=0.2)])
        done = call("results", "merge", "one", "two", "--into", "all")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "1 row of 'vit' on 'b' contradicts itself:\n  msp on near: auroc 0.1 in one, 0.2 in two" in done.stderr
        assert not (home / "all").exists()


class TestDiff:
    def test_exit_status_is_that_of_diff(self, home):
        put(home / "other", rows_of(auroc=0.905))
        assert call("results", "diff", "results", "results").exit_code == 0
        done = call("results", "diff", "other", "results")
        assert done.exit_code == 1
        assert done.stdout.startswith("12 of 12 rows differ between other and results; the largest difference is")
        for wrong in (["results", "nowhere"], ["results", "other", "--tolerance", "-1"], ["results"]):
            done = call("results", "diff", *wrong)
            assert (done.exit_code, done.stdout) == (2, "")

    def test_a_tolerance_in_points(self, home):
        for name, auroc in (("one", 0.9), ("two", 0.904)):
            put(home / name, rows_of(auroc=auroc))
        assert call("results", "diff", "one", "two", "--tolerance", "0.4").exit_code == 0
        assert call("results", "diff", "one", "two", "--tolerance", "0.39").exit_code == 1

    def test_json_has_a_record_for_each_difference(self, home):
        put(home / "one", [row()])
        put(home / "two", [row(auroc=0.8, n_ood=7)])
        done = call("results", "diff", "one", "two", "--json")
        assert done.exit_code == 1
        auroc, n_ood = sorted(json.loads(done.stdout), key=lambda one: one["metric"])
        assert list(auroc) == [
            *("benchmark", "model", "score", "params", "ood", "group"),
            *("metric", "a", "b", "difference", "note"),
        ]
        assert (auroc["a"], auroc["b"], auroc["difference"]) == (0.9, 0.8, -0.1)
        assert (n_ood["metric"], n_ood["a"], n_ood["b"], n_ood["difference"]) == ("n_ood", 3, 7, None)
        assert json.loads(call("results", "diff", "one", "one", "--json").stdout) == []
