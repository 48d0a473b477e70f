"""Images → feature caches, resumable at every moment: into one file each, or into shards (`features/shards/`)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from moodbench.datasets.images import ImageSource
from moodbench.features.create import create_cache, refuse_if_full
from moodbench.features.job import Extraction, Job, outcome_of, selection
from moodbench.features.lock import BusyError, begun_or_nothing, exclusive
from moodbench.features.passes import Filled, Networks, attempt, check_recipes, fill
from moodbench.features.provenance import provenance
from moodbench.features.settings import Settings
from moodbench.features.shards.fill import ShardedExtraction
from moodbench.features.shards.leave import drop_begun_plan, drop_left_over_shards
from moodbench.features.shards.lost import lost_plan
from moodbench.features.shards.reopen import reopen_if_shards_are_gone
from moodbench.features.shards.share import Share
from moodbench.features.targets import Arithmetic, Target, View, is_done, targets_of
from moodbench.features.verify import check_cache
from moodbench.models.backbone import Backbone
from moodbench.shard_names import has_plan

__all__ = ["Extraction", "Settings", "extract_images", "sharded"]


def extract_images(
    backbone: Backbone,
    images: ImageSource,
    file: Path,
    *,
    model: str,
    dataset: str,
    settings: Settings,
    views: Sequence[View] = (),
    share: Share | None = None,
) -> Extraction:
    """Write features, logits and labels of every image to the cache `file`, and its `views` to their own.

    Rows that are there and intact are kept; work goes on with the batch that holds the first one that is not. Caches
    that have come to different lengths are brought on together from the shortest; the others keep what they have. Those
    that were begun in shards go on shard by shard.

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
    share : Share, optional
        Fill this shard alone; whoever fills the last joins them.

    Raises
    ------
    CacheMismatchError
        A cache was made with other weights, another transform, precision, limit or image list, or compiled; or its
        plan has other shards. Nothing is begun then.
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
    job, targets = _asked(backbone, images, file, model, dataset, settings, views)
    networks = Networks(backbone, settings)
    # asked before the lock: finished work on a read-only disk is a success
    waiting = [target for target in targets if not is_done(target, images.classes)]
    for target in targets:
        if target not in waiting:
            check_cache(target.file)
            drop_left_over_shards(target.file)
            job.store_head(target)
    outcomes: dict[Target, Extraction] = {}
    if share is None and not any(_in_shards(target, job) for target in waiting):
        outcomes = _in_one_file(job, targets, waiting, networks)
    elif waiting:
        if share is None:  # those that were begun in one file end so
            alone = [target for target in waiting if target.file.exists()]
            outcomes = _in_one_file(job, targets, alone, networks)
        work = ShardedExtraction(job, targets, networks)
        work.begin(share)
        outcomes |= work.run(share)
    for target in targets:
        if target not in outcomes:
            outcomes[target] = outcome_of(target.file, len(job.rows), 0.0)
    own, *others = (outcomes[target] for target in targets)
    return replace(own, views={view.view: one for view, one in zip(views, others, strict=True)})


def sharded(
    backbone: Backbone,
    images: ImageSource,
    file: Path,
    *,
    model: str,
    dataset: str,
    settings: Settings,
    views: Sequence[View] = (),
) -> ShardedExtraction:
    """Return an extraction whose shards are filled one by one, in any order, anywhere; see `extract_images`."""
    job, targets = _asked(backbone, images, file, model, dataset, settings, views)
    return ShardedExtraction(job, targets, Networks(backbone, settings))


def _asked(
    backbone: Backbone,
    images: ImageSource,
    file: Path,
    model: str,
    dataset: str,
    settings: Settings,
    views: Sequence[View],
) -> tuple[Job, list[Target]]:
    """Return what is to be done, and into which caches, the model's own first."""
    job = Job(backbone, images, selection(len(images), settings.limit), settings, f"{model} {dataset}")
    check_recipes(backbone, views, settings)
    targets = targets_of(Target(model, dataset, file, provenance(backbone, images, settings)), views)
    for target in targets:
        reopen_if_shards_are_gone(target, images.classes)
    return job, targets


def _in_shards(target: Target, job: Job) -> bool:
    """Say whether shards of a cache were begun, be it that their plan is gone."""
    return has_plan(target.file) or lost_plan(target, len(job.rows), job.images.classes, job.settings) is not None


def _in_one_file(
    job: Job, targets: Sequence[Target], waiting: Sequence[Target], networks: Networks
) -> dict[Target, Extraction]:
    """Fill caches that are no shards."""
    if not waiting:
        return {}
    with ExitStack() as locks:
        for target in waiting:
            locks.enter_context(begun_or_nothing(target.file))
            locks.enter_context(exclusive(target.file))
        # and again under it: another process may just have ended
        waiting = [target for target in waiting if not is_done(target, job.images.classes)]
        _refuse_shards(waiting)
        for target in waiting:
            drop_begun_plan(target.file)
        _create(job, targets, [target for target in waiting if not target.file.exists()], networks)
        filled = fill(job, waiting, networks)
    return {target: _outcome(target, one) for target, one in filled.items()}


def _refuse_shards(waiting: Sequence[Target]) -> None:
    """Refuse caches of which shards were begun since somebody looked."""
    for target in waiting:
        if has_plan(target.file) and not target.file.exists():
            raise BusyError(
                "another process has just begun shards of this cache", file=target.file, fix="run the command again"
            )


def _create(job: Job, targets: Sequence[Target], new: Sequence[Target], networks: Networks) -> None:
    """Create caches, once the network has proved that it can fill them, in the way that others of it are made."""
    if not new:
        return
    there = (Arithmetic.noted(target.file, job.settings) for target in targets if target.file.exists())
    how, layouts = attempt(job, new, next(there, None), networks)
    for target in new:
        job.store_head(target)
    refuse_if_full(new[0].file.parent, sum(layout.size for layout in layouts.values()))
    for target, layout in layouts.items():
        create_cache(target.file, target.model, target.dataset, layout, {**target.noted, **how.record})


def _outcome(target: Target, one: Filled) -> Extraction:
    return outcome_of(target.file, one.begun, one.seconds, one.at_once)
