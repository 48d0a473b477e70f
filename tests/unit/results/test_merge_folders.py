"""Folders of results joined: what lies beside the results, what a killed process leaves, and two at the same time."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace

import pytest

from moodbench.atomic import temporary_file
from moodbench.commands.results import merge_results
from moodbench.errors import ResultsError
from moodbench.lock import exclusive
from moodbench.results import read_provenance, read_results, write_results
from moodbench.sharing import joining as command
from moodbench.tables.classes import class_rows
from moodbench.workspace import ModelName, Workspace
from tests.runs import ROLES, provenance, put, row, rows_of

CONTENTS = {name: f"digest of {name}" for name in ("near", "test", "train")}


def put_classes(folder, model="vit", classes=("cat", "dog"), auroc=0.9, **more):
    rows = [replace(row(model, auroc=auroc), ood=f"near/{name}") for name in classes]
    file = Workspace(results_dir=folder).class_results_file("b", ModelName.parse(model))
    inputs = {"inputs": {"benchmark": ROLES, "contents": CONTENTS}} | more
    write_results(file, rows, {key: provenance(rows, **inputs)[key] for key in ("moodbench", "inputs", "scores")})
    return file


def shown(folder, model="vit"):
    return {row.ood for row in class_rows(Workspace(results_dir=folder), "b", model)}


def files(folder):
    return {file.relative_to(folder): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("there", [True, False])
def test_results_by_class_come_along_and_stay_valid_beside_more_datasets(tmp_path, there):
    put(tmp_path / "one", rows_of(oods=("near",)))
    put_classes(tmp_path / "one")
    put(tmp_path / "two", rows_of(oods=("far", "sea")))
    put(tmp_path / "two", rows_of("moco", oods=("near",)))
    put_classes(tmp_path / "two", "moco", ("cat",))
    if there:
        put(tmp_path / "all", rows_of("old"))
    written = merge_results([tmp_path / "one", tmp_path / "two"], into=tmp_path / "all")
    names = {str(file.relative_to(tmp_path / "all")) for file in written}
    assert names == {"b/vit.csv", "b/moco.csv", "b/classes/vit.csv", "b/classes/moco.csv"}
    assert all(file.is_file() for file in written)
    assert shown(tmp_path / "all") == {"near/cat", "near/dog"}
    assert shown(tmp_path / "all", "moco") == {"near/cat"}
    before = files(tmp_path / "all")
    assert merge_results([tmp_path / "one", tmp_path / "two"], into=tmp_path / "all") == []
    assert files(tmp_path / "all") == before


def test_results_by_class_that_contradict_are_refused_before_anything_is_written(tmp_path):
    for name, auroc in (("one", 0.9), ("two", 0.8)):
        put(tmp_path / name, rows_of(oods=("near",)))
        put_classes(tmp_path / name, auroc=auroc)
    with pytest.raises(ResultsError, match=r"msp on near/cat: auroc 0\.9 in .*one, 0\.8 in .*two"):
        merge_results([tmp_path / "one", tmp_path / "two"], into=tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_results_by_class_of_other_caches_are_left_out_and_said(tmp_path):
    put(tmp_path / "one", rows_of(oods=("near",)))
    file = put_classes(tmp_path / "one", inputs={"benchmark": ROLES, "contents": CONTENTS | {"near": "other"}})
    said = []
    merge_results(tmp_path / "one", into=tmp_path / "all", report=said.append)
    assert said[0] == f"{file}: left out, made from something else than the results beside it"
    assert not (tmp_path / "all" / "b" / "classes").exists()
    with pytest.raises(ResultsError, match="made from something else"):
        shown(tmp_path / "one")


def test_what_a_killed_merge_left_goes_with_the_next(tmp_path, monkeypatch):
    put(tmp_path / "one", rows_of())
    child = os.fork()
    if not child:
        monkeypatch.setattr(command, "sync_folder", lambda folder: None)
        write = command._write

        def killed(*args):
            write(*args)
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(command, "_write", killed)
        merge_results(tmp_path / "one", into=tmp_path / "all")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".all.")]
    assert any(name.endswith(".tmp") for name in left)
    assert not (tmp_path / "all").exists()
    merge_results(tmp_path / "one", into=tmp_path / "all")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["all", "one"]
    assert files(tmp_path / "all") == files(tmp_path / "one")


def test_two_merges_into_a_folder_that_is_new_wait_for_one_another(tmp_path):
    put(tmp_path / "one", rows_of(scores=("msp",)))
    put(tmp_path / "two", rows_of(scores=("vim",)))
    waits, said = threading.Event(), []

    def report(line):
        said.append(line)
        waits.set()

    def second():
        merge_results(tmp_path / "two", into=tmp_path / "all", report=report)

    other = threading.Thread(target=second)
    with exclusive(tmp_path / "all", tidy=True):
        other.start()
        assert waits.wait(30)
        put(tmp_path / "all", rows_of(scores=("msp",)))
    other.join(30)
    assert said[0] == f"{tmp_path / 'all'}: another process is writing it: waiting"
    file = tmp_path / "all" / "b" / "vit.csv"
    assert {one.score for one in read_results(file)} == {"msp", "vim"}
    assert set(read_provenance(file)["scores"]) == {"msp", "vim"}
    assert not temporary_file(tmp_path / "all").exists()
