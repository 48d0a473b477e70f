"""Machines that share no disk: caches and shards go to a place and come back, whole, or are refused by name."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from moodbench.features.cache import FeatureCache
from tests.commands import call
from tests.s3 import Bucket

MODEL = ("--model", "tiny")
TRAIN = ("--dataset", "tiny_train")


def files(folder: str) -> dict[str, bytes]:
    """Every file of a folder, without locks."""
    found = (file for file in Path(folder).rglob("*") if file.is_file() and not file.name.endswith(".lock"))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(found)}


def job(index, of, cache, *more):
    done = call("extract", *MODEL, *TRAIN, "--batch-size", 4, "--shard", f"{index}/{of}", "--cache-dir", cache, *more)
    assert done.exit_code == 0, done.stderr


def push(cache, *more, place="store"):
    return call("cache", "push", place, "--cache-dir", cache, *more)


def pull(cache, *more, place="store"):
    return call("cache", "pull", place, "--cache-dir", cache, *more)


def scores(cache):
    done = call("score", "--benchmark", "tiny", "--score", "msp", "--cache-dir", cache, "--results-dir", f"of_{cache}")
    assert done.exit_code == 0, done.stderr
    return Path(f"of_{cache}/tiny/tiny.csv").read_bytes()


def test_jobs_without_a_common_disk_make_one_cache(home):
    for index in (1, 2, 3):
        job(index, 3, f"job{index}")
    assert push("job1").stderr == "pushed tiny on tiny_train: 3 files; 2 shards still to come\n"
    assert pull("here").stderr == "pulled tiny on tiny_train: 1 of 3 shards are here now\n"
    assert push("job2").stderr == "pushed tiny on tiny_train: 1 file; 1 shard still to come\n"
    assert push("job2").stderr == "skip tiny on tiny_train: 1 shard still to come\n"
    assert push("job3").stderr == "pushed tiny on tiny_train: 1 file\n"
    assert push("job1").stderr == "skip tiny on tiny_train: it is there\n"
    assert pull("here").stderr == "pulled tiny on tiny_train: all 3 shards, joined\n"
    assert pull("here").stderr == "skip tiny on tiny_train: it is here\n"
    rest = ("--dataset", "tiny_test", "--dataset", "tiny_ood", "--batch-size", 4)
    for cache in ("here", "one"):
        assert call("extract", *MODEL, *TRAIN, *rest, "--cache-dir", cache, "--quiet").exit_code == 0
    assert scores("here") == scores("one")
    assert call("cache", "verify", "--cache-dir", "here").exit_code == 0


def test_caches_and_heads_come_back_as_they_were(scored):
    assert call("probe", *MODEL, "--benchmark", "tiny", "--quiet").exit_code == 0
    assert push("cache").stderr.splitlines()[0] == "pushed tiny on tiny_ood: 3 files"
    there = files("store")
    assert pull("here", *TRAIN).stderr == "pulled tiny on tiny_train\n"
    assert pull("here").stderr.splitlines() == [
        "pulled tiny on tiny_ood",
        "pulled tiny on tiny_test",
        "skip tiny on tiny_train: it is here",
    ]
    kept = {name: data for name, data in files("cache").items() if "/scores/" not in name and name.endswith(".h5")}
    assert {name: data for name, data in files("here").items() if name.endswith(".h5")} == kept
    assert set(there) == {*kept, *(f"{name}.sha256" for name in kept)}
    assert scores("here") == scores("cache")
    checked = subprocess.run(
        ["sha256sum", "-c", "tiny_train.h5.sha256"], cwd="store/tiny", capture_output=True, text=True, check=False
    )
    assert checked.stdout == "tiny_train.h5: OK\n"


def test_what_was_half_brought_does_not_count_and_is_brought_again(scored):
    push("cache")
    mark = Path("store/tiny/tiny_test.h5.sha256")
    mark.unlink()
    Path("store/tiny/tiny_test.h5").write_bytes(b"half")
    Path("store/stray.h5").write_bytes(b"")
    Path("store/tiny/notes.txt").write_text("mine")
    shutil.copy("store/tiny/tiny_ood.h5.sha256", "store/tiny/notes.txt.sha256")
    assert [line for line in pull("here").stderr.splitlines() if "tiny_test" in line] == []
    assert "pushed tiny on tiny_test: 1 file" in push("cache").stderr
    assert mark.exists()
    assert pull("here").stderr.splitlines()[1] == "pulled tiny on tiny_test"


def test_what_killed_pushes_left_goes_after_a_day(scored):
    push("cache")
    old, new, foreign = (Path("store/tiny") / name for name in (".tiny_ood.h5.77.tmp", ".tiny_ood.h5.78.tmp", ".x.tmp"))
    for file in (old, new, foreign):
        file.write_bytes(b"half")
    for file in (old, foreign):
        os.utime(file, (time.time() - 90_000,) * 2)
    assert "skip tiny on tiny_ood" in push("cache").stderr
    assert not old.exists()  # a day ago: nobody goes on with it
    assert new.exists()  # somebody may be at it, on another machine
    assert foreign.exists()


def test_damage_there_is_named_and_nothing_of_it_stays(scored):
    push("cache")
    file = Path("store/tiny/tiny_train.h5")
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    done = pull("here", *TRAIN)
    assert done.exit_code == 1
    assert (
        "what lies there is not what was brought: its SHA-256 differs\n  file: store/tiny/tiny_train.h5" in done.stderr
    )
    assert files("here") == {}
    assert not list(Path("here").rglob("*.tmp"))
    assert pull("here").exit_code == 1
    assert sorted(files("here")) == ["tiny/head.h5", "tiny/tiny_ood.h5", "tiny/tiny_test.h5"]


@pytest.fixture
def other(home, checkpoint):
    """Weights with other values."""
    weights = load_file(checkpoint)
    weights["head.bias"] = weights["head.bias"] + 1
    save_file(weights, "other.safetensors")
    return ("--checkpoint", "other.safetensors")


def test_another_cache_or_head_of_the_name_is_refused_on_either_side(scored, other):
    push("cache")
    before = files("store")
    for cache, options in (("limited", ("--limit", 9)), ("other", other)):
        assert call("extract", *MODEL, *TRAIN, *options, "--cache-dir", cache, "--quiet").exit_code == 0
        mine = files(cache)
        for done in (push(cache), pull(cache, *TRAIN)):
            assert done.exit_code == 1
            assert "\nerror: another " in done.stderr
        assert files(cache) == mine
    assert files("store") == before


def test_another_network_is_refused_by_its_plan_and_its_head(home, other):
    job(1, 3, "one")
    push("one")
    job(2, 3, "two", *other)
    for done in (push("two"), pull("two")):
        assert done.exit_code == 1
        assert "made from something else" in done.stderr or "another head is stored" in done.stderr
    job(1, 2, "three")
    for done in (push("three"), pull("three")):
        assert done.exit_code == 1
        assert "differ in rows per shard" in done.stderr
    assert sorted(files("two")) == [
        "tiny/head.h5",
        "tiny/tiny_train.shards/plan.json",
        "tiny/tiny_train.shards/shard-00002-of-00003.h5",
    ]


def test_one_file_and_shards_do_not_mix(home):
    for index in (1, 2):
        job(index, 2, "shards")
    assert call("extract", *MODEL, *TRAIN, "--batch-size", 4, "--cache-dir", "one", "--quiet").exit_code == 0
    push("shards")
    push("one", place="store1")
    for done, words in (
        (push("one"), "lies there in shards, and here as one file"),
        (pull("one"), "lies here as one file, and there in shards"),
        (push("shards", place="store1"), "lies there as one file, and here in shards"),
    ):
        assert (done.exit_code, done.stdout) == (1, "")
        assert words in done.stderr
    assert pull("shards", place="store1").stderr == "skip tiny on tiny_train: it is here\n"
    assert call("cache", "pack", "--cache-dir", "shards").exit_code == 0
    assert push("shards", place="store1").stderr == "skip tiny on tiny_train: it is there\n"


def stop(cache):
    raise KeyboardInterrupt


def test_an_incomplete_shard_here_is_replaced_and_what_a_kill_left_goes(home, monkeypatch):
    words = ("extract", *MODEL, *TRAIN, "--batch-size", 4, "--cache-dir", "here", "--shard", "1/2")
    with monkeypatch.context() as patched:
        patched.setattr(FeatureCache, "finish", stop)
        assert call(*words).exit_code == 130
    job(1, 2, "whole")
    assert push("here").stderr == "skip tiny on tiny_train: 2 shards still to come\n"
    push("whole")
    left = Path("here/tiny/.tiny_train.h5.99999.tmp/tiny")
    left.mkdir(parents=True)
    (left / "head.h5").write_bytes(b"half")
    assert pull("here").stderr == "pulled tiny on tiny_train: 1 of 2 shards are here now\n"
    assert not left.exists()
    shard = "tiny/tiny_train.shards/shard-00001-of-00002.h5"
    assert files("here")[shard] == files("whole")[shard]


def test_a_place_without_caches_and_names_that_are_not_there(scored):
    assert "there are no caches\n  file: nowhere" in pull("here", place="nowhere").stderr
    for place in ("", "/", "s3://"):
        done = push("cache", place=place)
        assert (done.exit_code, done.stdout) == (2, ""), done.stderr
        assert f"'{place}' names no place for caches" in done.stderr
    assert "Protocol not known" in push("cache", place="zz://a/b").stderr
    push("cache")
    done = pull("here", "--model", "tinny")
    assert done.exit_code == 2
    assert "there is no pushed model 'tinny'" in done.stderr
    assert not Path("here").exists()


def test_a_place_that_cannot_be_written_is_one_message(scored):
    Path("store").write_text("a file")
    done = push("cache", *TRAIN)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[1].startswith("error: it cannot be ")


def test_an_object_store_takes_and_gives_caches(home):
    pytest.importorskip("s3fs")
    for index in (1, 2):
        job(index, 2, f"job{index}")
    place = "s3://lab/caches"
    with Bucket("lab", {}) as bucket:
        for index in (1, 2):
            done = elsewhere(bucket, "push", place, "--cache-dir", f"job{index}")
            assert done.returncode == 0, done.stderr
        done = elsewhere(bucket, "pull", place, "--cache-dir", "here")
        assert done.stderr == "pulled tiny on tiny_train: all 2 shards, joined\n"
        keys = set(bucket.objects)
        bucket.full = True
        refused = elsewhere(bucket, "push", "s3://lab/other", "--cache-dir", "job1")
        gone = elsewhere(bucket, "pull", "s3://nothing/caches", "--cache-dir", "there")
    shards = ("plan.json", "shard-00001-of-00002.h5", "shard-00002-of-00002.h5")
    brought = {f"caches/tiny/{name}" for name in ("head.h5", *(f"tiny_train.shards/{shard}" for shard in shards))}
    assert keys == brought | {f"{name}.sha256" for name in brought}
    assert (refused.returncode, gone.returncode) == (1, 1)
    assert "it cannot be written: Access Denied\n  file: s3://lab/other/tiny/head.h5" in refused.stderr
    assert "s3://nothing/caches" in gone.stderr
    assert "Traceback" not in refused.stderr + gone.stderr
    assert call("cache", "verify", "--cache-dir", "here").exit_code == 0


def elsewhere(bucket: Bucket, *words: str) -> subprocess.CompletedProcess[str]:
    """Call ``cache`` in a process of its own: the client of the store keeps threads."""
    found = os.environ | {
        "AWS_ENDPOINT_URL": bucket.address,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-m", "moodbench", "cache", *words]
    return subprocess.run(command, env=found, capture_output=True, text=True, timeout=300, check=False)


def test_nothing_is_written_or_read_through_links(home):
    job(1, 2, "one")
    push("one")
    shard = Path("store/tiny/tiny_train.shards/shard-00001-of-00002.h5")
    shard.unlink()
    Path("mine.txt").write_text("mine")
    shard.symlink_to(Path("mine.txt").resolve())
    done = push("one")
    assert (done.exit_code, Path("mine.txt").read_text()) == (1, "mine")
    assert "is a link there\n  file: store/tiny/tiny_train.shards/shard-00001-of-00002.h5" in done.stderr
    assert pull("here").stderr == "pulled tiny on tiny_train: 1 head; 0 of 2 shards are here now\n"
    assert pull("here").stderr == "skip tiny on tiny_train: 0 of 2 shards are here now\n"
    Path("store/tiny").rename("aside")
    Path("store/tiny").symlink_to(Path("aside").resolve())
    before = files("aside")
    assert "'tiny' is a link there" in push("one").stderr
    assert files("aside") == before


def test_a_digest_that_was_cut_off_does_not_count(home):
    job(1, 1, "one")
    push("one")
    mark = Path("store/tiny/head.h5.sha256")
    mark.write_bytes(mark.read_bytes()[:20])
    missing = pull("here")
    assert missing.exit_code == 1
    assert "the head of the model is not there, and the cache was made with one" in missing.stderr
    assert files("here") == {}
    assert push("one").stderr == "pushed tiny on tiny_train: 1 file\n"
    assert pull("here").exit_code == 0


def mark(file: Path) -> None:
    """Let the digest beside a file fit it."""
    line = f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
    file.with_name(f"{file.name}.sha256").write_text(line)


def test_what_fits_its_digest_and_nothing_else_is_named_there_and_gets_no_name_here(home):
    for index in (1, 2, 3):
        job(index, 3, "one")
    push("one")
    folder = Path("store/tiny/tiny_train.shards")
    second = folder / "shard-00002-of-00003.h5"
    for content in (b"no shard", (folder / "shard-00001-of-00003.h5").read_bytes()):
        second.write_bytes(content)
        mark(second)
        done = pull("here")
        assert done.exit_code == 1
        assert f"\n  file: {second}\n" in done.stderr
        there = {name.rpartition("/")[2] for name in files("here")}
        assert there == {"head.h5", "plan.json", "shard-00001-of-00003.h5", "shard-00003-of-00003.h5"}
    plan = folder / "plan.json"
    plan.write_text("{}")
    mark(plan)
    for done in (pull("here"), pull("there"), push("one")):
        assert done.exit_code == 1
        assert f"\n  file: {plan}\n" in done.stderr
    assert files("there") == {}


def test_damaged_rows_are_not_pushed(home):
    job(1, 1, "one")
    with FeatureCache(Path("one/tiny/tiny_train.shards/shard-00001-of-00001.h5")) as cache:
        file, place = cache.file, cache.offset("features")
    data = bytearray(file.read_bytes())
    data[place + 5] ^= 1
    file.write_bytes(data)
    done = push("one")
    assert done.exit_code == 1
    assert "does not match its checksum" in done.stderr
    assert not [name for name in files("store") if "shard-" in name]


def test_the_cache_folder_and_what_cannot_be_read_are_no_places(scored):
    for place in ("cache", "cache/below", "./cache/../cache"):
        for done in (push("cache", place=place), pull("cache", place=place)):
            assert (done.exit_code, done.stdout) == (2, "")
            assert f"'{place}' is in the cache folder itself" in done.stderr
    Path("file").write_text("")
    done = pull("here", *TRAIN, place="file")
    assert (done.exit_code, "it cannot be read: that is no folder\n  file: file" in done.stderr) == (1, True)
    long = pull("here", *TRAIN, place="x" * 300)
    assert (long.exit_code, long.stderr.partition("\n")[0]) == (1, "error: there are no caches")


def test_a_digest_of_another_file_is_named(scored):
    push("cache", *TRAIN)
    file = Path("store/tiny/tiny_train.h5")
    noted = file.with_name(f"{file.name}.sha256")
    noted.write_text(noted.read_text().replace("tiny_train", "tiny_trait"))
    for done in (pull("here"), push("cache", *TRAIN)):
        assert done.exit_code == 1
        assert f"the SHA-256 beside this file is that of 'tiny_trait.h5'\n  file: {file}\n" in done.stderr
    assert files("here") == {}
    file.unlink()
    noted.unlink()
    assert push("cache", *TRAIN).exit_code == 0
    assert pull("here").exit_code == 0


def test_a_head_alone_that_is_fetched_is_said(scored):
    push("cache")
    pull("here", *TRAIN)
    assert call("probe", *MODEL, "--benchmark", "tiny", "--quiet").exit_code == 0
    push("cache")
    assert pull("here", *TRAIN).stderr == "pulled tiny on tiny_train: 1 head; the cache is here\n"
    assert pull("here", *TRAIN).stderr == "skip tiny on tiny_train: it is here\n"


def test_folders_of_any_depth_at_a_place_are_passed_over(scored):
    push("cache", *TRAIN)
    folder, deep = os.open("store/tiny", os.O_RDONLY), []
    for _ in range(1500):
        os.mkdir("d", dir_fd=folder)
        deep.append(folder)
        folder = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(deep.pop())
    os.close(folder)
    assert pull("here").stderr == "pulled tiny on tiny_train\n"
    done = pull("there", place=f"file://{Path('store').resolve()}")
    assert "its folders lie too deep in one another" in done.stderr
    subprocess.run(["rm", "-r", "store"], check=True)  # as shutil cannot


def test_what_ends_with_the_command_is_no_place(scored):
    done = push("cache", place="memory://caches")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "what lies at 'memory://caches' is gone with this command" in done.stderr
