"""Folders that become datasets, and digests of what lies in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from moodbench.digests import size_and_sha256
from moodbench.errors import DataError
from moodbench.inspection.contents import examine, holds_something
from moodbench.inspection.manifest import FileRecord, Origin, read_manifest, read_origin
from moodbench.obtain.hashing import hash_files
from moodbench.obtain.partial import begin, finish, partial_folder, put, recover
from tests.obtaining import PNG, dataset, pictures

# -- places ------------------------------------------------------------------------------------------------------------


def test_a_partial_folder_becomes_the_dataset(tmp_path):
    pictures(begin(tmp_path, "d"), "b/2.png", "a/1.png")
    assert not recover(tmp_path, "d", tmp_path / "deep/d")  # without an origin it is not complete
    begun = Origin.begun("d", "downloaded", "somewhere", note="odd")
    origin = finish(tmp_path, tmp_path / "deep/d", begun, progress=False)
    assert read_origin(tmp_path, "d") == origin
    assert (origin.images, origin.bytes, origin.note) == (2, 2 * len(PNG + b"a/1.png"), "odd")
    content = PNG + b"a/1.png"
    assert read_manifest(tmp_path, "d")["a/1.png"] == FileRecord(len(content), hashlib.sha256(content).hexdigest())
    assert list(read_manifest(tmp_path, "d")) == ["a/1.png", "b/2.png"]
    assert not partial_folder(tmp_path, "d").exists()


def test_nothing_is_ever_put_over_something(tmp_path):
    pictures(tmp_path / "d", "mine.png")
    partial = pictures(begin(tmp_path, "d"), "1.png")
    with pytest.raises(DataError, match="not empty"):
        put(partial, tmp_path / "d")
    assert (tmp_path / "d/mine.png").exists()


def test_an_empty_folder_is_nothing_and_a_dangling_link_is_something(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert not holds_something(tmp_path / "empty")
    assert holds_something(tmp_path / "link")
    put(pictures(tmp_path / "partial", "1.png"), tmp_path / "empty")
    assert (tmp_path / "empty/1.png").exists()


def test_another_file_system_is_crossed_by_copying(tmp_path, monkeypatch):
    rename = Path.rename

    def across(self, target):
        if self.name == "partial":
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)
    put(pictures(tmp_path / "partial", "a/1.png"), tmp_path / "d")
    assert (tmp_path / "d/a/1.png").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["d"]


def test_notes_do_not_outlive_the_folder_that_they_speak_of(tmp_path):
    pictures(begin(tmp_path, "d"), "1.png")
    finish(tmp_path, tmp_path / "d", Origin.begun("d", "downloaded", "somewhere"), progress=False)
    begin(tmp_path, "d")
    assert read_origin(tmp_path, "d") is None
    assert read_manifest(tmp_path, "d") is None


def test_a_link_in_place_of_a_partial_folder_is_removed_and_not_followed(tmp_path):
    theirs = pictures(tmp_path / "theirs", "1.png")
    partial = partial_folder(tmp_path, "d")
    partial.parent.mkdir(parents=True)
    partial.symlink_to(theirs)
    assert list(begin(tmp_path, "d", keep=True).iterdir()) == []
    assert (theirs / "1.png").exists()


def test_examined_by_name_and_number(tmp_path):
    found = examine(dataset(images=1), pictures(tmp_path / "x", "a/1.png"), tmp_path)
    assert (found.names, found.lack) == (("a/1.png",), None)
    assert "not on this disk" in examine(dataset(), tmp_path / "nowhere", tmp_path).lack


# -- hashes ------------------------------------------------------------------------------------------------------------


def test_many_files_are_hashed_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("moodbench.obtain.hashing._AT_ONCE", 7)
    names = [f"{i:03}.bin" for i in range(50)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(bytes([i]) * i)
    records = hash_files(tmp_path, names)
    assert list(records) == names
    assert records["017.bin"] == FileRecord(17, hashlib.sha256(bytes([17]) * 17).hexdigest())


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_size_and_digest_are_those_of_all_bytes(tmp_path, size):
    content = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "f").write_bytes(content[:size])
    assert size_and_sha256(tmp_path / "f") == (size, hashlib.sha256(content[:size]).hexdigest())
