"""Extractions in shards, small enough to be repeated hundreds of times, for the programs that disturb them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.faults.trial import Outcome, Row, attempt
from moodbench.datasets.images import folder_images
from moodbench.features.extract import Settings, extract_images, sharded
from moodbench.features.reader import RowReader
from moodbench.features.shards.pack import pack
from moodbench.features.shards.share import Share
from moodbench.models.backbone import Backbone
from moodbench.models.transforms import build_transform
from moodbench.shard_names import shards_folder

ROWS, BATCH, SHARDS = 90, 8, 4
"""Four shards of 24 rows; the last has less."""

SIDE = 32
"""Of the pictures that the network sees."""

MODEL, DATASET = "means", "pictures"


class Means(nn.Module):
    """A network that takes no time: means of parts of the picture, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits of the means."""
        out: torch.Tensor = self.last(nn.functional.adaptive_avg_pool2d(images, 2).flatten(1))
        return out


def pictures(folder: Path, seed: int, rows: int = ROWS) -> Path:
    """Write different pictures of 40 × 30 pixels in three folders."""
    rng = np.random.default_rng(seed)
    for i in range(rows):
        file = folder / f"c{i % 3}" / f"{i:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)).resize((40, 30)).save(file)
    return folder


def cache_of(place: Path) -> Path:
    """Return where the cache is made."""
    return place / MODEL / f"{DATASET}.h5"


class Extractor:
    """Extracts the same pictures with the same network, wherever it is asked to; `weights` is the seed of another."""

    def __init__(self, folder: Path, weights: int = 0) -> None:
        torch.set_num_threads(1)  # what forks must not have threads
        torch.manual_seed(weights)
        transform = build_transform("moodv2", {"input_size": (3, SIDE, SIDE)}, SIDE)
        self.backbone = Backbone.from_module(Means(), transform, name=MODEL)
        self.images = folder_images(folder)
        self.settings = Settings("cpu", batch_size=BATCH, workers=0, progress=False)

    def whole(self, place: Path) -> None:
        """Extract in one go; where a plan of shards is there, all that is left of them."""
        self._extract(place, None)

    def job(self, index: int, place: Path) -> None:
        """Extract one shard, as a job of an array does, and join them all if it was the last."""
        self._extract(place, Share(index, SHARDS))

    def jobs(self, place: Path) -> None:
        """Extract every shard, one after another."""
        for index in range(1, SHARDS + 1):
            self.job(index, place)

    def but_the_last(self, place: Path) -> None:
        """Extract every shard but one."""
        for index in range(1, SHARDS):
            self.job(index, place)

    def unjoined(self, place: Path) -> None:
        """Extract every shard, and do not join them."""
        work = sharded(
            self.backbone, self.images, cache_of(place), model=MODEL, dataset=DATASET, settings=self.settings
        )
        work.begin(Share(1, SHARDS))
        for index in work.missing():
            work.fill(index)

    def _extract(self, place: Path, share: Share | None) -> None:
        extract_images(
            self.backbone, self.images, cache_of(place), model=MODEL, dataset=DATASET, settings=self.settings,
            share=share,
        )  # fmt: skip


def packed(place: Path) -> None:
    """Put one file in the place of the shards."""
    pack(cache_of(place))


def contents(place: Path) -> str:
    """Return a digest of all that readers get of the complete cache: rows compared with their checksums, ids, names."""
    reader = RowReader(cache_of(place))
    found = hashlib.sha256(f"{reader.fingerprint} {reader.class_names} {reader.head} {reader.ids}".encode())
    for block in reader.blocks(32):
        for array in (block.features, block.logits, block.labels):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def as_one_file(place: Path) -> str:
    """Return a digest of the arrays as other programs see them, through HDF5."""
    found = hashlib.sha256()
    with h5py.File(cache_of(place), "r", locking=False) as h5:
        for name in ("features", "logits", "labels", "status", "crc32"):
            found.update(h5[name][:].tobytes())
        found.update(repr(h5["ids"][:].tolist()).encode())
    return found.hexdigest()


def shards_of(place: Path) -> list[Path]:
    """Return the files of the shards."""
    return sorted(shards_folder(cache_of(place)).glob("shard-*.h5"))


def left_over(place: Path) -> list[str]:
    """Return temporary files; locks and the notes of checks are none."""
    kept = (".lock", ".checked.json")
    return sorted(str(file.relative_to(place)) for file in place.rglob(".*") if not file.name.endswith(kept))


class Check:
    """Compares what is there after something went wrong, and after the same was done again, with an undisturbed run.

    Parameters
    ----------
    extractor : Extractor
    folder : Path
        For trials.
    begin : callable, optional
        Prepares a place; by default nothing is there.
    """

    def __init__(self, extractor: Extractor, folder: Path, begin: Callable[[Path], object] | None = None) -> None:
        self.extractor, self.folder = extractor, folder
        self.start = folder / "start"
        self.start.mkdir(parents=True)
        if begin is not None:
            attempt(partial(begin, self.start))
        alone = folder / "alone"
        extractor.whole(alone)
        self.right = contents(alone), as_one_file(alone)

    def place(self) -> Path:
        """Return a copy of the place where a trial begins."""
        here = self.folder / "here"
        if here.exists():
            shutil.rmtree(here)
        shutil.copytree(self.start, here)
        return here

    def count(self, row: Row, here: Path, outcome: Outcome, case: str, again: Callable[[Path], object]) -> None:
        """Do the work `again`, undisturbed, and compare; a process that `died` was asked to."""
        second = attempt(partial(again, here))
        seen = attempt(lambda: (contents(here), as_one_file(here)))
        left = left_over(here)
        lost = second.ending != "done" or seen.value != self.right or bool(left)
        ended = Outcome("done") if outcome.ending == "died" else outcome
        why = f"{case}: {outcome.message} then {second.message} {seen.message} {left or ''}"
        row.count(ended, right=True, lost=lost, case=why)
