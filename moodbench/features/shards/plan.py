"""The plan of a cache in shards: which rows are in which, and what everybody who fills one must agree on.

``plan.json`` lies among the shards. Whoever is first writes it, whole, and nobody ever changes it::

    {"moodbench_shards": 1,
     "plan": {"model": …, "dataset": …, "rows": …, "rows_per_shard": …, "images": sha256 of ids and labels,
              "batch_size": …, "channels_last": …, "dim": …, "classes": …, "class_names": […], "head": …,
              "provenance": {…}},
     "sha256": of the plan, as JSON with sorted keys and no blanks}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.atomic import replace_file, sweep
from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features.create import reason
from moodbench.features.provenance import refuse_mismatch
from moodbench.features.shards.share import MOST_SHARDS, Share
from moodbench.reading import as_record, parse_json, read_bytes
from moodbench.shard_names import PLAN, shard_name, shards_folder

ROWS_PER_SHARD = 16_384
"""Where nobody says how many: some minutes of a GPU, and files of 50 to 300 MB."""

_VERSION = 1
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class ShardPlan:
    """What is in the plan; see the module's text.

    Attributes
    ----------
    model, dataset : str
    rows, rows_per_shard : int
        In all, and in every shard but the last, which has what is left.
    images : str
        `list_digest` of the ids and labels.
    batch_size, channels_last : int, bool
        How all shards are computed; `rows_per_shard` is a multiple of the first.
    dim : int
    classes : int or None
    class_names : list of str
    head : str or None
    provenance : dict
        What the rows are made from, as the cache will note it.
    """

    model: str
    dataset: str
    rows: int
    rows_per_shard: int
    images: str
    batch_size: int
    channels_last: bool
    dim: int
    classes: int | None
    class_names: list[str]
    head: str | None
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        if self.rows < 1 or self.batch_size < 1 or self.rows_per_shard < 1 or self.rows_per_shard % self.batch_size:
            raise ValueError(f"{self.rows} rows in shards of {self.rows_per_shard}, in batches of {self.batch_size}")
        if self.shards > MOST_SHARDS:
            raise ValueError(f"{self.shards} shards, and {MOST_SHARDS} are the limit")

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.rows // self.rows_per_shard)

    def rows_of(self, index: int) -> slice:
        """Return the rows of a shard, which are counted from 1."""
        start = (index - 1) * self.rows_per_shard
        return slice(start, min(start + self.rows_per_shard, self.rows))

    def note(self, index: int) -> dict[str, int]:
        """Return what the provenance of a shard says of its place."""
        rows = self.rows_of(index)
        return {"index": index, "of": self.shards, "start": rows.start, "rows": rows.stop - rows.start}

    def file_of(self, cache: Path, index: int) -> Path:
        """Return where a shard of a cache lies."""
        return shards_folder(cache) / shard_name(index, self.shards)

    @cached_property
    def noted(self) -> dict[str, Any]:
        """The provenance of the whole."""
        return {**self.provenance, "batch_size": self.batch_size, "channels_last": self.channels_last}


class ListDigest:
    """The SHA-256 of ids and labels in order, of which some come after others: the ids of all, then their labels."""

    def __init__(self) -> None:
        self._ids = hashlib.sha256()
        self._labels: list[bytes] = []

    def add(self, ids: Iterable[str], labels: NDArray[np.int64]) -> None:
        """Take the next ones."""
        for name in ids:
            self._ids.update(f"{name}\0".encode("utf-8", "surrogateescape"))
        self._labels.append(np.ascontiguousarray(labels, "<i8").tobytes())

    def hex(self) -> str:
        """Return the digest of those that were taken."""
        digest = self._ids.copy()
        for labels in self._labels:
            digest.update(labels)
        return digest.hexdigest()


def list_digest(ids: Iterable[str], labels: NDArray[np.int64]) -> str:
    """Return the SHA-256, in hex, of ids and labels in order."""
    digest = ListDigest()
    digest.add(ids, labels)
    return digest.hex()


def plan_file(cache: Path) -> Path:
    """Return where the plan of a cache lies."""
    return shards_folder(cache) / PLAN


def write_plan(cache: Path, plan: ShardPlan) -> None:
    """Write the plan of a cache; the caller holds the cache's lock.

    Raises
    ------
    CacheError
    """
    file, values = plan_file(cache), asdict(plan)
    sweep(file)
    record = {"moodbench_shards": _VERSION, "plan": values, "sha256": _digest(values)}
    try:
        replace_file(file, json.dumps(record, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise CacheError(
            f"the plan of the shards cannot be written: {reason(error)}",
            file=file,
            fix="make room or choose another --cache-dir",
        ) from None


def read_plan(cache: Path) -> ShardPlan | None:
    """Return the plan of a cache, None where there is none.

    Raises
    ------
    CacheError
        It is damaged, foreign, of a newer version, or that of another cache.
    """
    file = plan_file(cache)
    if not file.exists() and not file.is_symlink():
        return None
    data = read_bytes(file, "the plan of the shards", CacheError, most=_MOST_BYTES)
    try:
        record = parse_json(data)
        version = record.get("moodbench_shards") if isinstance(record, dict) else None
        if version == _VERSION and record["sha256"] != _digest(record["plan"]):
            raise ValueError("its checksum is another")
        plan = as_record(ShardPlan, record["plan"]) if version == _VERSION else None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CacheError(
            f"the plan of the shards is damaged ({_shown(error)})",
            file=file,
            fix="remove this file, then run the same moodbench extract again: shards that are there and fit stay",
        ) from None
    if plan is None:
        raise CacheError(
            f"this is no plan of shards that this version of moodbench knows (version {version})",
            file=file,
            fix="use the version that wrote it, or remove the folder if nobody needs it",
        )
    if plan.dataset != cache.stem:
        raise CacheMismatchError(
            f"this is the plan of '{plan.model}' on '{plan.dataset}', in the place of another",
            file=file,
            fix="move its folder back, or remove it",
        )
    return plan


def refuse_other_shards(cache: Path, plan: ShardPlan, share: Share) -> None:
    """Raise a `CacheMismatchError` unless the plan of a cache has the shards that a share is of."""
    asked = share.rows(plan.rows, plan.batch_size)
    if share.of != plan.shards and asked != plan.rows_per_shard:
        raise CacheMismatchError(
            f"'{plan.model}' on '{plan.dataset}' was begun in {plan.shards} shards of {plan.rows_per_shard} rows; "
            f"--shard {share.index}/{share.of} makes shards of {asked}",
            file=plan_file(cache),
            fix=f"go on with --shard I/{plan.shards}, or without --shard, or begin anew: "
            f"moodbench cache remove --model {plan.model} --dataset {plan.dataset}",
        )


def refuse_other_plan(there: ShardPlan, plan: ShardPlan, *, file: str | Path) -> None:
    """Raise a `CacheMismatchError` unless `there`, the plan in `file`, and `plan` are of the same, in the same shards.

    When and by which versions they were made does not count.
    """
    refuse_mismatch(there, plan.noted, plan.class_names, file=file)
    for one in fields(ShardPlan):
        if one.name not in ("provenance", "class_names") and getattr(there, one.name) != getattr(plan, one.name):
            raise CacheMismatchError(
                f"two plans of '{plan.model}' on '{plan.dataset}' differ in {one.name.replace('_', ' ')}: "
                f"{getattr(there, one.name)} there, {getattr(plan, one.name)} here",
                file=file,
                fix=f"begin one of them anew: moodbench cache remove --model {plan.model} --dataset {plan.dataset}",
            )


def _digest(plan: Any) -> str:
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _shown(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)[:200]
