"""Images → feature cache, resumable at every moment.

Three things happen side by side: workers decode the next batches (`loading`), the network computes one (`network`), and
the one before is checksummed and written.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from moodbench.datasets.images import ImageSource, imagenet_wnids
from moodbench.devices import keep_freed_memory
from moodbench.errors import ModelError, MoodbenchError
from moodbench.features.cache import DONE, SKIPPED, FeatureCache
from moodbench.features.create import Layout, create_cache
from moodbench.features.heads import drop_left_over, store_head
from moodbench.features.loading import load_batches, read_batch
from moodbench.features.lock import exclusive
from moodbench.features.memory import settle_batch_size
from moodbench.features.network import Network, Output, is_out_of_memory
from moodbench.features.provenance import provenance, refuse_mismatch
from moodbench.features.settings import Settings
from moodbench.features.verify import check_cache
from moodbench.models.backbone import Backbone
from moodbench.types import Head

__all__ = ["Extraction", "Settings", "extract_images"]

_CHECKED_IMAGES = 4

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Attributes
    ----------
    file : Path
    rows : int
        Images in the cache.
    undecodable : tuple of str
        Ids of those that could not be decoded; their rows are skipped.
    begun_at : int
        First row that was computed now; equal to `rows` where everything was there before.
    seconds : float
    batch_size : int
        As the cache notes it.
    at_once : int
        Images that the network computed at once in the end: less than `batch_size` where memory ran out.
    """

    file: Path
    rows: int
    undecodable: tuple[str, ...]
    begun_at: int
    seconds: float
    batch_size: int
    at_once: int

    @property
    def already(self) -> bool:
        """Nothing was left to do."""
        return self.begun_at == self.rows


@dataclass(frozen=True)
class _Job:
    """What is to be extracted, from what, into which file; `rows` are the images to take, ascending."""

    backbone: Backbone
    images: ImageSource
    rows: Rows
    file: Path
    settings: Settings

    @property
    def side(self) -> int:
        """Of the images that the network sees, in pixels."""
        return int(self.backbone.transform.record["size"])

    def store_head(self) -> None:
        """Write the head beside the cache."""
        head = self.file.with_name("head.h5")
        if self.backbone.head is not None:
            store_head(head, named_head(self.backbone.head, self.backbone.record), of=self.file)
        else:
            drop_left_over(head, of=self.file)


def named_head(head: Head, record: Mapping[str, Any]) -> Head:
    """Return the head with the names of its classes, where it has them or its `record` says whose they are."""
    if head.class_names is None and record.get("head_names") == "imagenet":
        return replace(head, class_names=imagenet_wnids())
    return head


def extract_images(
    backbone: Backbone, images: ImageSource, file: Path, *, model: str, dataset: str, settings: Settings
) -> Extraction:
    """Write features, logits and labels of every image to the cache `file`.

    Rows that are there and intact are kept; work goes on with the batch that holds the first one that is not.

    Parameters
    ----------
    backbone : Backbone
    images : ImageSource
    file : Path
        The head is stored beside it, as ``head.h5``.
    model, dataset : str
        Names to note in the cache.
    settings : Settings

    Raises
    ------
    CacheMismatchError
        The cache was made with other weights, another transform, precision, limit or image list, or compiled.
    CacheError
        It is damaged, locked by another process, or the disk is full.
    ModelError
        The network's logits are not a linear function of its features; it cannot be compiled; or not even one image
        fits into memory.
    DataError
        An image cannot be decoded (with ``on_error="stop"``).
    """
    job = _Job(backbone, images, _selection(len(images), settings.limit), file, settings)
    noted = provenance(backbone, images, settings)
    if _is_done(file, noted, images.classes):  # asked before the lock: finished work on a read-only disk is a success
        check_cache(file)
        job.store_head()
        return _outcome(file, len(job.rows), 0.0)
    with exclusive(file):
        if _is_done(file, noted, images.classes):  # and again under it: another process may just have ended
            return _outcome(file, len(job.rows), 0.0)
        keep_freed_memory()
        network = _resumed(job) if file.exists() else _begun(job, model, dataset, noted)
        with FeatureCache(file, write=True) as cache:
            began = time.monotonic()
            begin = _fill(cache, network, job)
            cache.finish()
            seconds = time.monotonic() - began
    return _outcome(file, begin, seconds, network.rows)


def _is_done(file: Path, noted: Mapping[str, Any], classes: Sequence[str]) -> bool:
    """Say whether a complete cache of this is there; refuse one of something else."""
    if not file.exists():
        return False
    with FeatureCache(file) as cache:
        refuse_mismatch(cache, noted, classes)
        return cache.complete


def _selection(total: int, limit: int | None) -> Rows:
    """Return the images to take, ascending: all, or `limit` of them spread evenly."""
    if limit is None or limit >= total:
        return np.arange(total)
    return np.arange(limit) * total // limit


def _begun(job: _Job, model: str, dataset: str, noted: Mapping[str, Any]) -> Network:
    """Create the cache, once the network has proved that it can fill it."""
    images, rows = job.images, job.rows
    network, dim, classes = _tried(job)
    batch_size = settle_batch_size(network, job.settings, job.side)
    job.store_head()
    head = None if job.backbone.head is None else job.backbone.head.digest
    layout = Layout([images.ids[i] for i in rows], images.labels[rows], dim, classes, images.classes, head)
    create_cache(
        job.file, model, dataset, layout, {**noted, "batch_size": batch_size, "channels_last": network.channels_last}
    )
    return network


def _tried(job: _Job) -> tuple[Network, int, int | None]:
    """Return the network, checked on the first images, in the first memory layout that it takes; and its widths."""
    pixels = read_batch(job.images, job.rows[:_CHECKED_IMAGES], job.backbone.transform).pixels

    def tried(settings: Settings) -> tuple[Network, int, int | None]:
        network = Network(job.backbone, settings, rows=1)
        network.check(pixels)
        return network, *network.widths(job.side)

    try:
        return tried(job.settings)
    except RuntimeError as error:  # `view`, for one, wants the usual order
        if job.settings.channels_last is False or is_out_of_memory(error):
            raise
        if job.settings.channels_last:
            raise ModelError(
                f"the network does not work with channels last: {error}", fix="leave --channels-last out"
            ) from error
    return tried(replace(job.settings, channels_last=False))


def _resumed(job: _Job) -> Network:
    """Return the network as the cache was begun with it: only so do the same batches give the same bits."""
    with FeatureCache(job.file) as cache:
        noted = cache.provenance
    settings = replace(job.settings, channels_last=noted.get("channels_last", job.settings.torch_device.type == "cuda"))
    return Network(job.backbone, settings, int(noted["batch_size"]))


def _outcome(file: Path, begin: int, seconds: float, at_once: int | None = None) -> Extraction:
    with FeatureCache(file) as cache:
        skipped = np.flatnonzero(cache.status == SKIPPED).tolist()
        ids = cache.ids if skipped else []
        size = int(cache.provenance["batch_size"])
        undecodable = tuple(ids[i] for i in skipped)
        return Extraction(file, cache.rows, undecodable, begin, seconds, size, size if at_once is None else at_once)


def _fill(cache: FeatureCache, network: Network, job: _Job) -> int:
    """Compute the rows that are missing, batch by batch. Returns the first row computed."""
    size, total = int(cache.provenance["batch_size"]), len(job.rows)
    missing = cache.first_missing()
    start = begin = missing if missing == total else missing // size * size
    batches = [job.rows[i : i + size] for i in range(begin, total, size)]
    title, shown = f"{cache.model} {cache.dataset}", None if job.settings.progress else True
    with (
        tqdm(total=total, initial=begin, desc=title, unit="img", disable=shown) as bar,
        ThreadPoolExecutor(1, "write") as writer,
        closing(load_batches(job.images, batches, job.backbone.transform, job.settings)) as loaded,
    ):
        writing: Future[int] | None = None
        for batch in loaded:
            if batch.errors and job.settings.on_error == "stop":
                raise next(iter(batch.errors.values()))
            output = network(batch.pixels)
            if writing is not None:
                bar.update(writing.result())
            writing = writer.submit(_write, cache, start, output, batch.errors)
            start += len(batch)
        if writing is not None:
            bar.update(writing.result())
    return begin


def _write(cache: FeatureCache, start: int, output: Output, errors: Mapping[int, MoodbenchError]) -> int:
    """Write one batch once it has arrived. Returns its number of rows."""
    features, logits = output.arrays()
    status = np.full(len(features), DONE, np.uint8)
    for position in errors:
        features[position] = 0
        status[position] = SKIPPED
        if logits is not None:
            logits[position] = 0
    cache.write(start, features, logits, status)
    return len(features)
