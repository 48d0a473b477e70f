"""One HDF5 file of a cache: opened with care, compared with its seal, its arrays read and written at their places."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError, CacheMismatchError, UsageError
from moodbench.features.create import COMPLETE, SCHEMA, SHARDED
from moodbench.features.hdf5 import UnreadableError, in_words, open_hdf5, stored_texts
from moodbench.features.pieces import Piece, Place, state_of
from moodbench.features.raw import read_into, write_from
from moodbench.features.seal import BLOCK, Seal
from moodbench.features.shards.manifest import Shard, read_shards, shard_digest
from moodbench.shard_names import SUFFIX, shard_name, shards_folder
from moodbench.workspace import ModelName

READABLE = (1, SCHEMA, SHARDED)
"""Schema 1 has no names of classes and no seal; the third is that of manifests."""

DAMAGED = "it is damaged or foreign: remove it, then extract or import again"


class StoredCache:
    """An open file of a cache, or the manifest of one whose rows lie in shards.

    Attributes
    ----------
    rows, dim, classes, class_names, head, model, dataset, provenance, complete
        Those of `moodbench.features.cache.FeatureCache`.
    shards : tuple of Shard
        Of a manifest; empty where the rows are in this file.
    seal : Seal or None
    """

    rows: int
    dim: int
    classes: int | None
    class_names: tuple[str, ...] | None
    head: str | None
    model: str
    dataset: str
    provenance: dict[str, Any]
    complete: bool

    def __init__(self, file: Path, *, write: bool = False) -> None:
        """Open `file`; what is raised is that of `FeatureCache`."""
        self.file = file
        self.shards: tuple[Shard, ...] = ()
        self._places: dict[str, Place] = {}
        with self.in_words("this is no readable HDF5 file"):
            self._state = state_of(file)
            self.seal = open_hdf5(file, self._inspect)
            self._stream = file.open("r+b" if write else "rb", buffering=0)

    @contextmanager
    def in_words(self, what: str) -> Iterator[None]:
        """Turn whatever the library raises into an error that says `what`."""
        try:
            with in_words():
                yield
        except UnreadableError as error:
            raise CacheError(f"{what} ({error})", file=self.file, fix=DAMAGED) from None

    def _inspect(self, h5: Any, seal: Seal | None) -> None:
        attributes = h5.attrs
        schema = attributes.get("moodbench_schema")
        if schema is None:
            raise CacheError(
                "this HDF5 file is not a moodbench cache", file=self.file, fix="move it out of the cache folder"
            )
        if int(schema) not in READABLE:
            raise CacheError(
                f"the cache has schema {int(schema)}; this version of moodbench reads schemas up to {SHARDED}",
                file=self.file,
                fix="extract again with this version, or use the version that wrote it",
            )
        if int(schema) > 1 and seal is None:
            raise UnreadableError("its seal is damaged")
        self._check_arrays(h5, joined=int(schema) == SHARDED)
        try:
            self.provenance = dict(json.loads(attributes["provenance"]))
            self.model, self.dataset = str(attributes["model"]), str(attributes["dataset"])
            self.head = str(attributes["head"]) if "head" in attributes else None
            self.complete = bool(attributes[COMPLETE])
        except (KeyError, ValueError, TypeError) as error:
            raise UnreadableError(f"it lacks a part: {error}") from None
        self._check_place()

    def _check_arrays(self, h5: Any, *, joined: bool) -> None:
        """Refuse arrays of other types and shapes before anything of them is read: sizes could be made up."""
        there = {name: _array(h5, name) for name in ("features", "labels", "status", "crc32", "ids")}
        there |= {"logits": _array(h5, "logits")} if "logits" in h5 else {}
        self.rows, self.dim = map(int, there["features"].shape)
        self.classes = int(there["logits"].shape[1]) if "logits" in there else None
        n = (self.rows,)
        wanted = {"features": ("<f4", (*n, self.dim)), "labels": ("<i8", n), "status": ("|u1", n), "crc32": ("<u4", n)}
        wanted |= {} if self.classes is None else {"logits": ("<f4", (self.rows, self.classes))}
        types = {name: array.dtype for name, array in there.items()}  # asked once: that is what opening costs
        for name, (kind, shape) in wanted.items():
            if (types[name].str, there[name].shape) != (kind, shape):
                raise UnreadableError(f"its '{name}' are {types[name].str} {there[name].shape}, not {kind} {shape}")
        if types["ids"].kind != "S" or there["ids"].shape != n:
            raise UnreadableError(f"its 'ids' are {types['ids'].str} {there['ids'].shape}")
        if joined:  # the arrays are virtual, and read in the shards
            self.shards = read_shards(h5, self.rows)
        else:
            for name in (*wanted, "ids"):
                self._places[name] = self._place(name, there[name], types[name])
        self.class_names = stored_texts(_array(h5, "classes")[:]) if "classes" in h5 else None

    def _place(self, name: str, array: Any, kind: np.dtype[Any]) -> Place:
        offset, length = array.id.get_offset(), array.size * kind.itemsize
        if length and (offset is None or not 0 < offset <= self.file.stat().st_size - length):
            raise UnreadableError(f"its '{name}' are truncated, or not in one piece")
        return Place(offset or 0, np.dtype(kind.str), array.shape[1:])

    def _check_place(self) -> None:
        """Refuse the cache of another model or dataset; hidden files have no place yet."""
        if self.file.name.startswith("."):
            return
        try:
            folder = ModelName.parse(self.model).folder
        except UsageError as error:
            raise UnreadableError(error.what) from None
        place = Path(folder, f"{self.dataset}.h5")
        what = f"the cache of '{self.model}' on '{self.dataset}'"
        if (shard := self.provenance.get("shard")) is not None:
            try:
                index, of = int(shard["index"]), int(shard["of"])
            except (KeyError, TypeError, ValueError):
                raise UnreadableError("it does not say which shard it is") from None
            place = shards_folder(place) / shard_name(index, of)
            what = f"shard {index} of {of} of {what}"
        parts = self.file.parts[-len(place.parts) :]
        if self.file.parent.name.endswith(SUFFIX) != (shard is not None) or parts != place.parts:
            raise CacheMismatchError(
                f"this is {what}, in the place of another",
                file=self.file,
                fix=f"move it back to {place}, or make it again under the name that is meant",
            )

    @property
    def piece(self) -> Piece:
        """The rows of this file, by themselves."""
        return Piece(self.file, 0, self.rows, self._places, self.seal, self._state)

    def part(self, name: str) -> Any:
        """Return an array that never changes, once it was compared with the seal."""
        with self.in_words("the cache cannot be read"):
            return self.piece.part(name)

    def read(self, name: str, start: int, stop: int) -> Any:
        """Return rows of an array."""
        place = self._places[name]
        array = np.empty((stop - start, *place.width), place.kind)
        with self.in_words("the cache cannot be read"):
            read_into(self._stream.fileno(), array, place.of(start))
        return array

    def put(self, name: str, start: int, values: NDArray[Any]) -> None:
        """Write rows of an array."""
        place = self._places[name]
        write_from(self._stream.fileno(), np.ascontiguousarray(values, place.kind), place.of(start))

    def mark_complete(self) -> None:
        """Note that the cache is complete, once what was written before is on the disk."""
        os.fsync(self._stream.fileno())
        if self.seal is not None:
            write_from(self._stream.fileno(), np.ones(1, np.uint8), self.seal.free[COMPLETE][0])
        else:
            with h5py.File(self.file, "r+", locking=False) as h5:
                h5.attrs.modify(COMPLETE, np.uint8(1))
        os.fsync(self._stream.fileno())

    @property
    def digest(self) -> str:
        """What tells this file, once it is complete, from every other (`shard_digest`)."""
        with self.in_words("the cache cannot be read"):
            return shard_digest(os.pread(self._stream.fileno(), BLOCK, 0), self.read("crc32", 0, self.rows))

    def place(self, name: str) -> Place:
        """Return where an array lies."""
        return self._places[name]

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _array(h5: Any, name: str) -> Any:
    """Return a dataset of the file."""
    found = h5.get(name)
    if not hasattr(found, "chunks"):
        raise UnreadableError(f"it lacks a part: {name}")
    return found
