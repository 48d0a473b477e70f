"""Where images come from: archives that are remembered, single images, recipes, and steps by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from moodbench.catalog import ArchiveSpec
from moodbench.errors import DataError
from moodbench.inspection.manifest import read_origin
from moodbench.obtain.archives import fetch_archive, release
from moodbench.obtain.byhand import instructions
from moodbench.obtain.fill import by_drawing
from moodbench.obtain.jobs import Job
from moodbench.obtain.local import find_archives
from moodbench.obtain.per_image import image_address, looks_like_image
from moodbench.obtain.recipes.base import DRAWING_RECIPES, Drawing
from moodbench.obtain.run import obtain
from moodbench.transfer.meter import SILENT
from tests.obtaining import PNG, archive, dataset, job, means, pictures
from tests.server import server_fixture  # noqa: F401

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
