"""What a run that stopped or was killed leaves, and what the next one may go on with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features import extract as module
from tests.conftest import save
from tests.extracting import KILLED, run, same, stopped_after


@pytest.mark.parametrize("rows", [1, 8, 9, 16, 41])
def test_a_run_that_stops_is_resumed_and_ends_the_same(space, rows):
    (whole,) = run(space, variant="whole")
    with stopped_after(rows):
        run(space)
    (done,) = run(space, batch_size=5)  # the size it was begun with is kept
    assert done.begun_at == rows // 8 * 8
    same(done.file, whole.file)


def test_a_row_that_was_damaged_before_the_end_is_computed_again(space):
    (whole,) = run(space, variant="whole")
    (part,) = run(space)
    with h5py.File(part.file, "r+") as h5:
        h5["features"][19, 3] += 1
        h5.attrs.modify("complete", np.uint8(0))
    (done,) = run(space)
    assert done.begun_at == 16
    same(done.file, whole.file)


@pytest.mark.parametrize(("workers", "lines"), [(0, 1), (0, 7), (2, 3)])
def test_kill_9_then_run_again_at_once(space, catalog, tmp_path, workers, lines):
    (whole,) = run(space, variant="whole", batch_size=2)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(catalog), str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(lines):
        assert process.stdout.readline() == "row\n"
    time.sleep(0.005 * lines)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (done,) = run(space, batch_size=2)  # orphaned workers may live for seconds: they must not hold the lock
    assert done.begun_at >= 2 * (lines - 1)
    same(done.file, whole.file)


def test_two_writers_of_one_file(space, catalog, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(catalog), "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PAUSE": "600"})
    try:
        process.stdout.readline()
        with pytest.raises(CacheError, match="another process is writing this cache"):
            run(space)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"transform": "moodv2", "variant": "v"}, "transform.kind: model in the cache, moodv2 now"),
        ({"limit": 6, "variant": "v"}, "limit: none in the cache, 6 now"),
        ({"precision": "bf16", "variant": "v"}, "precision: fp32 in the cache, bf16 now"),
    ],
)
def test_other_settings_are_not_mixed_in(space, options, named):
    run(space, variant="v")
    with pytest.raises(CacheMismatchError) as error:
        run(space, **options)
    assert named in str(error.value)
    assert "moodbench cache remove --model tiny@v --dataset tiny_train" in str(error.value)


def test_a_cache_that_appears_before_the_lock_is_taken_is_looked_at(space, monkeypatch):
    original = module.exclusive

    @contextmanager
    def late(file):
        monkeypatch.setattr(module, "exclusive", original)
        run(space, transform="moodv2", variant="v")  # another process, quicker than this one
        with original(file):
            yield

    monkeypatch.setattr(module, "exclusive", late)
    with pytest.raises(CacheMismatchError, match=r"transform\.kind: moodv2 in the cache, model now"):
        run(space, variant="v")


def test_other_weights_are_not_mixed_in(space, checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    run(space)
    state = load_file(checkpoint)
    state["norm.weight"] = state["norm.weight"] + 1e-7 * 1024
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(CacheMismatchError, match=r"model\.weights_sha256"):
        run(space, checkpoint=tmp_path / "other.safetensors")


def test_the_same_weights_in_another_file_are_the_same(space, checkpoint, tmp_path):
    run(space)
    shutil.copy(checkpoint, tmp_path / "copy.safetensors")
    assert run(space, checkpoint=tmp_path / "copy.safetensors")[0].already


def test_another_image_list_is_not_mixed_in(space, pictures, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(pictures / "ood", folder)
    options = {"dataset": ["mine"], "images": folder}
    run(space, **options)
    save(folder / "new.png", (1, 2, 3), np.random.default_rng(0))
    with pytest.raises(CacheMismatchError, match=r"images\.count: 11 in the cache, 12 now"):
        run(space, **options)
