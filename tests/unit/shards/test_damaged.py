"""Manifests and shards that are damaged anywhere are refused by name, or harmless: never wrong, and soon."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.reader import RowReader
from moodbench.features.seal import put_seal
from moodbench.features.verify import check_cache
from moodbench.shard_names import shards_folder
from tests.caches import make
from tests.sharded import in_shards


@pytest.fixture
def file(tmp_path):
    """A cache of 24 rows in shards of ten."""
    file = tmp_path / "cache" / "m" / "d.h5"
    make(file, rows=24)
    in_shards(file, 10)
    return file


def seen(file):
    """Return all that is read of a cache, or the file that an error names."""
    try:
        reader = RowReader(file)
        rows = b"".join(block.features.tobytes() + block.logits.tobytes() for block in reader.blocks(7))
        return rows, reader.ids, reader.labels.tolist(), reader.fingerprint, reader.class_names
    except CacheError as error:
        str(error)
        return error.file


def put(file, data):
    """Write other bytes; inode and times stay as they are."""
    stat = file.stat()
    with file.open("r+b") as stream:
        stream.truncate()
        stream.write(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_any_bit_of_a_manifest_can_flip(file):
    good = file.read_bytes()
    for position in random.Random(0).sample(range(len(good)), 250):
        data = bytearray(good)
        data[position] ^= 1 << position % 8
        put(file, data)
        assert seen(file) == file
    put(file, good)
    assert seen(file) != file


@pytest.mark.parametrize("length", [64, 512, 2048])
def test_any_part_of_a_manifest_can_be_lost(file, length):
    good, right = file.read_bytes(), seen(file)
    for begin in range(0, len(good), length):
        for data in (good[:begin] + b"\0" * length + good[begin + length :], good[:begin]):
            put(file, data[: len(good)])
            assert seen(file) in ((right,) if file.read_bytes() == good else (file,))


def test_any_bit_of_a_shard_can_flip(file):
    right = seen(file)
    chance = random.Random(1)
    shards = sorted(shards_folder(file).glob("*.h5"))
    for _ in range(150):
        shard = chance.choice(shards)
        good = shard.read_bytes()
        data, position = bytearray(good), chance.randrange(len(good))
        data[position] ^= 1 << position % 8
        put(shard, data)
        assert seen(file) in (right, shard)
        with pytest.raises(CacheError):
            check_cache(file)
        put(shard, good)


@contextmanager
def resealed(file):
    """Change a manifest in any way with h5py, and seal it again as it is then."""
    with h5py.File(file, "r+", locking=False) as h5:
        yield h5
    with file.open("r+b") as stream:
        put_seal(stream)


def table(h5, **values):
    """Change columns of the list of shards."""
    rows = h5["shards"][:]
    del h5["shards"]
    for name, column in values.items():
        rows[name] = column
    h5["shards"] = rows


def virtual(h5, name, shape, kind):
    """Put an array of another shape in the place of a virtual one."""
    del h5[name]
    h5.create_virtual_dataset(name, h5py.VirtualLayout(shape, kind))


CHANGES = {
    "no list": lambda h5: h5.__delitem__("shards"),
    "another list": lambda h5: (h5.__delitem__("shards"), h5.__setitem__("shards", np.zeros(3))),
    "an empty list": lambda h5: (rows := h5["shards"][:0], h5.__delitem__("shards"), h5.__setitem__("shards", rows)),
    "a shorter list": lambda h5: (rows := h5["shards"][:2], h5.__delitem__("shards"), h5.__setitem__("shards", rows)),
    "a hole": lambda h5: table(h5, start=[0, 11, 20]),
    "an overlap": lambda h5: table(h5, start=[0, 9, 20], rows=[10, 11, 4]),
    "negative rows": lambda h5: table(h5, rows=[10, -10, 24]),
    "other rows": lambda h5: table(h5, start=[0, 9, 20], rows=[9, 11, 4]),
    "many rows": lambda h5: table(h5, rows=[10, 10, 2**62]),
    "no digests": lambda h5: table(h5, sha256=b""),
    "foreign letters": lambda h5: table(h5, sha256="é".encode() * 32),
    "other digests": lambda h5: table(h5, sha256=b"0" * 64),
    "no features": lambda h5: h5.__delitem__("features"),
    "wide features": lambda h5: virtual(h5, "features", (24, 2**40), "<f4"),
    "long features": lambda h5: virtual(h5, "features", (2**40, 4), "<f4"),
    "features of another kind": lambda h5: virtual(h5, "features", (24, 4), "<f8"),
    "no logits": lambda h5: h5.__delitem__("logits"),
    "a group": lambda h5: (h5.__delitem__("labels"), h5.create_group("labels")),
    "another model": lambda h5: h5.attrs.__setitem__("model", "n"),
    "a model that is none": lambda h5: h5.attrs.__setitem__("model", "../n"),
    "another head": lambda h5: h5.attrs.__setitem__("head", "1" * 64),
    "no provenance": lambda h5: h5.attrs.__delitem__("provenance"),
    "names of classes": lambda h5: h5.__setitem__("classes", np.array([b"a"], h5py.string_dtype("utf-8", 1))),
    "schema 2": lambda h5: h5.attrs.__setitem__("moodbench_schema", 2),
    "schema 4": lambda h5: h5.attrs.__setitem__("moodbench_schema", 4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_manifests_that_another_program_wrote_are_refused(file, change):
    with resealed(file) as h5:
        CHANGES[change](h5)
    found = seen(file)
    assert found in (file, *shards_folder(file).glob("*.h5"))


def test_a_manifest_without_a_seal_is_refused(file):
    data = bytearray(file.read_bytes())
    data[:1024] = b"\0" * 1024
    put(file, data)
    assert seen(file) == file


def test_a_manifest_of_other_places_leads_nowhere_else(file, tmp_path):
    """HDF5 would follow what the virtual arrays say; rows are read in the folder beside the manifest alone."""
    right = seen(file)
    with resealed(file) as h5:
        layout = h5py.VirtualLayout((24, 4), "<f4")
        layout[:] = h5py.VirtualSource("/etc/hostname", "features", (24, 4))
        del h5["features"]
        h5.create_virtual_dataset("features", layout)
    assert seen(file) == right
    with FeatureCache(file) as cache:
        assert {piece.file.parent for piece in cache.pieces} == {shards_folder(file)}
