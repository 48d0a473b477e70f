"""Little or no shared memory, and workers that are killed, while images are decoded for `extract` and `verify --deep`.

The rows about ``/dev/shm`` need a mount of their own, which Linux gives to root alone; elsewhere they are left out.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.faults.trial import Outcome, Row, attempt
from moodbench.datasets.images import folder_images
from moodbench.features.extract import Settings, extract_images
from moodbench.inspection.decoding import check_images
from moodbench.models.backbone import Backbone
from moodbench.models.transforms import build_transform

SIZES = ((16, 224), (14, 224), (8, 384), (4, 448))
"""Workers, and side of the pictures that the network sees: each waited for ever with 64 MB of ``/dev/shm``."""

PICTURES = 560
"""More than 16 workers used to have in hand."""

FEWER, KILLS = 280, 20

_NEW_MOUNTS = 0x20000  # CLONE_NEWNS of linux/sched.h


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each kind of fault."""
    chance = random.Random(seed)
    pictures = folder / "pictures"
    draw(pictures, PICTURES)
    whole = {size: digest(extracted(folder / f"whole{size}", pictures, 0, size)) for size in (224, 384, 448)}
    if attempt(lambda: mount("size=1m")).ending == "done":
        for options in ("size=64m", "size=8m", "ro"):
            row = Row(f"extract with /dev/shm mounted {options}")
            for workers, size in SIZES:
                work = functools.partial(extracted_with, options, folder / "mounted", pictures, workers, size)
                found = attempt(work, seconds=120)
                row.count(found, right=found.value == whole[size], case=f"{workers} workers, {size} px")
            yield row
        row = Row("verify --deep with /dev/shm read-only")
        found = attempt(functools.partial(_probed_without, pictures), seconds=120)
        row.count(found, right=found.value == probed(pictures))
        yield row
    else:
        print(
            "workers: /dev/shm cannot be mounted here (only root may, on Linux): those rows are left out",
            file=sys.stderr,
        )
    fewer = folder / "fewer"
    draw(fewer, FEWER)
    yield _extract_kills(folder, fewer, digest(extracted(folder / "fewer-whole", fewer, 0, 224)), chance)
    yield _verify_kills(fewer, chance)


def _extract_kills(folder: Path, pictures: Path, whole: str, chance: random.Random) -> Row:
    row = Row("extract, a worker killed by the system")
    for number in range(KILLS):
        place = folder / f"killed{number}"
        signal_, after = chance.choice((signal.SIGKILL, signal.SIGBUS, signal.SIGTERM)), chance.uniform(0, 0.4)
        work = functools.partial(extracted, place, pictures, 3, 224)
        found = attempt(functools.partial(killing, signal_, after, work), seconds=120)
        right = found.ending != "done" or digest(place / "means" / "pictures.h5") == whole
        # what was there is kept, and the next run goes on with it
        again = attempt(functools.partial(extracted, place, pictures, 0, 224), seconds=120)
        lost = again.ending != "done" or digest(place / "means" / "pictures.h5") != whole
        row.count(_plain(found), right=right, lost=lost, case=f"signal {signal_} after {after:.2f} s")
        shutil.rmtree(place)
    return row


def _verify_kills(pictures: Path, chance: random.Random) -> Row:
    row = Row("verify --deep, a process killed by the system")
    whole = probed(pictures)
    for _ in range(KILLS):
        after = chance.uniform(0, 0.4)
        found = attempt(functools.partial(killing, signal.SIGKILL, after, functools.partial(probed, pictures)))
        row.count(found, right=found.value == whole, case=f"after {after:.2f} s")
    return row


def _plain(outcome: Outcome) -> Outcome:
    return Outcome(outcome.ending, None, outcome.message)


def draw(folder: Path, count: int) -> None:
    """Write `count` equal photographs of 640 × 480 pixels under other names."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(folder / "0000.jpg")
    content = (folder / "0000.jpg").read_bytes()
    for i in range(1, count):
        (folder / f"{i:04}.jpg").write_bytes(content)


class _Means(nn.Module):
    """A network that takes no time: means of parts of the picture, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(nn.functional.adaptive_avg_pool2d(images, 2).flatten(1))
        return out


def extracted(place: Path, pictures: Path, workers: int, size: int) -> Path:
    """Extract the pictures and return the cache."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    transform = build_transform("moodv2", {"input_size": (3, size, size)}, size)
    backbone = Backbone.from_module(_Means(), transform, name="means")
    settings = Settings("cpu", workers=workers, progress=False)
    file = place / "means" / "pictures.h5"
    extract_images(backbone, folder_images(pictures), file, model="means", dataset="pictures", settings=settings)
    return file


def extracted_with(options: str, place: Path, pictures: Path, workers: int, size: int) -> str:
    """Do the same with another ``/dev/shm``, and return the digest of the rows."""
    mount(options)
    try:
        return digest(extracted(place, pictures, workers, size))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def digest(file: Path) -> str:
    """Return a digest of all rows of a cache."""
    found = hashlib.sha256()
    with h5py.File(file, "r", locking=False) as h5:
        for name in ("features", "logits", "labels", "status", "crc32"):
            found.update(h5[name][:].tobytes())
    return found.hexdigest()


def probed(pictures: Path) -> list[bytes]:
    """Look at every picture as ``verify --deep`` does, and return what was seen."""
    paths = [str(path) for path in sorted(pictures.iterdir())]
    return [check.pixels for check in check_images(paths, jobs=3)]


def _probed_without(pictures: Path) -> list[bytes]:
    mount("ro")
    return probed(pictures)


def mount(options: str) -> None:
    """Give this process another ``/dev/shm``."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS) != 0:
        raise PermissionError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for command in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", "/dev/shm"],
    ):
        subprocess.run(command, check=True, capture_output=True)


def killing(number: int, after: float, work: Callable[[], object]) -> object:
    """Do `work`, and send a signal to one of its processes so many seconds after it has some."""

    def kill() -> None:
        end = time.monotonic() + 60
        while not (there := multiprocessing.active_children()):
            if time.monotonic() > end:
                return
            time.sleep(0.001)
        time.sleep(after)
        victim = there[-1].pid
        if there[-1].is_alive() and victim is not None:
            os.kill(victim, number)

    threading.Thread(target=kill, daemon=True).start()
    return work()
