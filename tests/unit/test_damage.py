"""Damaged, lost and misplaced caches: an error that names file and rows, or the right rows; never others."""

from __future__ import annotations

import os
import shutil

import h5py
import numpy as np
import pytest

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.evaluation.caches import refuse_other_head
from moodbench.features.cache import DONE, SKIPPED, FeatureCache
from moodbench.features.create import Layout, create_cache
from moodbench.features.reader import RowReader
from moodbench.features.verify import check_cache
from moodbench.types import Head
from tests.caches import as_schema_1

ROWS, DIM, CLASSES = 24, 3, 2
HEAD = Head(np.ones((CLASSES, DIM), np.float32), np.zeros(CLASSES, np.float32))


@pytest.fixture
def file(tmp_path):
    return make(tmp_path / "cache" / "m" / "d.h5")


def make(file, model="m", dataset="d"):
    rng = np.random.default_rng(0)
    layout = Layout([f"{i}.png" for i in range(ROWS)], np.arange(ROWS) % 3, DIM, CLASSES, "abc", HEAD.digest)
    create_cache(file, model, dataset, layout, {"source": "test", "limit": None})
    x = rng.normal(1, 0.1, size=(ROWS, DIM)).astype(np.float32)
    status = np.full(ROWS, DONE, np.uint8)
    status[5], x[5] = SKIPPED, 0
    with FeatureCache(file, write=True) as cache:
        cache.write(0, x, x[:, :CLASSES].copy(), status)
        cache.finish()
    return file


def content(file):
    """All that is read of a cache to score it."""
    reader = RowReader(file)
    blocks = list(reader.blocks(7))
    features = np.concatenate([block.features for block in blocks])
    logits = np.concatenate([block.logits for block in blocks])
    return [features.tolist(), logits.tolist(), reader.labels.tolist(), reader.class_names, reader.skipped]


def seen(file):
    """Its content, or the file that the error names."""
    try:
        return content(file)
    except CacheError as error:
        return error.file


def put(file, data):
    """Write other bytes; size, inode and times stay as they are."""
    stat = file.stat()
    with file.open("r+b") as stream:
        stream.write(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_every_third_byte_of_a_cache_can_flip(file):
    good, right = file.read_bytes(), content(file)
    with FeatureCache(file) as cache:
        complete = cache._stored.seal.free["complete"][0]
    for position in range(0, len(good), 3):
        data = bytearray(good)
        data[position] ^= 1 << position % 8
        put(file, data)
        assert seen(file) in (right, file)
        if position != complete:
            with pytest.raises(CacheError):
                check_cache(file)


@pytest.mark.parametrize("length", [4, 64, 512, 4096])
def test_every_part_of_a_cache_can_be_lost(file, length):
    good, right = file.read_bytes(), content(file)
    for begin in range(0, len(good), length):
        data = good[:begin] + b"\0" * length + good[begin + length :]
        put(file, data[: len(good)])
        if file.read_bytes() == good:
            continue
        assert seen(file) in (right, file)


@pytest.mark.parametrize("array", ["crc32", "status"])
def test_rows_of_a_complete_cache_that_are_not_there_are_damage(file, array):
    with h5py.File(file, "r+") as h5:
        h5[array][20:] = 0
    for look in (RowReader, check_cache):
        with pytest.raises(CacheError, match="4 rows are lost from a complete cache: 20, 21, 22, 23") as caught:
            look(file)
        assert "cache remove --model m --dataset d" in caught.value.fix


def test_an_incomplete_cache_cannot_be_finished(file):
    with h5py.File(file, "r+") as h5:
        h5["crc32"][3] = 0
    with FeatureCache(file, write=True) as cache, pytest.raises(CacheError, match="1 row was not written"):
        cache.finish()


@pytest.mark.parametrize("size", [10, 11])
@pytest.mark.parametrize("logits", [True, False])
def test_rot_between_passes_is_found(file, logits, size):
    with FeatureCache(file) as cache:
        position = cache.offset("features") + 17 * DIM * 4
    reader = RowReader(file)
    assert len(list(reader.blocks(10, logits=logits))) == 3
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    put(file, data)
    with pytest.raises(CacheError, match="1 row does not match its checksum: 17") as caught:
        list(reader.blocks(size, logits=False))
    assert caught.value.file == file


def test_passes_over_features_alone_give_them_alone(file):
    reader = RowReader(file)
    first, second = (list(reader.blocks(10, logits=False)) for _ in range(2))
    assert all(block.logits is None for block in (*first, *second))
    np.testing.assert_array_equal(first[1].features, second[1].features)


def test_logits_of_another_are_found_by_a_pass_over_features(file):
    with h5py.File(file, "r+") as h5:
        h5["logits"][2] += 1
    with pytest.raises(CacheError, match="1 row does not match its checksum: 2"):
        list(RowReader(file).blocks(10, logits=False))


def test_a_cache_in_the_place_of_another_is_refused_by_name(file, tmp_path):
    for place in ("cache/m/e.h5", "cache/n/d.h5", "cache/m@v/d.h5"):
        target = tmp_path / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
        for look in (FeatureCache, RowReader, check_cache):
            with pytest.raises(
                CacheMismatchError, match="this is the cache of 'm' on 'd', in the place of another"
            ) as e:
                look(target)
            assert "move it back to m/d.h5" in e.value.fix
    as_schema_1(target)
    with pytest.raises(CacheMismatchError):
        FeatureCache(target)


def test_models_of_timm_are_in_their_place(tmp_path):
    make(tmp_path / "timm-x.y@v" / "d.h5", "timm:x.y@v")
    assert RowReader(tmp_path / "timm-x.y@v" / "d.h5").rows == ROWS - 1


def test_a_head_that_the_logits_were_not_made_with_is_refused(file):
    reader, place = RowReader(file), file.with_name("head.h5")
    refuse_other_head(reader, HEAD, place)
    with pytest.raises(CacheMismatchError, match="made with another head"):
        refuse_other_head(reader, Head(HEAD.weight + 1, HEAD.bias), place)
    with pytest.raises(CacheMismatchError, match="is gone"):
        refuse_other_head(reader, None, place)
    as_schema_1(file)
    refuse_other_head(RowReader(file), None, place)


def test_a_label_of_before_the_seal_is_checked_before_it_is_used(file):
    as_schema_1(file)
    right = content(file)
    with h5py.File(file, "r+") as h5:
        h5["labels"][3] = 999_999_999
    with pytest.raises(CacheError, match="1 row does not match its checksum: 3"):
        RowReader(file)
    with h5py.File(file, "r+") as h5:
        h5["labels"][3] = 0
    assert content(file) == right


def test_large_numbers_are_finite(tmp_path):
    file = tmp_path / "m" / "d.h5"
    create_cache(file, "m", "d", Layout(["a", "b"], np.zeros(2, np.int64), 2, None), {})
    rows = np.full((2, 2), np.finfo(np.float32).max, np.float32)
    with FeatureCache(file, write=True) as cache:
        cache.write(0, rows, None, np.full(2, DONE, np.uint8))
        cache.finish()
    np.testing.assert_array_equal(next(RowReader(file).blocks(9)).features, rows)


def test_nan_with_a_right_checksum_is_refused_when_it_is_read(file):
    from moodbench.features.checksums import row_checksums

    with h5py.File(file, "r+") as h5:
        h5["features"][9, 1] = np.nan
        h5["crc32"][:] = row_checksums(h5["features"][:], h5["logits"][:], h5["labels"][:], h5["status"][:])
    with pytest.raises(CacheError, match="1 row has NaN or infinity: 9"):
        list(RowReader(file).blocks(4))


def test_checksums_are_those_of_zlib():
    import zlib

    from moodbench.features.checksums import row_checksums

    rng = np.random.default_rng(0)
    f, g = rng.normal(size=(50, 5)).astype(np.float32), rng.normal(size=(50, 3)).astype(np.float32)
    labels, status = rng.integers(-1, 1 << 40, 50), rng.integers(0, 3, 50).astype(np.uint8)
    parts = zip(f, g, labels, status, strict=True)
    assert row_checksums(f, g, labels, status).tolist() == [
        zlib.crc32(b"".join(part.tobytes() for part in row)) for row in parts
    ]
    assert row_checksums(f[:0], None, labels[:0], status[:0]).tolist() == []
