"""Packed, a cache in shards is one file with the same rows; a pack that stops leaves a whole cache."""

from __future__ import annotations

import shutil

import h5py
import pytest

from moodbench.commands.cache import list_caches, remove_caches, verify_caches
from moodbench.errors import CacheError
from moodbench.features.cache import FeatureCache
from moodbench.features.lock import BusyError, exclusive
from moodbench.features.reader import RowReader
from moodbench.features.shards import pack as module
from moodbench.features.shards.leave import drop_left_over_shards
from moodbench.features.shards.pack import pack
from moodbench.features.shards.plan import read_plan
from moodbench.shard_names import shards_folder
from moodbench.workspace import Workspace
from tests.caches import make
from tests.sharded import count, in_shards


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results")


@pytest.fixture
def file(space):
    file = space.cache_dir / "m" / "d.h5"
    make(file)
    in_shards(file, 4)
    return file


def content(file):
    with h5py.File(file) as h5:
        arrays = {name: h5[name][:].tolist() for name in h5 if name != "shards"}
    with FeatureCache(file) as cache:
        return arrays, cache.fingerprint, cache.provenance, cache.model, cache.dataset, cache.head


def test_a_packed_cache_holds_the_same(file):
    before = content(file)
    assert pack(file) is True
    assert content(file) == before
    assert count(file) == 0
    assert not shards_folder(file).exists()
    assert [one.name for one in file.parent.iterdir() if one.name[0] != "."] == ["d.h5"]
    assert pack(file) is False


@pytest.mark.parametrize("classes", [None, 3])
def test_packing_copes_with_many_rows(tmp_path, classes, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 7)
    file = tmp_path / "m" / "d.h5"
    make(file, rows=50, classes=classes)
    in_shards(file, 9)
    before = content(file)
    pack(file)
    assert content(file) == before


def test_a_pack_that_stops_leaves_the_shards(file, monkeypatch):
    before = content(file)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FeatureCache, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            pack(file)
    assert content(file) == before
    assert count(file) == 3
    pack(file)
    assert content(file) == before


@pytest.mark.parametrize("next_", [pack, drop_left_over_shards])
def test_a_pack_that_stops_at_its_end_leaves_the_file(file, monkeypatch, next_):
    before = content(file)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "remove_shards", stop)
        with pytest.raises(KeyboardInterrupt):
            pack(file)
    assert content(file) == before
    assert count(file) == 0
    assert shards_folder(file).exists()
    next_(file)
    assert content(file) == before
    assert not shards_folder(file).exists()


def test_shards_of_something_else_are_not_left_over(file):
    shards = shards_folder(file)
    shutil.copytree(shards, shards.with_name("kept"))
    file.unlink()
    shutil.rmtree(shards)
    make(file, rows=9)  # an import, for one
    shutil.move(shards.with_name("kept"), shards)
    drop_left_over_shards(file)
    assert (shards / "plan.json").exists()


def test_rot_is_found_and_everything_stays(file):
    shard = read_plan(file).file_of(file, 2)
    with FeatureCache(shard) as cache:
        position = cache.offset("features")
    with shard.open("r+b") as stream:
        stream.seek(position)
        stream.write(b"\x7f")
    with pytest.raises(CacheError, match="1 row does not match its checksum: the first is 4") as caught:
        pack(file)
    assert caught.value.file == shard
    assert count(file) == 3
    assert sorted(one.name for one in file.parent.iterdir() if one.name[0] != ".") == ["d.h5", "d.shards"]


def test_a_cache_that_is_being_written_is_left_alone(file):
    with exclusive(file), pytest.raises(BusyError):
        pack(file)


def test_passes_over_the_manifest_and_the_file_are_not_mixed(file):
    reader = RowReader(file)
    pack(file)
    with pytest.raises(CacheError, match="the cache cannot be read"):
        list(reader.blocks(4))


def test_caches_in_shards_are_listed_and_verified(space, file):
    make(space.cache_dir / "m" / "e.h5", rows=6)
    in_shards(space.cache_dir / "m" / "e.h5", 4, leave=1)
    whole, begun = list_caches(space)
    assert (whole.dataset, whole.rows, whole.shards, whole.shards_done, whole.complete) == ("d", 10, 3, 3, True)
    assert whole.bytes > sum(one.stat().st_size for one in shards_folder(file).glob("*.h5"))
    assert (begun.dataset, begun.rows, begun.done, begun.shards, begun.shards_done) == ("e", 6, 2, 2, 1)
    assert (begun.complete, begun.fault, begun.dim) == (False, None, 4)
    first, second = verify_caches(space)
    assert first.fault is None
    assert second.fault.what == "the cache is incomplete: 1 of 2 shards complete"
    read_plan(space.cache_dir / "m" / "e.h5")
    (shards_folder(space.cache_dir / "m" / "e.h5") / "plan.json").write_text("{}", encoding="utf-8")
    assert "this is no plan of shards" in list_caches(space, "m", "e")[0].fault


def test_shards_that_only_have_to_be_joined_are_said(space, file):
    file.unlink()
    (found,) = verify_caches(space)
    assert found.fault.what == "the cache is not joined yet, though all of its shards are complete (3)"
    assert found.fault.fix == "run the same moodbench extract again, which joins them"


@pytest.mark.parametrize("joined", [True, False])
def test_caches_in_shards_are_removed_with_them(space, joined):
    file = space.cache_dir / "m" / "d.h5"
    make(file)
    in_shards(file, 4, leave=None if joined else 2)
    with exclusive(read_plan(file).file_of(file, 3)), pytest.raises(BusyError, match="writing a shard of this cache"):
        remove_caches(space, "m")
    assert len(list(shards_folder(file).glob("*.h5"))) == (3 if joined else 2)
    assert file.exists() is joined
    gone = remove_caches(space, "m")
    assert gone == [*([file] if joined else []), shards_folder(file)]
    assert not file.parent.exists()


def test_of_a_link_the_link_goes(space, file, tmp_path):
    shards_folder(file).rename(tmp_path / "elsewhere")
    shards_folder(file).symlink_to(tmp_path / "elsewhere")
    assert RowReader(file).rows == 10
    remove_caches(space, "m")
    assert not file.parent.exists()
    assert len(list((tmp_path / "elsewhere").glob("*.h5"))) == 3
