"""What an extraction is to do, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.datasets.images import ImageSource, imagenet_wnids
from moodbench.features.cache import SKIPPED, FeatureCache
from moodbench.features.heads import drop_left_over, store_head
from moodbench.features.settings import Settings
from moodbench.features.targets import Target
from moodbench.models.backbone import Backbone
from moodbench.types import Head
from moodbench.views import LAYER

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
    shard : (int, int) or None
        Which shard of how many this was, from 1; `file` and `rows` are those of the shard. None: the whole cache.
    """

    file: Path
    rows: int
    undecodable: tuple[str, ...]
    begun_at: int
    seconds: float
    batch_size: int
    at_once: int
    views: Mapping[str, Extraction] = field(default_factory=dict)
    shard: tuple[int, int] | None = None

    @property
    def layers(self) -> tuple[Extraction, ...]:
        """Those of the layers."""
        return tuple(one for name, one in self.views.items() if name.startswith(LAYER))

    @property
    def already(self) -> bool:
        """Nothing was left to do."""
        return self.begun_at == self.rows


@dataclass(frozen=True)
class Job:
    """What is to be extracted, and from what; `rows` are the images to take, ascending."""

    backbone: Backbone
    images: ImageSource
    rows: Rows
    settings: Settings
    title: str

    @property
    def side(self) -> int:
        """Of the images that the network sees, in pixels."""
        return int(self.backbone.transform.record["size"])

    @property
    def named(self) -> tuple[list[str], NDArray[np.int64]]:
        """Ids and labels of the images to take."""
        return [self.images.ids[i] for i in self.rows], self.images.labels[self.rows]

    def store_head(self, target: Target) -> None:
        """Write the head beside a cache whose logits it makes."""
        if not target.headed:
            return
        cache, head = target.whole, target.head(self.backbone.head)
        file = cache.with_name("head.h5")
        if head is None:
            drop_left_over(file, of=cache)
        else:
            own = head is self.backbone.head
            store_head(file, named_head(head, self.backbone.record) if own else head, of=cache)


def named_head(head: Head, record: Mapping[str, Any]) -> Head:
    """Return the head with the names of its classes, where it has them or its `record` says whose they are."""
    if head.class_names is None and record.get("head_names") == "imagenet":
        return replace(head, class_names=imagenet_wnids())
    return head


def selection(total: int, limit: int | None) -> Rows:
    """Return the images to take, ascending: all, or `limit` of them spread evenly."""
    if limit is None or limit >= total:
        return np.arange(total)
    return np.arange(limit) * total // limit


def outcome_of(file: Path, begin: int, seconds: float, at_once: int | None = None) -> Extraction:
    """Return what was done about the cache `file`: its rows from `begin` on were computed now."""
    with FeatureCache(file) as cache:
        skipped = np.flatnonzero(cache.status == SKIPPED).tolist()
        ids = cache.ids if skipped else []
        size = int(cache.provenance["batch_size"])
        undecodable = tuple(ids[i] for i in skipped)
        return Extraction(file, cache.rows, undecodable, begin, seconds, size, size if at_once is None else at_once)
