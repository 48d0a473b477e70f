"""Caches side by side: listed, verified, removed, and locked while they are written."""

from __future__ import annotations

import numpy as np
import pytest

from moodbench.commands.cache import list_caches, remove_caches, verify_caches
from moodbench.errors import CacheError, UnknownNameError
from moodbench.features.heads import store_head, write_head
from moodbench.features.lock import exclusive, is_written
from moodbench.features.verify import NOTES
from moodbench.types import Head
from moodbench.workspace import Workspace
from tests.caches import make


def test_a_lock_excludes_other_processes_and_ends(file):
    import subprocess
    import sys

    code = (
        "import pathlib\nfrom moodbench.features.lock import exclusive\n"
        f"with exclusive(pathlib.Path({str(file)!r})): pass"
    )
    with exclusive(file):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another process is writing this cache" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_store_lists_verifies_and_removes(tmp_path, file):
    space = Workspace(cache_dir=tmp_path / "cache")
    make(file)
    make(file.with_name("e.h5"), complete=False)
    file.with_name("f.h5").write_text("foreign")
    infos = {i.dataset: i for i in list_caches(space)}
    assert (infos["d"].rows, infos["d"].complete, infos["e"].complete) == (10, True, False)
    assert infos["f"].fault.startswith("this is no readable HDF5 file")
    store_head(file.with_name("head.h5"), Head(np.ones((3, 4), np.float32), np.zeros(3, np.float32)))
    write_head(file.parent / "heads" / "probe.h5", Head(np.ones((3, 4), np.float32), np.zeros(3, np.float32)))
    damage = bytearray((file.parent / "heads" / "probe.h5").read_bytes())
    damage[-1] ^= 1
    (file.parent / "heads" / "probe.h5").write_bytes(damage)
    faults = {one.name: one.fault and one.fault.what for one in verify_caches(space)}
    assert list(faults) == ["m/d", "m/e", "m/f", "m/head", "m/heads/probe"]
    assert (faults["m/d"], faults["m/head"]) == (None, None)
    assert faults["m/e"].startswith("the cache is incomplete: 10 of 10 rows")
    assert faults["m/f"].startswith("this is no readable")
    assert "its structure is damaged" in faults["m/heads/probe"]
    (file.parent / "heads" / "probe.h5").unlink()
    (file.parent / "heads").rmdir()
    (file.parent / NOTES).write_text("{}")  # of an earlier version
    with pytest.raises(UnknownNameError, match="no cached dataset 'x'"):
        remove_caches(space, "m", ["x"])
    assert [p.name for p in remove_caches(space, "m", ["d"])] == ["d.h5"]
    remove_caches(space, "m")
    assert not (tmp_path / "cache" / "m").exists()
    with pytest.raises(UnknownNameError, match="no cached model 'm'"):
        remove_caches(space, "m")


def test_heads_that_caches_left_behind_are_verified(tmp_path, file):
    space = Workspace(cache_dir=tmp_path / "cache")
    make(file)
    write_head(file.parent / "heads" / "probe.h5", Head(np.ones((3, 4), np.float32), np.zeros(3, np.float32)))
    write_head(file.parents[1] / "n" / "head.h5", Head(np.ones((3, 4), np.float32), np.zeros(3, np.float32)))
    (file.parents[1] / "empty").mkdir()
    assert [one.name for one in verify_caches(space)] == ["m/d", "m/heads/probe", "n/head"]
    assert remove_caches(space, "m") == [file]
    found = {one.name: one.what for one in verify_caches(space)}
    assert found == {
        "m/heads/probe": "m: heads/probe (without caches)",
        "n/head": "n: head (without caches)",
    }
    assert [one.name for one in verify_caches(space, ["m"])] == ["m/heads/probe"]
    (file.parent / "heads" / "probe.h5").write_bytes(b"")
    (one,) = verify_caches(space, ["m"])
    assert one.fault is not None
    with pytest.raises(UnknownNameError, match="no cached model 'x'"):
        list(verify_caches(space, ["x"]))


def test_what_lies_elsewhere_is_never_deleted(tmp_path, file):
    theirs = tmp_path / "theirs" / "m" / "d.h5"
    make(theirs)
    before = theirs.read_bytes()
    space = Workspace(cache_dir=tmp_path / "cache")
    space.cache_dir.mkdir()
    file.parent.symlink_to(theirs.parent)
    for datasets in ((), ("d",)):
        with pytest.raises(CacheError, match=r"the folder of 'm' is a link to '.*', and what lies there") as caught:
            remove_caches(space, "m", datasets)
        assert caught.value.file == file.parent
    file.parent.unlink()
    file.parent.mkdir()
    file.symlink_to(theirs)
    file.with_name("lost.h5").symlink_to("nowhere")
    file.with_name("head.h5").symlink_to(theirs)
    assert {info.dataset: info.fault for info in list_caches(space)} == {"d": None, "lost": "is a link to nowhere"}
    assert [path.name for path in remove_caches(space, "m")] == ["d.h5", "lost.h5", "head.h5"]
    assert not file.parent.exists()
    assert theirs.read_bytes() == before
    space.cache_dir.rmdir()
    space.cache_dir.symlink_to(tmp_path / "theirs")  # all of the cache directory may lie elsewhere
    assert remove_caches(space, "m") == [file]
    assert not theirs.exists()


def test_a_link_in_the_place_of_a_lock_is_said_and_hides_no_writer(tmp_path, file):
    make(file)
    lock = file.with_name(".a.h5.lock")
    lock.symlink_to(tmp_path / "elsewhere")
    wanted = r"the cache folder cannot be written: '\.a\.h5\.lock' is a link, remove it"
    with pytest.raises(CacheError, match=wanted), exclusive(file.with_name("a.h5")):
        pass
    assert not (tmp_path / "elsewhere").exists()
    assert not is_written(file.parent)
    with exclusive(file):
        assert is_written(file.parent)
    assert lock.is_symlink()
