"""The results of several runs joined: equal rows once, contradictions refused by name, nothing half-written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.commands.results import merge_results
from moodbench.errors import ResultsError
from moodbench.results import read_all, read_provenance, write_results
from moodbench.results.merge import Source, joined
from tests.runs import GROUPS, ROLES, provenance, put, row, rows_of


def source(name, rows, **more):
    return Source(name, rows, provenance(rows, **more))


def keys(rows):
    return {row.key for row in rows}


@given(st.sets(st.sampled_from(["msp", "vim", "knn", "energy"]), min_size=1), st.data())
def test_the_join_of_parts_is_the_whole_in_whatever_order(scores, data):
    whole = rows_of(scores=sorted(scores))
    parts = [data.draw(st.lists(st.sampled_from(whole), min_size=1, unique_by=lambda r: r.key)) for _ in range(3)]
    contents = {name: name for name in ("train", "test", *GROUPS)}
    sources = [source(f"run{i}", part, contents=contents) for i, part in enumerate(parts)]
    rows, noted = joined(sources)
    assert keys(rows) == {key for part in parts for key in keys(part)}
    assert len(rows) == len(keys(rows))
    assert set(rows) <= set(whole)
    backwards, other = joined(sources[::-1])
    assert set(backwards) == set(rows)
    assert other["inputs"] == noted["inputs"]
    assert other["made_with"] == noted["made_with"]
    assert {name for names in noted["made_with"].values() for name in names} == {r.score for r in rows}


def test_one_source_is_what_it_was():
    rows = rows_of()
    assert joined([source("a", rows)]) == (rows, provenance(rows))


def test_ood_datasets_that_were_scored_on_different_machines_come_together():
    near, far = rows_of(oods=("near",)), rows_of(oods=("far", "sea"))
    rows, noted = joined([source("a", near), source("b", far)])
    assert {r.ood for r in rows} == set(GROUPS)  # and no mean, which needs the rows
    assert set(noted["inputs"]["contents"]) == set(noted["datasets"]) == {"train", "test", *GROUPS}


def test_contradictory_rows_are_refused_by_name():
    with pytest.raises(ResultsError) as caught:
        joined([source("here", [row(auroc=0.9), row(score="vim")]), source("there", [row(auroc=0.8)])])
    said = str(caught.value)
    assert "1 row of 'vit' on 'b' contradicts itself" in said
    assert "msp on near: auroc 0.9 in here, 0.8 in there" in said
    several = rows_of(scores=("msp", "vim", "knn"))
    with pytest.raises(ResultsError, match="and 12 more") as caught:
        joined([source("here", several), source("there", [replace(one, n_ood=4) for one in several])])
    assert "msp on near: n_ood 3 in here, 4 in there" in str(caught.value)
    third = [row(score="knn", auroc=0.1)]
    with pytest.raises(ResultsError, match=r"knn on near: auroc 0.9 in b, 0.1 in c"):
        joined([source("a", [row()]), source("b", [row(score="knn")]), source("c", third)])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"contents": {"train": "x", "test": "digest of test"}}, "from other caches of train"),
        ({"inputs": {"benchmark": {**ROLES, "id_test": []}, "contents": {}}}, "of another definition of the benchmark"),
        ({"inputs": {"benchmark": ROLES, "contents": {}, "head": "x"}}, "with another head"),
        ({"inputs": {}}, "of another definition of the benchmark"),
        ({"classes": ["a"]}, "say something else of 'classes'"),
        ({"scores": {"msp": {"title": "other", "paper": "", "year": 2020}}}, "say something else of 'scores.msp'"),
    ],
)
def test_results_of_other_inputs_are_refused(more, said):
    with pytest.raises(ResultsError, match=said):
        joined([source("here", [row()]), source("there", [row(ood="far"), row()], **more)])


def test_another_pretext_task_is_refused():
    other = replace(row(ood="far"), pretext="contrastive")
    with pytest.raises(ResultsError, match="'classification' in here and 'contrastive' in there"):
        joined([source("here", [row()]), source("there", [other])])


def test_versions_stay_with_the_rows_that_were_made_with_them():
    old = source("a", [row()], moodbench="0.1.0")
    new = source("b", [row(score="vim"), row()], moodbench="0.2.0")
    rows, noted = joined([old, new])
    assert len(rows) == 2
    assert noted["made_with"] == {
        "moodbench 0.1.0, numpy 2.0, torch 2.5": ["msp"],
        "moodbench 0.2.0, numpy 2.0, torch 2.5": ["vim"],
    }


class TestFolders:
    def test_machines_that_shared_the_work(self, tmp_path):
        put(tmp_path / "one", rows_of("vit", scores=("msp",)))
        put(tmp_path / "one", rows_of("moco"))
        put(tmp_path / "two", rows_of("vit", scores=("vim", "msp")))
        said = []
        written = merge_results([tmp_path / "one", tmp_path / "two"], into=tmp_path / "all", report=said.append)
        assert {file.name for file in written} == {"vit.csv", "moco.csv"}
        assert {(r.model, *r.key) for r in read_all(tmp_path / "all", "b")} == {
            (r.model, *r.key) for model in ("vit", "moco") for r in rows_of(model)
        }
        assert any(line.startswith("vit on b: 10 rows, 10 of them new, from ") for line in said)
        assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []
        before = {file: file.read_bytes() for file in (tmp_path / "all").rglob("*.*")}
        assert merge_results([tmp_path / "two"], into=tmp_path / "all", report=said.append) == []
        assert said[-1] == "vit on b: nothing new"
        assert before == {file: file.read_bytes() for file in (tmp_path / "all").rglob("*.*")}

    def test_what_is_there_takes_part_and_may_be_named_too(self, tmp_path):
        put(tmp_path / "one", rows_of(scores=("msp",)))
        put(tmp_path / "all", rows_of(scores=("vim",)))
        merge_results([tmp_path / "all", tmp_path / "one", tmp_path / "one"], into=tmp_path / "all")
        assert {r.score for r in read_all(tmp_path / "all", "b")} == {"msp", "vim"}
        assert read_provenance(tmp_path / "all" / "b" / "vit.csv")["model"] == "vit"

    @pytest.mark.parametrize("there", [True, False])
    def test_nothing_is_written_where_one_of_many_contradicts(self, tmp_path, there):
        for folder, auroc in (("one", 0.9), ("two", 0.8)):
            put(tmp_path / folder, rows_of("fine"))
            put(tmp_path / folder, rows_of("vit", auroc=auroc))
        if there:
            put(tmp_path / "all", rows_of("old"))
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ResultsError, match="contradict each other"):
            merge_results([tmp_path / "one", tmp_path / "two"], into=tmp_path / "all")
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_folder_without_results_is_refused(self, tmp_path):
        put(tmp_path / "one", rows_of())
        (tmp_path / "none").mkdir()
        for name in ("none", "nowhere"):
            with pytest.raises(ResultsError, match="this folder holds no results"):
                merge_results([tmp_path / "one", tmp_path / name], into=tmp_path / "all")
        assert not (tmp_path / "all").exists()
        with pytest.raises(ResultsError, match=f"name {tmp_path / 'one'}"):
            merge_results(tmp_path / "one" / "b", into=tmp_path / "all")

    def test_damaged_results_are_refused_before_anything_is_written(self, tmp_path):
        put(tmp_path / "one", rows_of("fine"))
        file = put(tmp_path / "two", rows_of("vit"))
        file.write_text(file.read_text().replace("0.9", "0.8"))
        with pytest.raises(ResultsError, match="changed after they were written"):
            merge_results([tmp_path / "one", tmp_path / "two"], into=tmp_path / "all")
        assert not (tmp_path / "all").exists()

    def test_results_without_provenance_of_inputs_are_joined_with_their_like_alone(self, tmp_path):
        for folder, score in (("one", "msp"), ("two", "vim")):
            write_results(tmp_path / folder / "b" / "vit.csv", [row(score=score)], {})
        merge_results([tmp_path / "one", tmp_path / "two"], into=tmp_path / "all")
        assert len(read_all(tmp_path / "all", "b")) == 2
        put(tmp_path / "three", [row(score="knn")])
        with pytest.raises(ResultsError, match="of another definition"):
            merge_results([tmp_path / "three"], into=tmp_path / "all")
        assert json.loads((tmp_path / "all" / "b" / "vit.json").read_text())["made_with"]
