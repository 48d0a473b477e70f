"""Extraction on a Ray cluster of two nodes on this machine, of which one is lost half-way."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from moodbench.cluster import the_ray
from moodbench.features.cache import FeatureCache
from tests.commands import call
from tests.rays import two_nodes
from tests.together import begun, kill, pause, same_bits, slow_model, until_shards

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def ray():
    """The module, imported before what tests leave behind is looked at: it changes `sys.path` and the environment."""
    pytest.importorskip("ray")
    return the_ray()


@pytest.fixture(scope="module")
def nodes(ray):
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def small(home, monkeypatch):
    """The folder of the tiny benchmark."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("PYTHONBREAKPOINT", "0")  # Ray sets it; so it is as before at the end
    return home


def options(model, *more):
    return ("extract", "--model", model, "--dataset", "tiny_train", "--batch-size", 2, *more)


def test_a_command_that_is_killed_leaves_work_that_any_engine_goes_on_with(small, nodes):
    model = slow_model(small, 0.3)
    work = begun(small, *options(model, "--engine", "ray", "--address", nodes.address, "--workers", 2))
    until_shards(small / "cache", 1)
    kill(work.pid)
    said, _ = work.communicate()
    assert "2 workers of Ray on a cluster of 2 machines, each with 1 CPU" in said
    pause(small, 0)
    end = time.monotonic() + 60  # until Ray has ended the workers of the dead command
    while (done := call(*options(model))).exit_code == 1 and "being written" in done.stderr:
        assert time.monotonic() < end
        time.sleep(0.5)
    assert done.exit_code == 0, done.stderr
    assert "were there" in done.stderr
    assert call(*options(model, "--cache-dir", "one")).exit_code == 0
    assert same_bits(Path("one"), Path("cache")) == 1


def test_a_damaged_image_stops_all_with_the_words_of_one_process(small, nodes, pictures):
    shutil.copytree(pictures / "train", "mine")
    Path("mine/blue/03.png").write_bytes(b"no picture")
    options = ("extract", "--model", "tiny", "--images", "mine", "--dataset", "mine", "--batch-size", 2)
    stopped = call(*options, "--engine", "ray", "--address", nodes.address, "--workers", 1)
    assert stopped.exit_code == 1
    assert call(*options, "--cache-dir", "one").stderr in stopped.stderr
    assert "03.png" in stopped.stderr


def test_more_than_the_cluster_has_is_refused(small, nodes):
    many = call(*options("tiny", "--engine", "ray", "--address", nodes.address, "--workers", 3))
    assert many.exit_code == 2
    assert "room for 2 workers with a CPU each, not for 3" in many.stderr
    gpus = call(*options("tiny", "--engine", "ray", "--address", nodes.address, "--gpus-per-worker", 1))
    assert gpus.exit_code == 1
    assert "the Ray cluster has 2 CPU and 0 GPU" in gpus.stderr
    assert not [file for file in Path("cache").rglob("*") if file.is_file()]


def test_a_node_that_is_lost_half_way_costs_nothing_but_its_own_shards(ray, small):
    with two_nodes() as nodes:  # its own: other tests want both
        model = slow_model(small, 0.3)
        work = begun(small, *options(model, "--engine", "ray", "--address", nodes.address, "--workers", 2))
        until_shards(small / "cache", 2)
        nodes.lose(1)
        until_shards(small / "cache", 4)
        pause(small, 0)
        said, _ = work.communicate(timeout=200)
    assert work.returncode == 0, said
    assert "was lost" in said
    assert "goes to another" in said
    with FeatureCache(next(Path("cache").glob("*/tiny_train.h5"))) as cache:
        assert len(cache.shards) > 4
    assert call(*options(model, "--cache-dir", "one")).exit_code == 0
    assert same_bits(Path("one"), Path("cache")) == 1
    assert scored(model, "cache") == scored(model, "one")


def scored(model, caches):
    """Return the results on a cache folder, in which the rest is extracted first, and their table."""
    where = ("--cache-dir", caches, "--results-dir", f"results-{caches}", "--benchmark", "tiny")
    assert call("extract", "--model", model, "--batch-size", 2, *where[:2], *where[4:]).exit_code == 0
    scores = ("--score", "msp", "--score", "energy", "--score", "mahalanobis")
    done = call("score", "--model", model, *scores, *where)
    assert done.exit_code == 0, done.stderr
    table = call("table", *where[2:], "--format", "csv")
    assert table.exit_code == 0, table.stderr
    assert len(table.stdout.splitlines()) > 1
    (rows,) = Path(where[3]).rglob("*.csv")
    assert {line.split(",")[3] for line in rows.read_text().splitlines()[1:]} == {"msp", "energy", "mahalanobis"}
    return rows.read_bytes(), table.stdout


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--shard", "1/2"), "workers of Ray share the shards by themselves"),
        (("--device", "cuda:0"), "Ray itself chooses which GPU a worker gets"),
        (("--gpus-per-worker", 2), "a worker computes on one GPU or on a part of one, got 2"),
        (("--device", "cpu", "--gpus-per-worker", 1), "--gpus-per-worker asks for 1"),
        (("--device", "cuda", "--gpus-per-worker", 0), "--gpus-per-worker 0 asks for none"),
        (("--workers", 0), "the number of workers must be at least 1, got 0"),
        (("--address", "nowhere"), "'nowhere' is no address of a Ray cluster"),
    ],
)
def test_what_makes_no_sense_is_refused(ray, small, more, words):
    refused = call(*options("tiny", "--engine", "ray", *more))
    assert refused.exit_code == 2
    assert words in refused.stderr
    assert not [file for file in Path("cache").rglob("*") if file.is_file()]
