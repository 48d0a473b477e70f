"""Passes of a network over images, into caches that are there: three things happen side by side.

Workers decode the next batches (`loading`), the network computes one (`network`), and the one before is checksummed
and written: to the model's own cache, and to one of each view that was asked for, a layer or changed images
(`targets`). One forward pass serves them all; changed images take further ones.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

import numpy as np
import torch

from moodbench.devices import is_out_of_memory, keep_freed_memory
from moodbench.errors import ModelError, MoodbenchError
from moodbench.features.cache import DONE, SKIPPED, FeatureCache
from moodbench.features.changed import refuse_settings
from moodbench.features.create import Layout
from moodbench.features.job import Job
from moodbench.features.loading import load_batches, read_batch
from moodbench.features.memory import settle_batch_size
from moodbench.features.network import Network, Output
from moodbench.features.settings import Settings
from moodbench.features.targets import Arithmetic, Target, View, recipes_of
from moodbench.models.backbone import Backbone
from moodbench.progress import bar

_CHECKED_IMAGES = 4


@dataclass(frozen=True)
class Filled:
    """What was done to a cache: its rows from `begun` on, in so many `seconds`, `at_once` images at last."""

    begun: int
    seconds: float
    at_once: int

    @property
    def parts(self) -> tuple[int, float, int]:
        """All three, in order."""
        return self.begun, self.seconds, self.at_once


class Networks:
    """The network of one backbone, made anew only where it must work in another way."""

    def __init__(self, backbone: Backbone, settings: Settings) -> None:
        self.backbone, self._settings = backbone, settings
        self._network: Network | None = None
        self._how: Arithmetic | None = None

    def take(self, network: Network) -> Arithmetic:
        """Keep a network that was just made, and return how it works."""
        self._network, self._how = network, Arithmetic(network.rows, network.channels_last)
        return self._how

    def of(self, how: Arithmetic, views: list[View]) -> Network:
        """Return one that works so. One that ran out of memory keeps taking fewer images at once."""
        if self._network is None or (self._how, self._network.views) != (how, views):
            settings = replace(self._settings, channels_last=how.channels_last)
            self._network, self._how = Network(self.backbone, settings, how.batch_size, views), how
        return self._network


def fill(job: Job, waiting: Sequence[Target], networks: Networks) -> dict[Target, Filled]:
    """Compute the rows that caches lack, whose locks the caller holds, and mark them as complete.

    That is one pass over the images, unless caches were begun in different ways: only as it was begun gets a cache the
    same bits.
    """
    keep_freed_memory()
    groups: dict[Arithmetic, list[Target]] = {}
    for target in waiting:
        groups.setdefault(Arithmetic.noted(target.file, job.settings), []).append(target)
    filled: dict[Target, Filled] = {}
    seconds = 0.0
    for how, together in groups.items():
        network = networks.of(how, _views(together))
        network.own = any(target.view is None for target in together)
        began = time.monotonic()
        begun = _fill(together, network, job)
        seconds += time.monotonic() - began
        filled |= {target: Filled(begun[target], seconds, network.at_once) for target in together}
    return {target: replace(one, seconds=seconds) for target, one in filled.items()}


def attempt(
    job: Job, new: Sequence[Target], how: Arithmetic | None, networks: Networks
) -> tuple[Arithmetic, dict[Target, Layout]]:
    """Prove that the network can fill caches, and return in which way, and what is to be in each.

    Parameters
    ----------
    job : Job
    new : sequence of Target
    how : Arithmetic or None
        Caches of this network are already made so.
    networks : Networks

    Raises
    ------
    ModelError
    """
    network, widths = _tried(job, _views(new), how)
    if how is None:
        settle_batch_size(network, job.settings, job.side)
    ids, labels = job.named
    layouts = {}
    for target in new:
        head = target.head(job.backbone.head)
        logits, of = (None, None) if head is None else (head.classes, head.digest)
        layouts[target] = Layout(ids, labels, widths[target.view], logits, job.images.classes, of)
    return networks.take(network), layouts


def _views(targets: Sequence[Target]) -> list[View]:
    return [target.view for target in targets if target.view is not None]


def check_recipes(backbone: Backbone, views: Sequence[View], settings: Settings) -> None:
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


def _tried(job: Job, views: Sequence[View], how: Arithmetic | None) -> tuple[Network, dict[View | None, int]]:
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


def _fill(targets: Sequence[Target], network: Network, job: Job) -> dict[Target, int]:
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
