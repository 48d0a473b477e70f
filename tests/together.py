"""A slow model, extracted by several workers, of which some are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from moodbench.features.cache import FeatureCache
from tests.extracting import arrays

MODEL = '''
import pathlib, time, timm, torch
import moodbench

class Slow(torch.nn.Module):
    """A network that waits before each batch as long as the file `pause` beside it says."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = timm.create_model("test_vit", img_size=32, num_classes=3)

    def forward_features(self, images):
        if len(images) > 1:
            time.sleep(float(PAUSE.read_text()))
        return self.inner.forward_features(images)

    def forward_head(self, features, pre_logits=False):
        return self.inner.forward_head(features, pre_logits=pre_logits)

    def forward(self, images):
        return self.forward_head(self.forward_features(images))

PAUSE = pathlib.Path(__file__).with_name("pause")

def build():
    network = Slow()
    return network, moodbench.build_transform("model", network.inner)
'''


def slow_model(folder: Path, seconds: float = 0.0) -> str:
    """Write the model, which waits so long before each batch, and return its name."""
    (folder / "slow.py").write_text(MODEL, encoding="utf-8")
    pause(folder, seconds)
    return "module:slow.py:build"


def pause(folder: Path, seconds: float) -> None:
    """Let the model wait so long from now on."""
    new = folder / "pause.new"
    new.write_text(str(seconds), encoding="utf-8")
    new.replace(folder / "pause")


def begun(folder: Path, *options: object) -> subprocess.Popen[str]:
    """Begin a command in a process of its own."""
    words = [sys.executable, "-m", "moodbench", *map(str, options)]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def until_shards(folder: Path, count: int, *, complete: bool = True, seconds: float = 120) -> None:
    """Wait until so many shards are there, complete or not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = 0
        for file in folder.glob("*/*.shards/shard-*.h5"):
            with contextlib.suppress(Exception), FeatureCache(file) as cache:
                found += cache.complete or not complete
        if found >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {count} shards after {seconds} s")


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def workers_of(process: int) -> list[int]:
    """Return the workers among the processes that a command has started: spawned, and no tracker of resources."""
    return [one for one in children(process) if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def kill(process: int) -> None:
    """Kill a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def same_bits(one: Path, other: Path) -> int:
    """Compare all caches below two folders, bit by bit, and return how many there are."""
    found = sorted(file.relative_to(one) for file in one.rglob("*.h5") if file.parent.suffix != ".shards")
    assert found == sorted(file.relative_to(other) for file in other.rglob("*.h5") if file.parent.suffix != ".shards")
    caches = [file for file in found if file.name != "head.h5"]
    for file in caches:
        expected, there = arrays(one / file), arrays(other / file)
        for name in set(expected) - {"shards"}:
            np.testing.assert_array_equal(there[name], expected[name], err_msg=f"{name} of {file}")
        with FeatureCache(one / file) as a, FeatureCache(other / file) as b:
            assert (a.fingerprint, a.complete, b.complete) == (b.fingerprint, True, True)
    return len(caches)
