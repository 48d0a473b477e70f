"""Several devices of this machine share the shards; on machines without GPUs, two processes on the CPU."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from moodbench.features.cache import FeatureCache
from tests.commands import call
from tests.together import begun, kill, pause, same_bits, slow_model, until_shards, workers_of

TWO = ("--device", "cpu,cpu")


@pytest.fixture
def small(home, monkeypatch):
    """The folder of the tiny benchmark, where two processes have a thread each."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    return home


def extract(*options, model="tiny"):
    """Extract ID train of the tiny benchmark in batches of two."""
    return call("extract", "--model", model, "--dataset", "tiny_train", "--batch-size", 2, *options)


def test_two_processes_make_the_bits_of_one(small):
    options = ("--batch-size", 2, "--layers", "every:2", "--dataset", "tiny_train", "--dataset", "tiny_ood")
    one = call("extract", "--model", "tiny", *options, "--cache-dir", "one")
    two = call("extract", "--model", "tiny", *options, "--cache-dir", "two", *TWO)
    assert (one.exit_code, two.exit_code) == (0, 0), two.stderr
    assert same_bits(Path("one"), Path("two")) > 3
    with FeatureCache(Path("two/tiny/tiny_train.h5")) as cache:
        assert len(cache.shards) > 2
    assert "layers on tiny_train: 42 images" in two.stderr
    again = call("extract", "--model", "tiny", *options, "--cache-dir", "two", *TWO)
    assert again.stderr.count("skip tiny") == 2
    assert not list(Path("two").glob(".*"))


def test_a_worker_that_is_killed_is_told_and_its_shard_goes_to_another(small):
    model = slow_model(small, 0.15)
    work = begun(small, "extract", "--model", model, "--dataset", "tiny_train", "--batch-size", 2, *TWO)
    until_shards(small / "cache", 1)
    victim = workers_of(work.pid)[0]
    kill(victim)
    said, _ = work.communicate(timeout=200)
    assert work.returncode == 0, said
    assert "was killed (SIGKILL" in said
    assert said.count("goes to another") <= 1
    pause(small, 0)
    assert extract("--cache-dir", "one", model=model).exit_code == 0
    assert same_bits(Path("one"), Path("cache")) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_when_the_command_is_ended_the_next_goes_on_with_what_is_there(small, number):
    model = slow_model(small, 0.15)
    work = begun(small, "extract", "--model", model, "--dataset", "tiny_train", "--batch-size", 2, *TWO)
    until_shards(small / "cache", 2)
    workers = workers_of(work.pid)
    work.send_signal(number)
    said, _ = work.communicate(timeout=60)
    assert work.returncode == (-9 if number == signal.SIGKILL else 130), said
    assert "Traceback" not in said
    end = time.monotonic() + 20
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < end, "workers outlive the command"
        time.sleep(0.05)
    finished = {file: file.stat().st_mtime_ns for file in complete(small / "cache")}
    assert finished
    pause(small, 0)
    done = extract(model=model)  # in one process
    assert done.exit_code == 0, done.stderr
    assert "were there" in done.stderr
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    assert extract("--cache-dir", "one", model=model).exit_code == 0
    assert same_bits(Path("one"), Path("cache")) == 1


def complete(folder):
    """Return the complete shards below a folder."""
    found = []
    for file in folder.glob("*/*.shards/shard-*.h5"):
        with FeatureCache(file) as cache:
            found += [file] if cache.complete else []
    return found


def test_a_cache_that_was_begun_in_one_file_is_gone_on_with(small):
    model = slow_model(small, 0.15)
    work = begun(small, "extract", "--model", model, "--dataset", "tiny_train", "--batch-size", 2)
    while not list(small.glob("cache/*/tiny_train.h5")):
        time.sleep(0.05)
    time.sleep(0.5)
    kill(work.pid)
    work.communicate()
    pause(small, 0)
    done = extract(*TWO, model=model)
    assert done.exit_code == 0, done.stderr
    assert "begun in one file: one worker goes on with it" in done.stderr
    assert extract("--cache-dir", "one", model=model).exit_code == 0
    assert same_bits(Path("one"), Path("cache")) == 1


def test_a_damaged_image_stops_all_or_is_left_out(small, pictures):
    shutil.copytree(pictures / "train", "mine")
    Path("mine/blue/03.png").write_bytes(b"no picture")
    options = ("--images", "mine", "--dataset", "mine", "--batch-size", 2)
    stopped = call("extract", "--model", "tiny", *options, *TWO)
    alone = call("extract", "--model", "tiny", *options, "--cache-dir", "one")
    assert stopped.exit_code == 1
    assert stopped.stderr == alone.stderr
    assert "03.png" in stopped.stderr
    options += ("--on-error", "skip", "--layers", "every:2", "--view", "odin")
    skipped = call("extract", "--model", "tiny", *options, *TWO)
    assert skipped.exit_code == 0, skipped.stderr
    assert "1 could not be decoded: blue/03.png" in skipped.stderr
    shutil.rmtree("one")
    call("extract", "--model", "tiny", *options, "--cache-dir", "one")
    assert same_bits(Path("one"), Path("cache")) > 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--device", "cpu,cuda:x"), "there is no device 'cuda:x'"),
        (("--device", "cpu,auto"), "'cpu,auto' is no list of devices"),
        (("--device", "cpu,"), "'cpu,' is no list of devices"),
        (("--device", "cpu,cpu", "--shard", "1/2"), "which share the shards by themselves"),
        (("--gpus-per-worker", "1"), "--gpus-per-worker is said of workers of Ray"),
        (("--address", "auto"), "is that of a Ray cluster"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_begun(small, options, words):
    refused = extract(*options)
    assert refused.exit_code == 2
    assert words in refused.stderr
    assert not Path("cache").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs")
def test_all_devices_where_there_is_no_gpu(small):
    refused = extract("--device", "all")
    assert refused.exit_code == 2
    assert "there is none on this machine" in refused.stderr
