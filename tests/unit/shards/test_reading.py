"""A cache in shards is read as the same cache in one file; what is wrong with a shard is said of that shard."""

from __future__ import annotations

import os
import pickle
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.features.cache import DONE, SKIPPED, FeatureCache
from moodbench.features.create import Layout, create_cache
from moodbench.features.reader import RowReader
from moodbench.features.shards.plan import plan_file
from moodbench.features.verify import check_cache
from moodbench.shard_names import shards_folder
from tests.caches import make
from tests.sharded import in_shards


def random_cache(file, rows, classes, seed, skipped=0.2, dim=3):
    """Write a cache of random rows, some of which are left out, with ids of different lengths."""
    rng = np.random.default_rng(seed)
    ids = [f"{'ü' * rng.integers(0, 9)}/{i}.png" for i in range(rows)]
    names = ["a", "bé"] if seed % 2 else ()
    layout = Layout(ids, rng.integers(-1, 2, rows), dim, classes, names, "5" * 64 if seed % 3 else None)
    create_cache(file, file.parent.name, file.stem, layout, {"source": "test", "batch_size": 1, "limit": None})
    status = np.where(rng.random(rows) < skipped, SKIPPED, DONE).astype(np.uint8)
    status[rng.integers(rows)] = DONE
    features = rng.normal(size=(rows, dim)).astype(np.float32)
    logits = None if classes is None else rng.normal(size=(rows, classes)).astype(np.float32)
    with FeatureCache(file, write=True) as cache:
        cache.write(0, features, logits, status)
        cache.finish()


def read(reader, size, logits=True):
    """Return everything that a reader gives, as bytes."""
    blocks = [
        (block.features.tobytes(), None if block.logits is None else block.logits.tobytes(), block.labels.tobytes())
        for block in reader.blocks(size, logits=logits)
    ]
    spread = [block.features.tobytes() for block in reader.spread(max(1, reader.rows // 2), size)]
    return blocks, spread, reader.ids, reader.skipped, reader.fingerprint, reader.class_names, reader.head


@given(
    rows=st.integers(1, 40),
    each=st.integers(1, 45),
    classes=st.sampled_from([None, 2]),
    size=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_rows_are_those_of_one_file(tmp_path_factory, rows, each, classes, size, seed):
    one = tmp_path_factory.mktemp("one") / "m" / "d.h5"
    random_cache(one, rows, classes, seed)
    other = one.parents[1] / "shards" / "m" / "d.h5"
    other.parent.mkdir(parents=True)
    shutil.copy(one, other)
    plan = in_shards(other, each)
    for logits in (True, False):
        assert read(RowReader(one), size, logits) == read(RowReader(other), size, logits)
    with FeatureCache(one) as a, FeatureCache(other) as b:
        assert (len(b.shards), len(b.pieces)) == (plan.shards, plan.shards)
        assert (a.ids, a.fingerprint, a.model, a.dataset) == (b.ids, b.fingerprint, b.model, b.dataset)
        for name in ("labels", "status", "checksums"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_array_equal(a.part("ids"), b.part("ids"))
        assert (b.complete, b.sealed, b.first_missing(), b.damaged_rows()) == (True, True, rows, [])
        for row in range(rows):
            piece = b.pieces[row // plan.rows_per_shard]
            assert (piece.start <= row < piece.stop, b.file_of(row)) == (True, piece.file)
    check_cache(other)
    few = np.arange(RowReader(one).rows) % 3 == 0
    assert read(RowReader(one).part(few), size) == read(RowReader(other).part(few), size) or not few.any()


@pytest.fixture
def file(tmp_path):
    """A cache of ten rows in shards of four."""
    file = tmp_path / "cache" / "m" / "d.h5"
    make(file)
    in_shards(file, 4)
    return file


def shard(file, index, of=3):
    return shards_folder(file) / f"shard-{index:05d}-of-{of:05d}.h5"


def test_hdf5_reads_it_as_one_file_wherever_it_lies(file, tmp_path, monkeypatch):
    features, logits = make(tmp_path / "one" / "m" / "d.h5")
    file.parents[1].rename(tmp_path / "moved")
    monkeypatch.chdir("/")
    with h5py.File(tmp_path / "moved" / "m" / "d.h5") as h5:
        np.testing.assert_array_equal(h5["features"][:], features)
        np.testing.assert_array_equal(h5["logits"][:], logits)
        assert h5["ids"].asstr()[9] == "bild ü/9.png"
        np.testing.assert_array_equal(h5["shards"]["start"], [0, 4, 8])


def test_readers_can_be_sent_to_other_processes(file):
    reader = pickle.loads(pickle.dumps(RowReader(file)))
    assert read(reader, 3) == read(RowReader(file), 3)


def test_a_shard_is_a_cache_by_itself(file):
    assert RowReader(shard(file, 3)).ids == ["bild ü/8.png", "bild ü/9.png"]


@pytest.mark.parametrize("look", [RowReader, check_cache])
def test_a_shard_that_is_gone_is_named(file, look):
    shard(file, 2).unlink()
    with pytest.raises(CacheError, match="shard 2 of 3 is missing") as caught:
        look(file)
    assert caught.value.file == shard(file, 2)
    assert caught.value.fix.startswith("run the same moodbench extract as before:")
    plan_file(file).unlink()
    with pytest.raises(CacheError) as caught:
        look(file)
    assert caught.value.fix.startswith("remove the manifest 'd.h5', then run")
    assert caught.value.fix.endswith("as 'd.shards' keeps the others")
    shutil.rmtree(shards_folder(file))
    with pytest.raises(CacheError, match="shard 1 of 3 is missing") as caught:
        look(file)
    assert caught.value.fix.startswith("remove the manifest 'd.h5', then run")
    assert caught.value.fix.endswith("no other shard is left, so that it makes all of the cache again")


def test_shards_that_were_exchanged_are_named(file):
    one, other = shard(file, 1), shard(file, 2)
    shutil.move(one, file)
    shutil.move(other, one)
    shutil.move(file, other)
    with pytest.raises(CacheError):
        RowReader(file)


def test_a_shard_in_the_place_of_another_is_refused(file):
    shutil.copy(shard(file, 1), shard(file, 2))
    with pytest.raises(CacheMismatchError, match="this is shard 1 of 3 of the cache of 'm' on 'd', in the place"):
        RowReader(file)


def test_a_shard_of_the_same_rows_from_elsewhere_is_refused(file, tmp_path):
    other = tmp_path / "other" / "m" / "d.h5"
    make(other, seed=1)
    in_shards(other, 4)
    shutil.copy(shard(other, 2), shard(file, 2))
    with pytest.raises(CacheError, match="shard 2 of 3 is damaged, or was replaced") as caught:
        RowReader(file)
    assert caught.value.file == shard(file, 2)


def test_a_shard_or_a_cache_in_the_place_of_the_other_is_refused(file, tmp_path):
    shutil.copy(shard(file, 1), file)
    with pytest.raises(CacheMismatchError, match="this is shard 1 of 3"):
        FeatureCache(file)
    make(tmp_path / "m" / "d.h5")
    shutil.copy(tmp_path / "m" / "d.h5", shard(file, 1))
    with pytest.raises(CacheMismatchError, match="this is the cache of 'm' on 'd', in the place of another"):
        FeatureCache(shard(file, 1))


def test_a_manifest_in_the_place_of_another_is_refused(file):
    shutil.copytree(file.parent, file.parents[1] / "n")
    with pytest.raises(CacheMismatchError, match="this is the cache of 'm' on 'd', in the place of another"):
        RowReader(file.parents[1] / "n" / "d.h5")


@pytest.mark.parametrize("array", ["features", "logits", "labels", "ids"])
@pytest.mark.parametrize("how", ["before", "between"])
def test_rot_is_an_error_that_names_the_shard(file, array, how):
    where = shard(file, 2)
    with FeatureCache(where) as cache:
        position = cache.offset(array) + 9
    reader = RowReader(file) if how == "between" else None
    stat = where.stat()
    with where.open("r+b") as stream:
        stream.seek(position)
        byte = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte[0] ^ 4]))
    os.utime(where, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def look():
        found = reader or RowReader(file)
        return list(found.blocks(5)), found.ids

    if how == "between" and array == "labels":  # were read before, and are compared no more
        look()
        return
    with pytest.raises(CacheError) as caught:
        look()
    assert caught.value.file == where
    with pytest.raises(CacheError) as caught:
        check_cache(file)
    assert caught.value.file == where
    if array in ("features", "logits"):
        assert "1 row does not match its checksum: 4" in caught.value.what
        assert "remove this shard, then run the same moodbench extract" in caught.value.fix


@pytest.mark.parametrize("change", ["touched", "removed", "replaced"])
def test_a_shard_that_changes_between_passes_is_noticed(file, change):
    reader, where = RowReader(file), shard(file, 2)
    list(reader.blocks(3))
    if change == "touched":
        os.utime(where, ns=(1, 1))
    elif change == "removed":
        where.unlink()
    else:
        shutil.copy(where, where.with_name("x"))
        where.with_name("x").replace(where)
    with pytest.raises(CacheError, match=r"replaced or changed while it was read|cannot be read") as caught:
        list(reader.blocks(3))
    assert caught.value.file == where


def test_what_is_not_joined_yet_is_said(tmp_path):
    file = tmp_path / "cache" / "m" / "d.h5"
    make(file)
    in_shards(file, 4, leave=2)
    with pytest.raises(CacheError, match="the cache is unfinished: its shards were not joined yet") as caught:
        RowReader(file)
    assert "moodbench extract again" in caught.value.fix
