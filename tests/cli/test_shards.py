"""Job arrays as people start them: ``extract --shard I/N``, and every command on what they leave."""

from __future__ import annotations

import json
import re

import pytest

from tests.commands import call

MODEL = ("--model", "tiny")
NAMES = ("msp", "mahalanobis", "vim", "knn", "energy_react", "gradnorm")
SCORES = [part for name in NAMES for part in ("--score", name)]


@pytest.fixture
def arrayed(home):
    """The tiny benchmark, extracted by an array of three jobs."""
    for job in (2, 3, 1):
        done = call("extract", *MODEL, "--benchmark", "tiny", "--batch-size", "4", "--shard", f"{job}/3")
        assert done.exit_code == 0, done.stderr
        assert f"extracted tiny on tiny_train, shard {job} of 3: " in done.stderr
    return home


def results(folder):
    """Return the results of a folder, without when and with which versions they were made."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".csv":
            found[file.name] = file.read_bytes()
        elif file.suffix == ".json":
            record = json.loads(file.read_bytes())
            found[file.name] = {key: value for key, value in record.items() if key not in ("time", "sha256")}
    return found


def test_every_command_takes_shards_for_a_cache(arrayed, pictures):
    assert call("extract", *MODEL, "--benchmark", "tiny").stderr.splitlines() == [
        "skip tiny on tiny_train: complete (42 images)",
        "skip tiny on tiny_test: complete (21 images)",
        "skip tiny on tiny_ood: complete (11 images)",
    ]
    listed = call("cache", "list").stdout.splitlines()
    assert [re.sub(" +", " ", line.partition("B ")[2].strip()) for line in listed[1:]] == ["complete, in 3 shards"] * 3
    done = call("score", "--benchmark", "tiny", *SCORES, "--results-dir", "of_shards")
    assert done.exit_code == 0, done.stderr
    kept = (arrayed / "cache/tiny/scores/tiny.h5").read_bytes()
    assert call("cache", "verify").exit_code == 0
    packed = call("cache", "pack")
    assert packed.stderr.splitlines() == [
        f"packed tiny on tiny_{name}: cache/tiny/tiny_{name}.h5" for name in ("ood", "test", "train")
    ]
    assert not list(arrayed.glob("cache/tiny/*.shards"))
    assert call("score", "--benchmark", "tiny", *SCORES, "--results-dir", "of_files").exit_code == 0
    assert results(arrayed / "of_shards") == results(arrayed / "of_files")
    assert (arrayed / "cache/tiny/scores/tiny.h5").read_bytes() == kept
    assert "§" not in call("table", "--results-dir", "of_shards").stdout
    assert call("cache", "verify").exit_code == 0
    assert [record["shards"] for record in json.loads(call("cache", "list", "--json").stdout)] == [None] * 3


def test_heads_detectors_and_pictures_come_of_shards_too(arrayed, pictures):
    assert call("score", "--benchmark", "tiny", *SCORES).exit_code == 0
    for command in (
        ("probe", *MODEL, "--benchmark", "tiny"),
        ("score", "--benchmark", "tiny", "--head", "probe", *SCORES),
        ("detect", pictures / "ood", *MODEL, "--score", "mahalanobis", "--device", "cpu"),
        ("plot", "distributions", "--benchmark", "tiny", "--out", "d.svg", *MODEL, "--score", "msp"),
        ("plot", "embedding", "--benchmark", "tiny", "--out", "e.svg", *MODEL),
        ("list", "models", "--cached"),
        ("report", "--benchmark", "tiny", "--out", "r.html"),
    ):
        done = call(*command)
        assert done.exit_code == 0, (command, done.stderr)


def test_an_array_that_is_not_done_is_listed_gone_on_with_and_removed(home):
    call("extract", *MODEL, "--dataset", "tiny_train", "--batch-size", "8", "--shard", "2/3")
    assert "incomplete (16 of 42), 1 of 3 shards" in call("cache", "list").stdout
    done = call("score", "--benchmark", "tiny", "--score", "msp", *MODEL)
    assert done.exit_code == 1
    assert "of 'tiny' there are shards, and no complete cache\n  file: cache/tiny/tiny_train.shards" in done.stderr
    wrong = call("extract", *MODEL, "--dataset", "tiny_train", "--shard", "1/2")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "'tiny' on 'tiny_train' was begun in 3 shards of 16 rows; --shard 1/2 makes shards of 24" in wrong.stderr
    packed = call("cache", "pack", *MODEL)
    assert packed.exit_code == 1
    assert "its shards were not joined yet" in packed.stderr
    gone_on = call("extract", *MODEL, "--dataset", "tiny_train")
    assert "extracted tiny on tiny_train: 26 images, 16 were there" in gone_on.stderr
    assert "complete, in 3 shards" in call("cache", "list").stdout
    removed = call("cache", "remove", *MODEL, "--yes")
    assert removed.stderr.splitlines() == [
        "removed cache/tiny/tiny_train.h5",
        "removed cache/tiny/tiny_train.shards",
        "removed cache/tiny/head.h5",
    ]
    assert not list((home / "cache").iterdir())


def test_views_that_are_only_begun_are_told_of_and_removed(home):
    begun = ("extract", *MODEL, "--dataset", "tiny_train", "--layers", "blocks.1", "--shard", "1/3")
    assert call(*begun).exit_code == 0
    removed = call("cache", "remove", *MODEL, "--yes")
    assert "note: left of 'tiny': 1 view (tiny@layer-blocks.1); --views removes those as well" in removed.stderr
    assert call(*begun).exit_code == 0
    removed = call("cache", "remove", *MODEL, "--views", "--yes")
    assert "note" not in removed.stderr
    assert not list((home / "cache").iterdir())


@pytest.mark.parametrize("shard", ["3", "0/3", "4/3", "a/b"])
def test_what_is_no_shard_is_refused_before_anything_is_read(home, shard):
    done = call("extract", *MODEL, "--dataset", "tiny_train", "--shard", shard)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "error: --shard " in done.stderr
    assert not (home / "cache").exists()
