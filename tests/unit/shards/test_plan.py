"""Which rows are in which shard; plans that are damaged, foreign, or of other shards."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import CacheError, CacheMismatchError, UsageError
from moodbench.features.shards.leave import drop_begun_plan
from moodbench.features.shards.plan import ShardPlan, plan_file, read_plan, refuse_other_shards, write_plan
from moodbench.features.shards.share import Share, whole_batches


def a_plan(rows=1000, each=128, batch=64):
    return ShardPlan("m", "d", rows, each, "0" * 64, batch, True, 8, None, ["a", "b"], None, {"source": "extract"})


@given(rows=st.integers(1, 10**6), shards=st.integers(1, 2000), batch=st.integers(1, 600))
def test_shards_are_whole_batches_and_all_rows_once(rows, shards, batch):
    each = Share(1, shards).rows(rows, batch)
    assert each % batch == 0
    assert each - batch < -(-rows // shards) <= each
    plan = a_plan(rows, each, batch)
    assert plan.shards <= shards
    bounds = [plan.rows_of(index) for index in range(1, plan.shards + 1)]
    assert bounds[0].start == 0
    assert bounds[-1].stop == rows
    assert all(one.stop == other.start and one.start % batch == 0 for one, other in zip(bounds, bounds[1:]))  # noqa: B905, RUF007
    assert all(0 < bound.stop - bound.start <= each for bound in bounds)


def test_the_default_is_rounded_up_to_whole_batches():
    assert (whole_batches(16384, 64), whole_batches(16384, 48), whole_batches(1, 64)) == (16384, 16416, 64)


def test_shares_are_read_as_they_are_written():
    assert Share.parse("3/16") == Share(3, 16)


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "a/b", "3/16/2", "-1/4", "1.0/2", "3 / 16", "1/" + "9" * 5000])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(UsageError, match=r"--shard takes I/N, as in 3/16"):
        Share.parse(text)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1/200000", "1/1000000000", "9999999/9999999"])
def test_shares_of_nothing_are_refused(text):
    with pytest.raises(UsageError, match=r"is none of|too many") as caught:
        Share.parse(text)
    assert "$((SLURM_ARRAY_TASK_ID + 1))/$SLURM_ARRAY_TASK_COUNT" in caught.value.fix


@pytest.fixture
def cache(tmp_path):
    file = tmp_path / "m" / "d.h5"
    write_plan(file, a_plan())
    return file


def test_a_plan_is_read_as_it_was_written(cache, tmp_path):
    assert read_plan(cache) == a_plan()
    assert read_plan(tmp_path / "m" / "other.h5") is None


def test_other_shards_are_refused_by_name(cache):
    for share in (Share(1, 8), Share(9, 9), Share(2, 8)):  # 8 × 128; nine would be as large
        refuse_other_shards(cache, a_plan(), share)
    with pytest.raises(CacheMismatchError, match="in 8 shards of 128 rows; --shard 3/4 makes shards of 256") as caught:
        refuse_other_shards(cache, a_plan(), Share(3, 4))
    assert "--shard I/8" in caught.value.fix
    assert "cache remove --model m --dataset d" in caught.value.fix


def test_a_plan_in_the_place_of_another_is_refused(cache):
    cache.with_name("d.shards").rename(cache.with_name("e.shards"))
    with pytest.raises(CacheMismatchError, match="this is the plan of 'm' on 'd', in the place of another"):
        read_plan(cache.with_name("e.h5"))


def test_newer_plans_and_other_files_are_refused(cache):
    for record, what in (({"moodbench_shards": 2}, "version 2"), ({}, "version None"), ([], "version None")):
        plan_file(cache).write_text(json.dumps(record), encoding="utf-8")
        with pytest.raises(CacheError, match=what):
            read_plan(cache)


def test_every_byte_of_a_plan_can_flip(cache):
    good = plan_file(cache).read_bytes()
    for position in range(len(good)):
        data = bytearray(good)
        data[position] ^= 1 << position % 8
        plan_file(cache).write_bytes(data)
        try:
            found = read_plan(cache)
        except CacheError as error:
            found = error.file
        assert found in (a_plan(), plan_file(cache))  # a blank may become another


NO_PLANS = ["", "null", "3", "[" * 100_000, "\x00", '{"moodbench_shards": 1, "plan": 3, "sha256": ""}']


@pytest.mark.parametrize("text", NO_PLANS, ids=range(len(NO_PLANS)))
def test_what_is_no_plan_is_refused(cache, text):
    plan_file(cache).write_text(text, encoding="utf-8")
    with pytest.raises(CacheError) as caught:
        read_plan(cache)
    assert caught.value.file == plan_file(cache)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", 0),
        ("rows", 10**18),
        ("rows", "1"),
        ("rows_per_shard", 100),
        ("batch_size", 0),
        ("dim", None),
        ("provenance", []),
    ],
)
def test_plans_that_say_impossible_things_are_refused(cache, key, value):
    from moodbench.features.shards import plan as module

    record = json.loads(plan_file(cache).read_bytes())
    record["plan"][key] = value
    record["sha256"] = module._digest(record["plan"])
    plan_file(cache).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(CacheError, match="damaged"):
        read_plan(cache)


def test_what_a_killed_writer_left_of_a_plan_goes_with_the_next(tmp_path):
    file = tmp_path / "m" / "d.h5"
    left = plan_file(file).with_name(".plan.json.123.tmp")
    left.parent.mkdir(parents=True)
    left.write_text("{")
    write_plan(file, a_plan())
    assert [one.name for one in left.parent.iterdir()] == ["plan.json"]


def test_a_plan_that_was_only_begun_leaves_nothing_beside_a_cache_in_one_file(tmp_path):
    file = tmp_path / "m" / "d.h5"
    left = plan_file(file).with_name(".plan.json.123.tmp")
    left.parent.mkdir(parents=True)
    left.write_text("{")
    drop_begun_plan(file)
    assert not left.parent.exists()
    write_plan(file, a_plan())
    drop_begun_plan(file)
    assert plan_file(file).exists()
