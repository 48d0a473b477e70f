"""The file format, and files that are not what they should be."""

from __future__ import annotations

import json
import os

import h5py
import numpy as np
import pytest
import torch

from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.checksums import row_checksums
from moodbench.features.create import SCHEMA, SHARDED, Layout, create_cache
from moodbench.features.reader import RowReader
from moodbench.features.verify import check_cache
from tests.caches import as_schema_1, edited, make


def test_layout_on_disk(file):
    features, _ = make(file)
    with h5py.File(file, "r") as h5:
        assert {name: (h5[name].shape, h5[name].dtype.str, h5[name].chunks) for name in h5 if name != "ids"} == {
            "features": ((10, 4), "<f4", None),
            "logits": ((10, 3), "<f4", None),
            "labels": ((10,), "<i8", None),
            "status": ((10,), "|u1", None),
            "crc32": ((10,), "<u4", None),
        }
        assert h5["ids"].asstr()[0] == "bild ü/0.png"
        assert set(h5.attrs) == {"moodbench_schema", "model", "dataset", "complete", "provenance"}
        assert h5.userblock_size == 1024
        assert (h5.attrs["moodbench_schema"], h5.attrs["complete"]) == (SCHEMA, 1)
        assert json.loads(h5.attrs["provenance"])["source"] == "test"
        offset = h5["features"].id.get_offset()
    mapped = np.memmap(file, "<f4", "r", offset=offset, shape=(10, 4))
    np.testing.assert_array_equal(mapped, features)


def test_no_bytes_are_added_after_creation(file):
    layout = Layout([str(i) for i in range(100)], np.zeros(100, np.int64), 8, None)
    create_cache(file, "m", "d", layout, {"batch_size": 10})
    size = file.stat().st_size
    with FeatureCache(file, write=True) as cache:
        for start in range(0, 100, 10):
            cache.write(start, np.ones((10, 8), np.float32), None, np.ones(10, np.uint8))
        cache.finish()
    assert file.stat().st_size == size


def test_a_new_cache_is_whole_and_empty(file):
    layout = Layout([str(i) for i in range(5)], np.arange(5), 2, 2)
    create_cache(file, "m", "d", layout, {})
    with FeatureCache(file) as cache:
        assert cache.first_missing() == 0
        assert not cache.complete
        assert not cache.status.any()
        assert not cache.checksums.any()
    assert [p.name for p in file.parent.iterdir()] == ["d.h5"]


def test_checksums_cover_every_part_of_a_row():
    rng = np.random.default_rng(0)
    f, g = rng.normal(size=(3, 5)).astype(np.float32), rng.normal(size=(3, 2)).astype(np.float32)
    labels, status = np.array([0, 1, -1]), np.array([1, 1, 2], np.uint8)
    base = row_checksums(f, g, labels, status)
    assert base.all()
    for changed in (
        row_checksums(f + np.eye(3, 5, dtype=np.float32), g, labels, status),
        row_checksums(f, g + 1, labels, status),
        row_checksums(f, g, labels + 1, status),
        row_checksums(f, g, labels, np.uint8(3) - status),
    ):
        assert (changed != base).any()
    assert (row_checksums(f[1:], g[1:], labels[1:], status[1:]) == base[1:]).all()  # does not depend on the position


def test_non_finite_rows_are_never_written(file):
    layout = Layout(["a", "b", "c"], np.zeros(3, np.int64), 2, None)
    create_cache(file, "m", "d", layout, {})
    rows = np.ones((3, 2), np.float32)
    rows[1, 0] = np.nan
    with FeatureCache(file, write=True) as cache:
        with pytest.raises(CacheError, match=r"1 row has NaN .* the first: 1 \('b'\)"):
            cache.write(0, rows, None, np.ones(3, np.uint8))
        assert cache.first_missing() == 0


@pytest.mark.parametrize(("precision", "advice"), [("bf16", "--precision fp32"), ("fp32", "weights"), (None, "mend")])
def test_advice_about_rows_that_are_not_finite(file, precision, advice):
    layout = Layout(["a"], np.zeros(1, np.int64), 2, None)
    create_cache(file, "m", "d", layout, {} if precision is None else {"precision": precision})
    with FeatureCache(file, write=True) as cache, pytest.raises(CacheError) as caught:
        cache.write(0, np.full((1, 2), np.inf, np.float32), None, np.ones(1, np.uint8))
    assert advice in str(caught.value.fix)


def test_missing_file(file):
    with pytest.raises(CacheError, match="there is no such cache"):
        FeatureCache(file)


@pytest.mark.parametrize("content", [b"", b"hello, this is text", b"\x89HDF\r\n\x1a\n" + b"\0" * 600])
def test_foreign_files(file, content):
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(CacheError) as error:
        FeatureCache(file)
    assert str(file) in str(error.value)


def test_truncated_file(file):
    make(file, rows=100)
    with file.open("r+b") as stream:
        stream.truncate(2100)
    with pytest.raises(CacheError):
        FeatureCache(file)


def test_hdf5_of_somebody_else(file):
    file.parent.mkdir(parents=True)
    with h5py.File(file, "w") as h5:
        h5["features"] = np.zeros((3, 2))
    with pytest.raises(CacheError, match="is not a moodbench cache"):
        FeatureCache(file)


def test_other_schema_is_refused_by_number(file):
    make(file)
    with edited(file) as h5:
        h5.attrs["moodbench_schema"] = 7
    with pytest.raises(CacheError, match=f"has schema 7; this version of moodbench reads schemas up to {SHARDED}"):
        FeatureCache(file)


@pytest.mark.parametrize("part", ["features", "labels", "status", "ids"])
def test_a_cache_that_lacks_a_part(file, part):
    make(file)
    as_schema_1(file)
    with h5py.File(file, "r+") as h5:
        del h5[part]
    with pytest.raises(CacheError, match=f"it lacks a part: {part}"):
        FeatureCache(file)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("labels", np.zeros(9, np.int64)),
        ("labels", np.zeros(10, np.int32)),
        ("features", np.zeros((10, 4), np.float64)),
        ("features", np.zeros((9, 4), np.float32)),
        ("features", np.zeros(10, np.float32)),
        ("ids", np.zeros(10)),
    ],
)
def test_arrays_of_other_types_and_shapes(file, name, array):
    make(file)
    as_schema_1(file)
    with h5py.File(file, "r+") as h5:
        del h5[name]
        h5[name] = array
    with pytest.raises(CacheError):
        FeatureCache(file)


def test_nan_that_another_program_wrote_is_found(file):
    """With a right checksum: only looking at the values helps."""
    features, logits = make(file)
    features[6, 2] = np.inf
    with h5py.File(file, "r+") as h5:
        h5["features"][:] = features
        h5["crc32"][:] = row_checksums(features, logits, h5["labels"][:], h5["status"][:])
    with pytest.raises(CacheError, match="NaN or infinity in row 6"):
        check_cache(file)


def test_a_row_that_changed_is_found(file):
    make(file)
    check_cache(file)
    with h5py.File(file, "r+") as h5:
        h5["features"][2, 0] += 1
    with pytest.raises(CacheError, match="1 row does not match its checksum: 2"):
        check_cache(file)


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_reader_gives_the_rows_that_are_done(file, size):
    features, logits = make(file)
    with FeatureCache(file, write=True) as cache:
        zero = np.zeros((1, 4), np.float32)
        for row in (0, 5, 9):
            cache.write(row, zero, np.zeros((1, 3), np.float32), np.array([2], np.uint8))
    reader = RowReader(file)
    kept = [1, 2, 3, 4, 6, 7, 8]
    blocks = list(reader.blocks(size))
    assert (reader.rows, reader.skipped) == (7, 3)
    np.testing.assert_array_equal(np.concatenate([b.features for b in blocks]), features[kept])
    np.testing.assert_array_equal(np.concatenate([b.logits for b in blocks]), logits[kept])
    np.testing.assert_array_equal(np.concatenate([b.labels for b in blocks]), np.array(kept) % 3)


@pytest.mark.parametrize("how", ["replaced", "removed", "changed"])
def test_a_file_that_changed_between_passes_is_noticed(file, how):
    make(file)
    reader = RowReader(file)
    assert len(list(reader.blocks(4))) == 3
    if how == "changed":
        with h5py.File(file, "r+", locking=False) as h5:
            h5["features"][0, 0] += 1
        os.utime(file, ns=(0, 0))  # the clock of a file system may be coarse
    else:
        file.unlink()
    if how == "replaced":
        make(file)
    with pytest.raises(CacheError, match="cannot be read: No such file" if how == "removed" else "replaced or changed"):
        list(reader.blocks(4))


def test_a_cache_that_goes_away_is_not_taken_for_a_fault_of_a_score(file):
    make(file)
    from moodbench.evaluation.caches import Caches
    from moodbench.evaluation.engine import BLOCK, Engine
    from moodbench.scores.base import create_score

    reader = RowReader(file)
    engine = Engine(Caches(reader, {"t": reader}, {}, None), torch.device("cpu"), BLOCK)

    class Gone(type(create_score("knn"))):
        def score(self, block):
            file.unlink(missing_ok=True)
            return super().score(block)

    with pytest.raises(CacheError, match="cannot be read"):
        engine.run({"knn": Gone()})


def test_reader_refuses_an_incomplete_cache(file):
    make(file, complete=False)
    with pytest.raises(CacheError, match="incomplete"):
        RowReader(file)


def test_fingerprint_is_of_the_contents(file, tmp_path):
    make(file)
    as_schema_1(file)  # the format does not matter
    make(tmp_path / "other.h5")
    make(tmp_path / "third.h5", seed=1)
    prints = []
    for path in (file, tmp_path / "other.h5", tmp_path / "third.h5"):
        with FeatureCache(path) as cache:
            prints.append(cache.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_names_of_classes_are_kept(file):
    names = ["Bär", "cat", "日本"]
    create_cache(file, "m", "d", Layout(["a", "b"], np.array([2, -1]), 2, None, names), {})
    with FeatureCache(file) as cache:
        assert cache.class_names == tuple(names)
    with h5py.File(file, "r") as h5:
        assert h5["classes"].asstr()[:].tolist() == names
        assert h5["classes"].chunks is None


def test_a_cache_of_schema_1_has_no_names_and_is_read(file):
    features, _ = make(file)
    as_schema_1(file)
    reader = RowReader(file)
    assert reader.class_names is None
    assert reader.head is None
    np.testing.assert_array_equal(next(reader.blocks(100)).features, features)
