"""Images → feature caches, resumable at every moment.

Three things happen side by side: workers decode the next batches (`loading`), the network computes one (`network`), and
the one before is checksummed and written: to the model's own cache, and to one of each view that was asked for, a
layer or changed images (`targets`). One forward pass serves them all; changed images take further ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.datasets.images import ImageSource, imagenet_wnids
from moodbench.devices import is_out_of_memory, keep_freed_memory
from moodbench.errors import ModelError, MoodbenchError
from moodbench.features.cache import DONE, SKIPPED, FeatureCache
from moodbench.features.changed import refuse_settings
from moodbench.features.create import Layout, create_cache, refuse_if_full
from moodbench.features.heads import drop_left_over, store_head
from moodbench.features.loading import load_batches, read_batch
from moodbench.features.lock import exclusive
from moodbench.features.memory import settle_batch_size
from moodbench.features.network import Network, Output
from moodbench.features.provenance import provenance
from moodbench.features.settings import Settings
from moodbench.features.targets import Arithmetic, Target, View, is_done, recipes_of, targets_of
from moodbench.features.verify import check_cache
from moodbench.models.backbone import Backbone
from moodbench.progress import bar
from moodbench.types import Head
from moodbench.views import LAYER

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
    views : mapping of str to Extraction
        The same of each view that was asked for, by its name: layers in the network's order, then changed images.
    """

    file: Path
    rows: int
    undecodable: tuple[str, ...]
    begun_at: int
    seconds: float
    batch_size: int
    at_once: int
    views: Mapping[str, Extraction] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[Extraction, ...]:
        """Those of the layers."""
        return tuple(one for name, one in self.views.items() if name.startswith(LAYER))

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
    title: str

    @property
    def side(self) -> int:
        """Of the images that the network sees, in pixels."""
        return int(self.backbone.transform.record["size"])

    def store_head(self, target: Target) -> None:
        """Write the head beside a cache whose logits it makes."""
        if not target.headed:
            return
        file, head = target.file.with_name("head.h5"), target.head(self.backbone.head)
        if head is None:
            drop_left_over(file, of=target.file)
        else:
            own = head is self.backbone.head
            store_head(file, named_head(head, self.backbone.record) if own else head, of=target.file)


def named_head(head: Head, record: Mapping[str, Any]) -> Head:
    """Return the head with the names of its classes, where it has them or its `record` says whose they are."""
    if head.class_names is None and record.get("head_names") == "imagenet":
        return replace(head, class_names=imagenet_wnids())
    return head


def extract_images(
    backbone: Backbone,
    images: ImageSource,
    file: Path,
    *,
    model: str,
    dataset: str,
    settings: Settings,
    views: Sequence[View] = (),
) -> Extraction:
    """Write features, logits and labels of every image to the cache `file`, and its `views` to their own.

    Rows that are there and intact are kept; work goes on with the batch that holds the first one that is not. Caches
    that have come to different lengths are brought on together from the shortest; the others keep what they have.

    Parameters
    ----------
    backbone : Backbone
    images : ImageSource
    file : Path
        The head is stored beside it, as ``head.h5``.
    model, dataset : str
        Names to note in the cache.
    settings : Settings
    views : sequence of View
        Their caches lie in folders beside that of `file`, named ``…@layer-NAME`` and ``…@view-NAME``. They take
        over how the model's own cache is made, where that is there: batches line up.

    Raises
    ------
    CacheMismatchError
        A cache was made with other weights, another transform, precision, limit or image list, or compiled. Nothing is
        begun then.
    CacheError
        One is damaged, locked by another process, or the disk is full.
    ModelError
        The network's logits are not a linear function of its features; a view cannot be had of it; it cannot be
        compiled; or not even one image fits into memory.
    UsageError
        It is to be computed in a way that gives no gradients, and a view needs them.
    DataError
        An image cannot be decoded (with ``on_error="stop"``).
    """
    job = _Job(backbone, images, _selection(len(images), settings.limit), file, settings, f"{model} {dataset}")
    own = Target(model, dataset, file, provenance(backbone, images, settings))
    targets = targets_of(own, views)
    _check_recipes(backbone, views, settings)
    # asked before the lock: finished work on a read-only disk is a success
    waiting = [target for target in targets if not is_done(target, images.classes)]
    for target in targets:
        if target not in waiting:
            check_cache(target.file)
    begun = dict.fromkeys(targets, len(job.rows))
    at_once: dict[Target, int] = {}
    seconds = 0.0
    for target in targets:
        if target not in waiting:
            job.store_head(target)
    if waiting:
        with ExitStack() as locks:
            for target in waiting:
                locks.enter_context(exclusive(target.file))
            # and again under it: another process may just have ended
            waiting = [target for target in waiting if not is_done(target, images.classes)]
            keep_freed_memory()
            for network, together in _passes(job, targets, waiting):
                began = time.monotonic()
                begun |= _fill(together, network, job)
                seconds += time.monotonic() - began
                at_once |= dict.fromkeys(together, network.at_once)
    outcomes = [_outcome(target.file, begun[target], seconds, at_once.get(target)) for target in targets]
    return replace(outcomes[0], views={view.view: one for view, one in zip(views, outcomes[1:], strict=True)})


def _passes(job: _Job, targets: Sequence[Target], waiting: Sequence[Target]) -> Iterator[tuple[Network, list[Target]]]:
    """Yield networks, each with the caches that it is to fill in one pass over the images, once all of them are there.

    That is one network, unless caches were begun in different ways: only as it was begun gets a cache the same bits.
    """
    there = {target: Arithmetic.noted(target.file, job.settings) for target in targets if target.file.exists()}
    new = [target for target in waiting if target not in there]
    network: Network | None = None
    if new:
        how = next(iter(there.values()), None)
        network = _begun(job, new, how)
        how = how or Arithmetic(network.rows, network.channels_last)
        there |= dict.fromkeys(new, how)
    groups: dict[Arithmetic, list[Target]] = {}
    for target in waiting:
        groups.setdefault(there[target], []).append(target)
    for how, together in groups.items():
        views, own = _views(together), any(target.view is None for target in together)
        if network is None or (Arithmetic(network.rows, network.channels_last), network.views) != (how, views):
            settings = replace(job.settings, channels_last=how.channels_last)
            network = Network(job.backbone, settings, how.batch_size, views)
        network.own = own
        yield network, together


def _views(targets: Sequence[Target]) -> list[View]:
    return [target.view for target in targets if target.view is not None]


def _check_recipes(backbone: Backbone, views: Sequence[View], settings: Settings) -> None:
    """Refuse recipes that cannot be followed with this model, before anything is read or written."""
    recipes = recipes_of(views)
    refuse_settings(recipes, settings.precision, settings.compile)
    for recipe in recipes:
        head = backbone.head if recipe.other is None else recipe.other.head
        if recipe.head and head is None:
            raise ModelError(
                f"the view '{recipe.name}' reads the model's own head, and it has none",
                fix="--view-head NAME, a head that moodbench probe or head text made; --head-file FILE takes one from "
                "a file",
            )
        recipe.check(backbone.network, head)


def _selection(total: int, limit: int | None) -> Rows:
    """Return the images to take, ascending: all, or `limit` of them spread evenly."""
    if limit is None or limit >= total:
        return np.arange(total)
    return np.arange(limit) * total // limit


def _begun(job: _Job, new: Sequence[Target], how: Arithmetic | None) -> Network:
    """Create caches, once the network has proved that it can fill them; `how` others of this network are made."""
    images, rows = job.images, job.rows
    network, widths = _tried(job, _views(new), how)
    if how is None:
        settle_batch_size(network, job.settings, job.side)
    ids, labels = [images.ids[i] for i in rows], images.labels[rows]
    layouts = {}
    for target in new:
        job.store_head(target)
        head = target.head(job.backbone.head)
        logits, of = (None, None) if head is None else (head.classes, head.digest)
        layouts[target] = Layout(ids, labels, widths[target.view], logits, images.classes, of)
    refuse_if_full(job.file.parent, sum(layout.size for layout in layouts.values()))
    made = {"batch_size": network.rows, "channels_last": network.channels_last}
    for target, layout in layouts.items():
        create_cache(target.file, target.model, target.dataset, layout, {**target.noted, **made})
    return network


def _tried(job: _Job, views: Sequence[View], how: Arithmetic | None) -> tuple[Network, dict[View | None, int]]:
    """Return the network, checked on the first images, and the widths of its features and views.

    Where nothing says `how`, it is in the first memory layout that it takes.
    """
    pixels = read_batch(job.images, job.rows[:_CHECKED_IMAGES], job.backbone.transform).pixels

    def tried(settings: Settings) -> tuple[Network, dict[View | None, int]]:
        network = Network(job.backbone, settings, how.batch_size if how else 1, views)
        network.check(pixels)
        dim = network.width(job.side)
        for other in filter(None, network.heads):
            if other.head.dim != dim:
                raise ModelError(
                    f"the head '{other.name}' reads {other.head.dim} numbers, and the features are {dim} wide",
                    fix="name a head of this model with --view-head",
                )
        return network, dict(zip((None, *views), (dim, *network.check_views(pixels)), strict=True))

    if how is not None:
        return tried(replace(job.settings, channels_last=how.channels_last))
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


def _outcome(file: Path, begin: int, seconds: float, at_once: int | None = None) -> Extraction:
    with FeatureCache(file) as cache:
        skipped = np.flatnonzero(cache.status == SKIPPED).tolist()
        ids = cache.ids if skipped else []
        size = int(cache.provenance["batch_size"])
        undecodable = tuple(ids[i] for i in skipped)
        return Extraction(file, cache.rows, undecodable, begin, seconds, size, size if at_once is None else at_once)


def _fill(targets: Sequence[Target], network: Network, job: _Job) -> dict[Target, int]:
    """Compute the rows that are missing, batch by batch. Returns the first row computed for each cache."""
    with ExitStack() as files:
        caches = {target: files.enter_context(FeatureCache(target.file, write=True)) for target in targets}
        begun = {target: _first_row(cache) for target, cache in caches.items()}
        size, total = int(next(iter(caches.values())).provenance["batch_size"]), len(job.rows)
        start = first = min(begun.values())
        batches = [job.rows[i : i + size] for i in range(first, total, size)]
        done = files.enter_context(bar(job.title, total, shown=job.settings.progress, done=first))
        writer = files.enter_context(ThreadPoolExecutor(1, "write"))
        loaded = files.enter_context(closing(load_batches(job.images, batches, job.backbone.transform, job.settings)))
        writing: Future[int] | None = None
        for batch in loaded:
            if batch.errors and job.settings.on_error == "stop":
                raise next(iter(batch.errors.values()))
            output = network(batch.pixels, torch.from_numpy(job.rows[start : start + len(batch)]))
            if writing is not None:
                done.update(writing.result())
            lacking = {target: cache for target, cache in caches.items() if begun[target] <= start}
            writing = writer.submit(_write, lacking, network, start, output, batch.errors)
            start += len(batch)
        if writing is not None:
            done.update(writing.result())
        for cache in caches.values():
            cache.finish()
    return begun


def _first_row(cache: FeatureCache) -> int:
    """Return the first row of the batch that holds the first one that is missing; N where none is."""
    missing, size = cache.first_missing(), int(cache.provenance["batch_size"])
    return missing if missing == cache.rows else missing // size * size


def _write(
    caches: Mapping[Target, FeatureCache],
    network: Network,
    start: int,
    output: Output,
    errors: Mapping[int, MoodbenchError],
) -> int:
    """Write one batch once it has arrived. Returns its number of rows."""
    skipped, count = list(errors), 0
    for target, cache in caches.items():
        features, logits = output.arrays(0 if target.view is None else 1 + network.views.index(target.view))
        count = len(features)
        status = np.full(count, DONE, np.uint8)
        status[skipped] = SKIPPED
        for array in (features, logits):
            if array is not None:
                array[skipped] = 0
        cache.write(start, features, logits, status)
    return count
