"""Shards are filled by any number of processes, in any order, twice or half, and end as an extraction in one file."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features.cache import FeatureCache
from moodbench.features.lock import BusyError, exclusive
from moodbench.features.reader import RowReader
from moodbench.features.shards.plan import plan_file, read_plan
from moodbench.features.verify import check_cache
from moodbench.shard_names import shards_folder
from tests.extracting import KILLED, arrays, run, stopped_after
from tests.sharded import count

SOME = "blocks.1,blocks.3"


def same_rows(joined, one):
    """Check that a cache in shards, as HDF5 reads it, is that of one file, and so does its fingerprint."""
    a, b = arrays(joined), arrays(one)
    assert set(a) - {"shards"} == set(b)
    for name in b:
        assert a[name].tolist() == b[name].tolist(), name
    with FeatureCache(joined) as x, FeatureCache(one) as y:
        assert x.fingerprint == y.fingerprint
        assert x.head == y.head
        own = {key: value for key, value in x.provenance.items() if key != "time"}
        assert own == {key: value for key, value in y.provenance.items() if key != "time"}
    check_cache(joined)


@pytest.mark.parametrize("seed", range(3))
def test_shards_in_any_order_end_as_one_file(space, seed):
    (whole,) = run(space, variant="whole")
    order = [1, 2, 3, 2]
    random.Random(seed).shuffle(order)
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    for place, index in enumerate(order):
        (done,) = run(space, shard=f"{index}/3", batch_size=8 if place == 0 else 5)  # the plan's is kept
        assert done.already is (index in order[:place])
        if {1, 2, 3} <= set(order[:place]):
            assert done.shard is None
        else:
            assert (done.shard, done.rows) == ((index, 3), (16, 16, 10)[index - 1])
        assert file.exists() is ({1, 2, 3} <= set(order[: place + 1]))
    same_rows(file, whole.file)
    (again,) = run(space)
    assert (again.already, again.rows) == (True, 42)
    assert RowReader(file).rows == 42


def test_without_a_shard_what_was_begun_in_shards_goes_on_so(space):
    (whole,) = run(space, variant="whole")
    run(space, shard="2/3")
    (done,) = run(space)
    assert (done.file, done.rows, done.begun_at, done.shard) == (space.cache_dir / "tiny/tiny_train.h5", 42, 16, None)
    same_rows(done.file, whole.file)
    assert count(done.file) == 3


@pytest.mark.parametrize("lost", [(2,), (1, 3)])
def test_a_shard_that_is_gone_from_a_joined_cache_is_made_again_alone(space, lost):
    for index in (1, 2, 3):
        run(space, shard=f"{index}/3")
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    before, manifest = {one.name: one.stat() for one in shards_folder(file).glob("*.h5")}, arrays(file)
    for index in lost:
        (shards_folder(file) / f"shard-0000{index}-of-00003.h5").unlink()
    with pytest.raises(CacheError, match="is missing") as caught:
        check_cache(file)
    assert caught.value.fix.startswith("run the same moodbench extract as before")
    (done,) = run(space)
    assert done.rows - done.begun_at == sum((16, 16, 10)[index - 1] for index in lost)
    after = {one.name: one.stat() for one in shards_folder(file).glob("*.h5")}
    kept = {name for name in before if not any(f"-0000{index}-" in name for index in lost)}
    same = {
        name
        for name in after
        if (after[name].st_ino, after[name].st_mtime_ns) == (before[name].st_ino, before[name].st_mtime_ns)
    }
    assert same == kept
    assert {name: values.tolist() for name, values in arrays(file).items() if name != "shards"} == {
        name: values.tolist() for name, values in manifest.items() if name != "shards"
    }
    (whole,) = run(space, variant="whole")
    same_rows(file, whole.file)


def test_a_job_makes_the_shard_that_is_gone(space):
    for index in (1, 2, 3):
        run(space, shard=f"{index}/3")
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    (shards_folder(file) / "shard-00002-of-00003.h5").unlink()
    (done,) = run(space, shard="2/3")
    assert (done.rows, done.begun_at) == (16, 0)
    (whole,) = run(space, variant="whole")
    same_rows(file, whole.file)


def test_nothing_is_removed_for_an_extraction_of_something_else(space):
    for index in (1, 2, 3):
        run(space, shard=f"{index}/3")
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    (shards_folder(file) / "shard-00002-of-00003.h5").unlink()
    with pytest.raises(CacheMismatchError):
        run(space, limit=10)
    assert file.exists()


def test_views_are_in_shards_too(space):
    (whole,) = run(space, variant="whole", layers=SOME)
    for index in (3, 1, 2):
        (done,) = run(space, shard=f"{index}/3", layers=SOME)
        assert [one.shard for one in done.layers] == [(index, 3)] * 2
    for name, one in whole.views.items():
        same_rows(space.cache_dir / f"tiny@{name}" / "tiny_train.h5", one.file)
    same_rows(space.cache_dir / "tiny" / "tiny_train.h5", whole.file)


def test_views_come_later_in_the_shards_of_the_model(space):
    (whole,) = run(space, variant="whole", layers=SOME)
    run(space, shard="1/3")
    (done,) = run(space, layers=SOME)
    for name, one in whole.views.items():
        assert read_plan(done.views[name].file).rows_per_shard == 16
        same_rows(done.views[name].file, one.file)


def test_views_of_a_model_in_one_file_may_be_in_shards(space):
    (whole,) = run(space, layers=SOME, variant="whole")
    run(space)
    for index in (2, 1):
        (done,) = run(space, shard=f"{index}/2", layers=SOME, batch_size=4)  # the model's own batches are kept
        assert (done.shard, done.already) == (None, True)
    for name, one in whole.views.items():
        same_rows(space.cache_dir / f"tiny@{name}" / "tiny_train.h5", one.file)


def test_several_datasets_are_each_in_shards(space):
    done = run(space, dataset=["tiny_train", "tiny_test"], shard="2/2")
    assert [(one.rows, one.shard) for one in done] == [(18, (2, 2)), (5, (2, 2))]


def test_a_trial_is_in_shards_of_its_rows(space):
    (whole,) = run(space, variant="whole", limit=20)
    for index in (1, 2):
        (done,) = run(space, limit=20, shard=f"{index}/2")
    same_rows(space.cache_dir / "tiny" / "tiny_train.h5", whole.file)
    assert done.rows == 4


def test_few_images_leave_shards_without_rows(space):
    lines = []
    (done,) = run(space, dataset=["tiny_ood"], shard="3/4", report=lines.append)
    assert (done.rows, done.shard) == (0, (3, 4))
    assert lines[-1] == "skip tiny on tiny_ood, shard 3 of 4: it has no rows, as there are few images"
    for index in (1, 2):
        run(space, dataset=["tiny_ood"], shard=f"{index}/4")
    assert RowReader(space.cache_dir / "tiny" / "tiny_ood.h5").rows == 11


@pytest.mark.parametrize("rows", [1, 8, 9, 16, 30])
def test_a_run_that_stops_loses_nothing(space, rows):
    (whole,) = run(space, variant="whole")
    run(space, shard="3/3")
    with stopped_after(rows):
        run(space)
    (done,) = run(space)
    assert done.begun_at == 10 + rows // 8 * 8
    same_rows(done.file, whole.file)


@pytest.mark.parametrize("lines", [1, 9, 13])
def test_kill_9_then_go_on(space, catalog, tmp_path, lines):
    (whole,) = run(space, variant="whole", batch_size=2)
    run(space, shard="2/3", batch_size=2)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(catalog), "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(lines):
            assert process.stdout.readline() == "row\n"
        time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    (done,) = run(space)
    assert done.begun_at >= 14 + 2 * (lines - 1)
    same_rows(done.file, whole.file)


def test_an_end_that_was_killed_before_it_joined_is_made_up_for(space, monkeypatch):
    (whole,) = run(space, variant="whole")
    run(space, shard="1/2")
    with monkeypatch.context() as patched:
        patched.setattr("moodbench.features.shards.fill.join", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            run(space, shard="2/2")
    (done,) = run(space, shard="1/2")
    assert done.already
    same_rows(space.cache_dir / "tiny" / "tiny_train.h5", whole.file)


def test_shards_that_others_fill_are_left_to_them(space):
    run(space, shard="1/3")
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    with exclusive(read_plan(file).file_of(file, 2)):
        with pytest.raises(BusyError, match="another process is writing this cache"):
            run(space, shard="2/3")
        with pytest.raises(BusyError, match="1 shard of 'tiny' on 'tiny_train' is being written by other processes"):
            run(space)
    assert [one.name for one in sorted(shards_folder(file).glob("*.h5"))] == [
        "shard-00001-of-00003.h5",
        "shard-00003-of-00003.h5",
    ]
    run(space, shard="2/3")
    assert RowReader(file).rows == 42


def test_jobs_that_begin_at_once_make_one_plan(space):
    (whole,) = run(space, variant="whole")
    with ThreadPoolExecutor(3) as jobs:
        done = list(jobs.map(lambda index: run(space, shard=f"{index}/3")[0], (1, 2, 3)))
    assert sorted(one.rows for one in done) == [10, 16, 16]
    same_rows(space.cache_dir / "tiny" / "tiny_train.h5", whole.file)


def test_who_comes_while_a_plan_is_made_waits_for_it(space):
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    with ThreadPoolExecutor(1) as jobs:
        with exclusive(file):
            job = jobs.submit(run, space, shard="1/3")
            with pytest.raises(TimeoutError):
                job.result(1)
            assert not plan_file(file).exists()
        assert job.result()[0].rows == 16


def test_other_shards_are_refused(space):
    run(space, shard="1/3")
    with pytest.raises(CacheMismatchError, match="in 3 shards of 16 rows; --shard 1/2 makes shards of 24"):
        run(space, shard="1/2")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"transform": "moodv2", "variant": "v"}, "transform.kind: model in the cache, moodv2 now"),
        ({"limit": 40, "variant": "v"}, "limit: none in the cache, 40 now"),
        ({"precision": "bf16", "variant": "v"}, "precision: fp32 in the cache, bf16 now"),
    ],
)
def test_what_does_not_fit_the_plan_is_refused_by_name(space, options, named):
    run(space, shard="1/3", variant="v")
    for shard in ("2/3", None):
        with pytest.raises(CacheMismatchError) as caught:
            run(space, **options, shard=shard)
        assert named in str(caught.value)
        assert "moodbench cache remove --model tiny@v --dataset tiny_train" in str(caught.value)


def test_a_cache_that_was_begun_in_one_file_ends_in_one(space, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FeatureCache, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            run(space)
    with pytest.raises(CacheError, match="was begun in one file, without shards") as caught:
        run(space, shard="1/3")
    assert "go on without --shard" in caught.value.fix
    (done,) = run(space)
    assert count(done.file) == 0
    (again,) = run(space, shard="1/3")
    assert (again.already, again.shard) == (True, None)


def test_a_damaged_plan_can_be_made_again(space):
    run(space, shard="1/3")
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    plan_file(file).write_text("{", encoding="utf-8")
    with pytest.raises(CacheError, match="the plan of the shards is damaged"):
        run(space, shard="2/3")
    plan_file(file).unlink()
    (done,) = run(space, shard="1/3")
    assert done.already


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_without_a_shard_the_shards_of_a_plan_that_is_gone_are_kept(space, lost):
    (whole,) = run(space, variant="whole")
    for index in {1, 2, 3} - {lost}:
        run(space, shard=f"{index}/3", layers=SOME)
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    plan_file(file).unlink()
    (done,) = run(space, batch_size=5)  # theirs is kept
    assert (done.rows, done.begun_at) == (42, 42 - (16, 16, 10)[lost - 1])
    same_rows(file, whole.file)
    assert count(file) == 3
    (done,) = run(space, layers=SOME)  # the plans of the views, which are there, fit that of the model
    assert count(space.cache_dir / "tiny@layer-blocks.1" / "tiny_train.h5") == 3


def test_the_advice_about_a_shard_and_a_plan_that_are_gone_makes_the_shard_alone(space):
    for index in (1, 2, 3):
        run(space, shard=f"{index}/3")
    file = space.cache_dir / "tiny" / "tiny_train.h5"
    read_plan(file).file_of(file, 2).unlink()
    plan_file(file).unlink()
    with pytest.raises(CacheError, match="shard 2 of 3 is missing") as caught:
        run(space)
    assert caught.value.fix.startswith("remove the manifest 'tiny_train.h5', then run the same moodbench extract")
    file.unlink()
    (done,) = run(space)
    assert (done.rows, done.begun_at) == (42, 26)
    check_cache(file)


def test_shards_without_a_plan_that_fit_nothing_are_no_beginning(space):
    run(space, shard="2/3", variant="v", precision="bf16")
    run(space, shard="1/3")
    mine, other = (space.cache_dir / name / "tiny_train.h5" for name in ("tiny", "tiny@v"))
    plan, shard = read_plan(mine), read_plan(mine).file_of(mine, 1)
    shutil.copy(plan.file_of(other, 2), plan.file_of(mine, 2))
    plan_file(mine).unlink()
    shard.write_bytes(shard.read_bytes()[:3000])
    (done,) = run(space, precision="fp32")
    assert (done.rows, done.begun_at) == (42, 0)
    check_cache(mine)


def test_other_shards_than_those_of_a_plan_that_is_gone_may_be_asked_for(space):
    run(space, shard="1/3")
    plan_file(space.cache_dir / "tiny" / "tiny_train.h5").unlink()
    (done,) = run(space, shard="2/6")
    assert (done.shard, done.rows) == ((2, 6), 8)


def test_a_shard_of_other_weights_is_not_joined(space):
    for index in (1, 3):
        run(space, shard=f"{index}/3")
    run(space, shard="2/3", variant="v", precision="bf16")
    mine = space.cache_dir / "tiny" / "tiny_train.h5"
    other = space.cache_dir / "tiny@v" / "tiny_train.h5"
    shutil.copy(read_plan(other).file_of(other, 2), read_plan(mine).file_of(mine, 2))
    with pytest.raises(CacheMismatchError):
        run(space)
    assert not mine.exists()


def test_undecodable_images_are_left_out_in_shards(space, pictures, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(pictures / "ood", folder)
    (folder / "10.png").write_bytes(b"no picture")
    for index in (1, 2):
        (done,) = run(space, dataset=["mine"], images=folder, on_error="skip", shard=f"{index}/2")
    assert done.undecodable == ("10.png",)
    reader = RowReader(space.cache_dir / "tiny" / "mine.h5")
    assert (reader.rows, reader.skipped) == (10, 1)
