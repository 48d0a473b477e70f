"""Costs and predictions: what they are made of holds, the page is what the program writes, and plans replay rightly."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scaling.__main__ import main
from benchmarks.scaling.constants import CONSTANTS, value
from benchmarks.scaling.cost import MODELS, WORKS, counted_flops, merged_bytes, scoring_core_seconds
from benchmarks.scaling.page import PAGE, TABLES, filled, table
from benchmarks.scaling.predict import VIT, Cluster
from benchmarks.scaling.simulate import Workers, plan, replay

CALM = {"start": 0.0, "shard": 0.0, "spread": 0.0, "slow": 0.0, "deaths": 0.0}


def test_page_is_what_the_program_writes():
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "run python -m benchmarks.scaling --write"


def test_a_page_without_a_place_is_refused():
    with pytest.raises(ValueError, match="no place for the table 'constants'"):
        filled("# Another page\n")


@pytest.mark.parametrize("name", MODELS)
def test_operations_are_those_that_torch_counts(name):
    assert counted_flops(name) == pytest.approx(MODELS[name].flops, rel=1e-3)


def test_a_row_of_the_cache_is_its_arrays_and_its_id():
    assert VIT.row_bytes == 4 * (768 + 1000) + 8 + 1 + 4 + len("n01440764/n01440764_10026.JPEG")


def test_every_assumption_is_marked():
    lines = table("constants").split("\n")[2:]
    marked = {cells[1].strip(): cells[4].strip() for cells in (line.split("|") for line in lines)}
    assert marked == {name: "**assumed**" if one.origin == "assumed" else one.origin for name, one in CONSTANTS.items()}


def test_the_slowest_part_decides():
    for gpus in (1, 8, 9, 256):
        for store in (False, True):
            rates = Cluster(gpus).rates(VIT, "bf16", store=store)
            assert Cluster(gpus).slowest(VIT, "bf16", store=store) == min(
                ((name, rate) for name, rate in rates.items()), key=lambda one: one[1]
            )
    assert "disk" in Cluster(8).rates(VIT)
    assert "file system" in Cluster(9).rates(VIT)
    assert Cluster(256).slowest(VIT, store=True)[0] == "requests"


def test_costs_grow_as_their_formulas_say():
    one, ten = (scoring_core_seconds("memory bank", n, VIT) for n in (10**6, 10**7))
    assert ten / one == pytest.approx(10, rel=0.01)
    assert merged_bytes(VIT, 1) == 0
    assert merged_bytes(VIT, 3) == 2 * WORKS["products"].kept(0, 768, 1000)


@given(st.integers(1, 10**6), st.integers(64, 10**5))
def test_a_plan_holds_every_row_once(rows, per_shard):
    shards = plan(rows, per_shard)
    assert plan(rows, per_shard, 64)[0] == min(rows, -(-per_shard // 64) * 64)
    assert sum(shards) == rows
    assert len(shards) == math.ceil(rows / per_shard)
    assert all(one == per_shard for one in shards[:-1])
    assert 0 < shards[-1] <= per_shard


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=30), st.integers(1, 8))
def test_without_faults_a_replay_is_a_list_schedule(shards, count):
    ends = [0.0] * count
    for rows in shards:
        first = ends.index(min(ends))
        ends[first] += rows * 0.01
    found = replay(shards, Workers(count, 0.01, **CALM))
    assert found.seconds == pytest.approx(max(ends))
    assert found.deaths == found.again == 0
    assert found.efficiency == pytest.approx(sum(shards) * 0.01 / count / max(ends))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 9), st.floats(1, 200), st.booleans(), st.integers(0, 99))
def test_whoever_dies_the_work_is_finished(number, count, deaths, keeps, seed):
    workers = Workers(count, 0.02, start=1.0, shard=0.1, deaths=deaths, again=5.0, keeps=keeps, batch=64)
    shards = [512] * number
    found = replay(shards, workers, seed)
    assert found.seconds >= found.ideal * 0.8  # a shard's time varies around its mean
    assert 0 <= found.waited <= found.seconds
    assert not keeps or found.again <= found.deaths * workers.batch
    assert replay(shards, workers, seed) == found


def test_a_worker_that_is_killed_is_killed_once_at_that_time():
    shards = [1000] * 6
    calm = Workers(2, 0.01, **CALM | {"again": 0.0})
    found = replay(shards, calm, killed={0: 14.0})
    assert (found.deaths, found.again) == (1, 1000 * 0.4 // 1 % 64)
    assert found.seconds >= replay(shards, calm).seconds == pytest.approx(30.0)


def test_shards_done_anew_cost_more_than_those_that_go_on():
    shards, how = plan(200_000, 8192), {"deaths": 20.0, "again": 10.0}
    kept, anew = (replay(shards, Workers(8, 0.01, keeps=keeps, **how), 1) for keeps in (True, False))
    assert kept.again < anew.again
    assert kept.seconds < anew.seconds


def test_the_program_prints_and_replays(capsys):
    main(["storage"])
    assert "7.12 TB" in capsys.readouterr().out
    main(["--replay", "100000", "--rows-per-shard", "4096", "--workers", "4", "--deaths", "0"])
    found = json.loads(capsys.readouterr().out)
    assert found["deaths"] == 0
    assert 0 < found["efficiency"] < 1
    with pytest.raises(SystemExit):
        main(["prices"])
    assert f"there are {', '.join(TABLES)}" in capsys.readouterr().err


def test_ideal_is_the_rate_of_the_slowest_part():
    assert value("gpus") * Cluster(1).rates(VIT)["GPU"] == pytest.approx(Cluster(8).rates(VIT)["GPU"])
