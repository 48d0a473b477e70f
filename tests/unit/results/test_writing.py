"""Writing results: no step loses anything, readers and other writers meet whole files, and names hold what they say."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.faults.steps import KilledError, Steps, error, killed, watched
from moodbench.errors import ResultsError
from moodbench.results import (
    benchmarks_with_results,
    changing,
    pair,
    provenance_file,
    read_all,
    read_results,
    unverified,
    write_results,
)
from tests.results import NEW, outcome, row


def test_benchmarks_and_models_are_found_in_order(tmp_path):
    assert benchmarks_with_results(tmp_path / "nowhere") == []
    assert read_all(tmp_path, "imagenet") == []
    for benchmark in ("imagenet", "cifar10"):
        for model in ("vit", "beit"):
            one = replace(row(), benchmark=benchmark, model=model)
            write_results(tmp_path / benchmark / f"{model}.csv", [one], {})
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").touch()
    assert benchmarks_with_results(tmp_path) == ["cifar10", "imagenet"]
    assert [one.model for one in read_all(tmp_path, "imagenet")] == ["beit", "vit"]


def test_results_of_another_benchmark_are_not_mixed_in(tmp_path):
    write_results(tmp_path / "cifar10" / "vit.csv", [row()], {})
    with pytest.raises(ResultsError, match="'cifar10' holds results of 'imagenet'"):
        read_all(tmp_path, "cifar10")


def states(tmp_path):
    """Every state that a writer can find: nothing, a pair, a pair from before there were digests."""
    for name in ("nothing", "pair", "legacy"):
        file = tmp_path / name / "vit.csv"
        if name != "nothing":
            write_results(file, [row(auroc=0.1), row("energy", family="logit")], {"run": "old"})
        if name == "legacy":
            provenance_file(file).write_text('{"run": "old"}')
        yield file


@pytest.mark.parametrize("stop", [killed, error(errno.ENOSPC), error(errno.EACCES)])
@pytest.mark.parametrize("passing", [False, True])
def test_no_step_of_a_write_loses_anything(tmp_path, stop, passing):
    for original in states(tmp_path / "there"):
        old = outcome(original) if original.exists() else None
        for at in range(100):
            file = tmp_path / f"{original.parent.name}{at}" / "b" / "vit.csv"
            if old is not None:
                shutil.copytree(original.parent, file.parent)
            steps = Steps(at, stop, at if passing else None)
            with watched(steps), contextlib.suppress(ResultsError, KilledError):
                write_results(file, NEW, {"run": "new"})
            new = ([*NEW, *(old[0][1:] if old else [])], "new")
            if benchmarks_with_results(file.parents[1]):
                assert outcome(file) in (old, new)
            else:
                assert old is None
            write_results(file, NEW, {"run": "new"})  # the next run is not in the way of anything, and cleans up
            assert outcome(file) == new
            assert sorted(one.name for one in file.parent.iterdir()) == ["vit.csv", "vit.json"]
            if steps.count <= at:
                break
        assert at > 8


def test_a_reader_meets_no_half_written_pair(tmp_path):
    file = tmp_path / "b" / "vit.csv"
    write_results(file, [row(auroc=0.1)], {"run": "old"})
    seen = []

    def look():
        with watched(lambda: None):
            seen.append(outcome(file))

    with watched(look):
        write_results(file, NEW, {"run": "new"})
    old = ([row(auroc=0.1)], "old")
    assert seen[0] == old
    assert seen[-1] == (NEW, "new")
    assert all(one in (old, (NEW, "new")) for one in seen)


def test_a_writer_that_was_there_between_two_looks_is_no_damage(tmp_path, monkeypatch):
    file, other = tmp_path / "b" / "vit.csv", tmp_path / "other.csv"
    write_results(file, [row(auroc=0.1)], {"run": "old"})
    write_results(other, NEW, {"run": "new"})
    look, looked = pair._read, []

    def read(one):
        data = look(one)
        if not looked:  # the notes are those of the old pair; now the new one is put there
            shutil.copy(other, file)
            shutil.copy(provenance_file(other), provenance_file(file))
        looked.append(one)
        return data

    monkeypatch.setattr(pair, "_read", read)
    assert read_results(file) == NEW


def test_files_in_the_place_of_others_are_refused(tmp_path):
    for name in ("vit", "beit"):
        write_results(tmp_path / "imagenet" / f"{name}.csv", [replace(row(), model=name)], {})
    with pytest.raises(ResultsError, match="the file holds results of 'vit' on 'imagenet'"):
        write_results(tmp_path / "imagenet" / "vit.csv", [replace(row("energy"), model="beit")], {})
    for suffix in ("csv", "json"):
        shutil.copy(tmp_path / "imagenet" / f"vit.{suffix}", tmp_path / "imagenet" / f"beit.{suffix}")
    with pytest.raises(ResultsError, match=r"the model 'vit' has two result files; the other is beit.csv"):
        read_all(tmp_path, "imagenet")


def test_writers_side_by_side_end_with_all_rows_and_the_bytes_of_one_after_the_other(tmp_path):
    scores = [f"s{i}" for i in range(12)]

    def write(folder, names):
        for name in names:
            with changing(folder / "b" / "vit.csv") as there:
                done = sorted({name, *(there.provenance or {"done": []})["done"]})
                there.write([row(name)], {"done": done})

    write(tmp_path / "one", scores)
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(write, tmp_path / "many", scores[i::3]) for i in range(3)]:
            future.result()
    for name in ("vit.csv", "vit.json"):
        assert (tmp_path / "one" / "b" / name).read_bytes() == (tmp_path / "many" / "b" / name).read_bytes()
    assert len(list((tmp_path / "many" / "b").iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_a_users_error(tmp_path):
    (tmp_path / "imagenet").touch()
    with pytest.raises(ResultsError, match="cannot be written"):
        write_results(tmp_path / "imagenet" / "vit.csv", [row()], {})


def test_files_get_the_permissions_of_the_umask(tmp_path):
    write_results(tmp_path / "vit.csv", [row()], {})
    umask = os.umask(0)
    os.umask(umask)
    assert Path(tmp_path / "vit.csv").stat().st_mode & 0o777 == 0o666 & ~umask


def test_the_results_of_the_repository_are_what_was_written():
    folder = Path(__file__).parents[3] / "results"
    for benchmark in benchmarks_with_results(folder):
        assert read_all(folder, benchmark)
        assert not unverified(folder, benchmark)
