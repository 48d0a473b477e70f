"""The rooms behind `moodbench download`: planning, room on the disk, archives that are remembered, what a user has."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.catalog import ArchiveSpec, Catalog, DatasetSpec
from moodbench.digests import size_and_sha256
from moodbench.errors import DataError
from moodbench.inspection.contents import examine, holds_something
from moodbench.inspection.manifest import FileRecord, Origin, read_manifest, read_origin
from moodbench.obtain.archives import archive_file, fetch_archive, release
from moodbench.obtain.byhand import instructions
from moodbench.obtain.fill import Means, by_drawing
from moodbench.obtain.hashing import hash_files
from moodbench.obtain.jobs import Job, make_jobs
from moodbench.obtain.local import find_archives
from moodbench.obtain.partial import begin, finish, partial_folder, put, recover
from moodbench.obtain.per_image import image_address, looks_like_image
from moodbench.obtain.plan import Plan, check_disk, survey
from moodbench.obtain.recipes.base import DRAWING_RECIPES, Drawing
from moodbench.obtain.room import check_room, free_bytes
from moodbench.obtain.run import obtain
from moodbench.sizes import human_bytes
from moodbench.transfer.meter import SILENT
from tests.server import server_fixture  # noqa: F401

PNG = b"\x89PNG\r\n\x1a\n and so on"


def archive(file: str = "a.tar", content: bytes = b"content", **changes) -> ArchiveSpec:
    known = {
        "urls": (f"http://example.org/{file}",),
        "bytes": len(content),
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "max_files": 10,
        "max_bytes": 1000,
    }
    return ArchiveSpec(file=file, **{**known, **changes})


def dataset(name: str = "d", **values) -> DatasetSpec:
    return DatasetSpec(name, name.title(), **{"folder": name, "labels": "none", **values})


def job(spec: DatasetSpec) -> Job:
    return Job(spec, (spec,))


def means(data_dir: Path, **changes) -> Means:
    return replace(Means(data_dir, lambda line: None, SILENT, progress=False, jobs=1, photographs=None), **changes)


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PNG + name.encode())
    return folder


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_parts_are_obtained_with_the_whole_and_it_once():
    whole, drawn = dataset("whole"), dataset("drawn", generated="r")
    part = dataset("part", folder="whole/in", part_of="whole")
    part_of_part = dataset("deep", folder="whole/in", part_of="part")
    catalog = Catalog({s.name: s for s in (whole, drawn, part, part_of_part)}, {}, {})
    jobs = make_jobs([drawn, part_of_part, part, part_of_part], catalog)
    assert [(each.whole.name, [spec.name for spec in each.wanted]) for each in jobs] == [
        ("whole", ["deep", "part"]),
        ("drawn", ["drawn"]),  # last: it may look at pictures that come in the same call
    ]
    assert jobs[0].name == "deep, part (of whole)"
    assert jobs[1].name == "drawn"


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (99_450, "99.5 kB"),
        (99_600, "100 kB"),
        (999_499, "999 kB"),
        (999_999, "1.0 MB"),
        (6_744_924_160, "6.7 GB"),
        (147_897_477_120, "148 GB"),
        (3e15, "3000 TB"),
    ],
)
def test_sizes_in_words(size, words):
    assert human_bytes(size) == words


def test_room_is_that_of_the_disk_a_folder_will_lie_on(tmp_path):
    assert free_bytes(tmp_path / "not" / "there") == pytest.approx(free_bytes(tmp_path), rel=0.2)
    check_room(1, tmp_path, "for nothing")
    with pytest.raises(DataError, match="too full for the moon: 1000 TB may be needed"):
        check_room(10**15, tmp_path, "for the moon")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=5), st.booleans())
def test_the_disk_has_to_take_all_that_is_unpacked_and_the_largest_download(tmp_path_factory, sizes, keep):
    folder = tmp_path_factory.getbasetemp()
    plans = [Plan(job(dataset()), "download", fetch=fetch, unpacked=unpacked) for fetch, unpacked in sizes]
    fetches = [fetch for fetch, _ in sizes]
    needed = sum(unpacked for _, unpacked in sizes) + (sum(fetches) if keep else max(fetches))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moodbench.obtain.room.free_bytes", lambda folder: needed)
        check_disk(plans, folder, keep_archives=keep)
        patch.setattr("moodbench.obtain.room.free_bytes", lambda folder: needed - 1)
        with pytest.raises(DataError, match="are free"):
            check_disk(plans, folder, keep_archives=keep)


# -- plans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "action"),
    [
        (dataset(folder=None, bundled="digits_test"), "bundled"),
        (dataset(folder=None), "features"),
        (dataset(generated="r"), "draw"),
        (dataset(archives=(archive(),)), "download"),
        (dataset(archives=(archive(), archive("b.tar", urls=()))), "by hand"),
        (dataset(), "by hand"),
    ],
)
def test_what_is_to_be_done(tmp_path, spec, action):
    assert survey(job(spec), tmp_path).action == action


def test_what_is_here_of_an_archive_is_not_counted_again(tmp_path):
    spec = dataset(archives=(archive(), archive("b.tar", bytes=None)))
    assert (survey(job(spec), tmp_path).fetch, survey(job(spec), tmp_path).unknown) == (7, 1)
    part = archive_file(tmp_path, spec.archives[0]).with_name("a.tar.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"con")
    assert survey(job(spec), tmp_path).fetch == 4


def test_a_folder_that_is_there_is_looked_at(tmp_path):
    spec = dataset(images=2, archives=(archive(),))
    pictures(tmp_path / "d", "1.png")
    plan = survey(job(spec), tmp_path)
    assert (plan.action, plan.lack) == ("incomplete", "1 images are there, and there should be 2")
    pictures(tmp_path / "d", "2.png")
    assert survey(job(spec), tmp_path).action == "there"
    assert survey(job(replace(spec, labels="folder")), tmp_path).lack.startswith("the images lie in one flat folder")


def test_without_a_number_the_manifest_says_what_should_be_there(tmp_path):
    spec = dataset(images=None, archives=(archive(),))
    pictures(begin(tmp_path, "d"), "1.png", "2.png")
    finish(tmp_path, tmp_path / "d", Origin.begun("d", "downloaded", "somewhere"), progress=False)
    assert survey(job(spec), tmp_path).action == "there"
    (tmp_path / "d/2.png").unlink()
    plan = survey(job(spec), tmp_path)
    assert (plan.action, plan.lack) == ("incomplete", "1 image is missing: '2.png'")


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


# -- archives ----------------------------------------------------------------------------------------------------------


def held(spec: ArchiveSpec, data_dir: Path, lines: list[str] | None = None):
    report = (lines if lines is not None else []).append
    return fetch_archive(spec, data_dir, "d", meter=SILENT, report=report)


def test_a_checked_archive_is_neither_fetched_nor_read_again(tmp_path, server, monkeypatch):
    page = server.add("/a.tar", b"content")
    spec = archive(urls=(server.url("/a.tar"),))
    first = held(spec, tmp_path)
    assert (first.file.read_bytes(), first.known) == (b"content", True)
    monkeypatch.setattr("moodbench.obtain.archives.fetch", None)
    assert held(spec, tmp_path) == first
    assert len(page.asked) == 1


@pytest.mark.parametrize("change", ["content", "digest"])
def test_an_archive_that_changed_is_not_believed(tmp_path, server, change):
    page = server.add("/a.tar", b"content")
    spec = archive(urls=(server.url("/a.tar"),))
    file = held(spec, tmp_path).file
    if change == "content":
        file.write_bytes(b"damaged")
    else:
        page.body = b"new one"
        spec = archive(content=b"new one", urls=spec.urls)
    assert held(spec, tmp_path).file.read_bytes() == page.body
    assert len(page.asked) == 2


def test_a_file_of_the_same_name_from_elsewhere_is_another(tmp_path, server):
    server.add("/one/a.tar", b"first")
    server.add("/two/a.tar", b"second")
    unknown = {"bytes": None, "md5": None, "sha256": None}
    lines: list[str] = []
    one = held(archive(urls=(server.url("/one/a.tar"),), **unknown), tmp_path, lines)
    assert (one.file.read_bytes(), one.known) == (b"first", False)
    assert lines == [f"no digest is published for a.tar; recorded sha256 {hashlib.sha256(b'first').hexdigest()}"]
    assert held(archive(urls=(server.url("/two/a.tar"),), **unknown), tmp_path).file.read_bytes() == b"second"


def test_a_note_that_cannot_be_read_is_no_note(tmp_path, server):
    page = server.add("/a.tar", b"content")
    spec = archive(urls=(server.url("/a.tar"),))
    file = held(spec, tmp_path).file
    for text in ("", "[]", "{}", json.dumps({"bytes": 7, "mtime_ns": file.stat().st_mtime_ns})):
        file.with_name("a.tar.json").write_text(text)
        assert held(spec, tmp_path).bytes == 7
    assert len(page.asked) == 1
    release(tmp_path, spec)
    assert list(file.parent.iterdir()) == []


def test_archives_are_found_by_name_then_by_what_they_are(tmp_path):
    first, second, third = archive(), archive("b.tar", b"others"), archive("c.tar", b"missing")
    (tmp_path / "a.tar").write_bytes(b"whatever: its check comes later")
    (tmp_path / "renamed.bin").write_bytes(b"others")
    (tmp_path / "same size").write_bytes(b"xxxxxx")
    found = find_archives(tmp_path, [first, second, third])
    assert found == {"a.tar": tmp_path / "a.tar", "b.tar": tmp_path / "renamed.bin"}
    assert find_archives(tmp_path / "same size", [third]) == {"c.tar": tmp_path / "same size"}


# -- single images -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [PNG, b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x10\0\0\0WEBPVP8 ", b"BM6", b"II*\0"])
def test_images_are_known_by_their_first_bytes(head):
    assert looks_like_image(head)


@pytest.mark.parametrize(
    "head", [b"", b"<html>", b"<!DOCTYPE html>", b"\n<?xml version", b'{"error": 1}', b"RIFF\0\0\0\0WAVE"]
)
def test_other_things_are_no_images(head):
    assert not looks_like_image(head)


def test_names_become_addresses():
    assert image_address("http://h/t/{name}", "a b/c#1.jpg") == "http://h/t/a%20b/c%231.jpg"


# -- drawn -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def recipe(monkeypatch):
    """A recipe `two` that draws two pictures and tells which photographs it was given."""
    DRAWING_RECIPES.names()
    seen = []

    def two(target, imagenet_val, progress):
        seen.append(imagenet_val)
        pictures(target, "1.png", "2.png")
        return Drawing(2, "other noise")

    monkeypatch.setitem(DRAWING_RECIPES._items, "two", two)
    return seen


def test_a_drawn_dataset_keeps_its_note(tmp_path, recipe):
    photographs = dataset("imagenet_val")
    spec = dataset(generated="two", images=2)
    asset = obtain(job(spec), means(tmp_path, photographs=photographs))["d"]
    assert (asset.state, asset.images, asset.note) == ("generated", 2, "other noise")
    assert read_origin(tmp_path, "d").source == "two"
    assert recipe == [None]
    pictures(tmp_path / "imagenet_val", "n01440764/1.png")
    by_drawing(dataset("e", generated="two"), means(tmp_path, photographs=photographs))
    assert recipe[-1] == tmp_path / "imagenet_val"


def test_a_recipe_that_draws_too_few_is_no_dataset(tmp_path, recipe):
    with pytest.raises(DataError, match="2 images are there, and there should be 3"):
        obtain(job(dataset(generated="two", images=3)), means(tmp_path))
    assert not (tmp_path / "d").exists()


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_steps_without_archives_say_where_the_images_go(tmp_path):
    text = instructions(job(dataset(steps=("Ask   the authors.",))), tmp_path)
    assert text.splitlines() == [
        "d: D",
        "  1. Ask the authors.",
        "  2. Run: moodbench download d --from FOLDER, with the folder that holds the images",
        f"  (or put the images there yourself: {tmp_path}/d)",
    ]


def test_unknown_sizes_and_digests_are_said(tmp_path):
    unknown = archive("x.zip", urls=(), bytes=None, md5=None, sha256=None)
    text = instructions(job(dataset(archives=(unknown,), homepage="https://example.org")), tmp_path)
    assert "  1. See https://example.org.\n" in text
    assert "hold this file under this name:\n     x.zip   size unknown\n         no digest is published\n" in text


def test_a_part_of_the_users_own_lies_in_its_own_folder(tmp_path):
    whole = dataset("whole", archives=(archive(),))
    part = dataset("part", folder="whole/in", part_of="whole", within="in", images=2)
    theirs = pictures(tmp_path / "theirs", "1.png", "2.png")
    assets = obtain(Job(whole, (part,)), means(tmp_path / "data"), source=theirs)
    assert assets["part"].state == "copied"
    assert sorted(f.name for f in (tmp_path / "data/whole/in").iterdir()) == ["1.png", "2.png"]
    assert read_origin(tmp_path / "data", "part").images == 2
    assert read_origin(tmp_path / "data", "whole") is None
    assert obtain(Job(whole, (part,)), means(tmp_path / "data"))["part"].state == "there"
