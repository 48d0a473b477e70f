"""Every kind of damage is found, named as what it is, and found by the look that can find it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from moodbench.commands.verify import verify
from moodbench.errors import DataError, UsageError
from moodbench.inspection import decoding
from moodbench.inspection.manifest import manifest_file
from moodbench.inspection.verdicts import verdict_file
from tests.disks import IMAGES, cut, flip, picture


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_intact_is_ok(disk, deep):
    disk.note("id", "ood")
    done = verify(("id", "ood", "part"), deep=deep, workspace=disk.space())
    assert [(v.name, v.state, v.images, v.expected) for v in done] == [
        ("id", "ok", 6, 6),
        ("ood", "ok", 6, 6),
        ("part", "ok", 3, 3),
    ]
    assert all(v.ok and not v.findings for v in done)
    compared = ("count", "names", "sizes", *(("decoded", "content") if deep else ()))
    assert {v.compared for v in done} == {compared}


def test_without_manifest_it_says_what_is_not_compared(disk):
    lines = []
    (made,) = verify(("id",), workspace=disk.space(), report=lines.append)
    assert made.compared == ("count",)
    assert lines == [
        "id: sizes and content not compared (no manifest); --deep decodes the images and compares them with one another"
    ]


def test_a_flipped_byte_is_found_by_the_deep_look_alone(disk):
    disk.file("id", "a/2.png").unlink()
    disk.save("id", "a/2.jpg", picture(2))  # a JPEG decodes with it
    disk.note("id", "ood")
    flip(disk.file("id", "a/2.jpg"))
    assert disk.look("id", "ood") == {"id": [], "ood": []}
    assert disk.look("id", "ood", deep=True) == {"id": [("changed", "a/2.jpg")], "ood": []}


@pytest.mark.parametrize("noted", [False, True])
def test_damaged_files_are_named_as_what_they_are(disk, noted):
    if noted:
        disk.note("id")
    cut(disk.file("id", "a/0.png"), 300)
    cut(disk.file("id", "b/1.png"), 0)
    disk.file("id", "a/2.png").write_text("\n<!DOCTYPE html><html><title>403 Forbidden</title></html>")
    disk.file("id", "b/3.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    quick = [("empty", "b/1.png"), *([("size", p) for p in ("a/0.png", "a/2.png", "b/3.png")] if noted else [])]
    assert disk.look("id") == {"id": quick}
    deep = [("empty", "b/1.png"), ("html", "a/2.png"), ("truncated", "a/0.png"), ("undecodable", "b/3.png")]
    assert disk.look("id", deep=True) == {"id": deep}
    (made,) = verify(("id",), deep=True, workspace=disk.space())
    details = {f.path: f.detail for f in made.findings}
    assert "<!DOCTYPE html>" in details["a/2.png"]
    assert "version https://git-lfs" in details["b/3.png"]
    assert ("bytes" in details["a/0.png"]) or not noted


def test_missing_and_extra_images_are_named(disk):
    disk.note("id")
    disk.file("id", "a/0.png").unlink()
    disk.save("id", "a/9.png", picture(9))
    assert disk.look("id") == {"id": [("missing", "a/0.png"), ("extra", "a/9.png")]}
    manifest_file(disk.data, "id").unlink()
    assert disk.look("id") == {"id": []}  # 6 of 6: nobody knows which they should be
    disk.file("id", "b/1.png").unlink()
    (made,) = verify(("id",), workspace=disk.space())
    assert [(f.kind, f.detail) for f in made.findings] == [("count", "5 here, the catalogue says 6")]


def test_thumbnails_of_file_servers_are_no_extra_images(disk):
    disk.note("id")
    for name in ("a/@eaDir/0.png", "__MACOSX/a/0.png"):
        disk.save("id", name, picture(9))
    assert disk.look("id") == {"id": []}  # as in an extraction, which does not see them


def test_a_link_to_nowhere_is_a_missing_image(disk):
    disk.file("id", "a/0.png").unlink()
    disk.file("id", "a/0.png").symlink_to("gone.png")
    assert disk.look("id")["id"][-1] == ("missing", "a/0.png")


def test_a_part_is_compared_with_its_share_of_the_manifest(disk):
    disk.note("ood")
    cut(disk.file("ood", "b/1.png"), 99)
    cut(disk.file("ood", "a/0.png"), 99)
    disk.file("ood", "b/3.png").unlink()
    assert disk.look("part") == {"part": [("missing", "3.png"), ("size", "1.png")]}


class TestLists:
    """A list says which images are meant."""

    @pytest.fixture
    def disk(self, disk):
        (disk.root / "ood.txt").write_text("b/1.png\na/4.png\na/0.png\n")
        disk.entry("ood", list="ood.txt", images=3)
        return disk

    def test_other_images_are_told_and_not_wrong(self, disk):
        (made,) = verify(("ood",), workspace=disk.space())
        assert [(f.kind, f.path) for f in made.findings] == [("unlisted", p) for p in ("a/2.png", "b/3.png", "b/5.png")]
        assert made.ok
        assert made.images == 3

    def test_other_images_are_wrong_where_the_manifest_lacks_them(self, disk):
        disk.note("ood")
        disk.save("ood", "a/9.png", picture(9))
        assert disk.look("ood") == {"ood": [("extra", "a/9.png")]}

    def test_in_a_folder_that_others_use_they_are_not_told(self, disk):
        disk.entry("ood", path=str(disk.data / "ood"))
        del disk.content["datasets"]["ood"]["folder"]
        disk.file("ood", "a/4.png").unlink()
        assert disk.look("ood") == {"ood": [("missing", "a/4.png")]}

    def test_a_list_of_another_length_than_the_catalogue_says(self, disk):
        disk.entry("ood", images=4)
        assert ("count", None) in disk.look("ood")["ood"]

    @pytest.mark.parametrize("content", [None, "b/1.png\na/4.png\n"])
    def test_a_missing_or_wrong_list_is_the_one_finding(self, disk, content):
        good = hashlib.sha256((disk.root / "ood.txt").read_bytes()).hexdigest()
        disk.entry("ood", list={"url": "https://x.org/ood.txt", "sha256": good})
        if content is not None:
            (disk.data / "lists").mkdir()
            (disk.data / "lists" / "ood.txt").write_text(content)
        (made,) = verify(("ood",), deep=True, workspace=disk.space())
        assert [f.kind for f in made.findings] == ["list"]
        assert "moodbench download ood" in made.findings[0].detail
        assert made.images is None
        assert disk.state("ood")["list"]["state"] == ("missing" if content is None else "there")


def test_a_dataset_that_is_not_there(disk):
    for file in (disk.data / "ood").rglob("*.png"):
        file.unlink()
    (made,) = verify(("ood",), workspace=disk.space())
    assert (made.state, [f.kind for f in made.findings]) == ("missing", ["absent"])
    assert not verdict_file(disk.data, "ood").exists()


def test_a_folder_that_is_a_file_and_a_damaged_manifest(disk):
    disk.note("id")
    manifest_file(disk.data, "id").write_text("path,bytes,sha256\na,b,c\n")
    disk.entry("ood", folder="file")
    (disk.data / "file").write_text("")
    del disk.content["datasets"]["part"]
    assert disk.look("id", "ood") == {"id": [("note", None)], "ood": [("folder", None)]}


def test_folders_that_may_not_be_read_are_named(disk, monkeypatch):
    disk.note("id", "ood")
    stat, scandir = Path.stat, os.scandir

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    class Names(list):
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    def names_alone(path):
        with scandir(path) as entries:
            if Path(path).name != "b":
                return Names(entries)
            return Names(SimpleNamespace(name=e.name, path=e.path, is_dir=e.is_dir, stat=forbidden) for e in entries)

    monkeypatch.setattr(
        Path, "stat", lambda path, **how: (stat if how or path.name != "id" else forbidden)(path, **how)
    )
    monkeypatch.setattr(os, "scandir", names_alone)
    gone = [("missing", f"b/{i}.png") for i in range(1, IMAGES, 2)]
    assert disk.look("id", "ood") == {"id": [("folder", None)], "ood": [("folder", "b"), *gone]}


def test_any_number_of_processes_finds_the_same(disk, monkeypatch):
    monkeypatch.setattr(decoding, "FEW", 0)
    monkeypatch.setattr(decoding, "CHUNK", 2)
    disk.note("id", "ood")
    cut(disk.file("id", "a/0.png"), 300)
    flip(disk.file("ood", "b/5.png"))
    disk.file("ood", "a/0.png").write_bytes(disk.file("id", "a/4.png").read_bytes())
    one, two = (
        [v.record() for v in verify(("id", "ood"), near=True, jobs=jobs, workspace=disk.space())] for jobs in (1, 2)
    )
    assert one == two
    assert [f["kind"] for v in one for f in v["findings"]].count("overlap") == 1


def test_a_process_that_dies_is_one_message(disk, monkeypatch):
    monkeypatch.setattr(decoding, "FEW", 0)
    monkeypatch.setattr(decoding, "check_image", lambda *_: os._exit(3))
    with pytest.raises(DataError, match=r"ended by itself \(exit code 3\)") as caught:
        verify(("id",), deep=True, jobs=2, workspace=disk.space())
    assert "--jobs 1" in str(caught.value)


class TestChoice:
    def test_without_names_what_is_on_this_disk(self, disk):
        lines = []
        done = verify(workspace=disk.space(), report=lines.append)
        assert [v.name for v in done][-2:] == ["id", "ood"]
        assert all(v.state == "ok" for v in done if v.name.startswith("digits_"))
        (left_out,) = (line for line in lines if line.startswith("leave out"))
        where = f"not on this disk below '{disk.data}'"
        assert re.fullmatch(rf"leave out \d+ datasets \(moodbench list datasets\): {re.escape(where)}", left_out)

    def test_a_benchmark_asks_for_all_its_datasets(self, disk):
        disk.content["datasets"]["gone"] = {"title": "Gone", "folder": "gone"}
        disk.content["benchmarks"]["b"]["ood"]["far"].append("gone")
        lines = []
        done = verify(benchmark=("b",), workspace=disk.space(), report=lines.append)
        assert [(v.name, v.state) for v in done] == [("id", "ok"), ("ood", "ok"), ("gone", "missing")]
        assert "leave out id_test: features only" in lines

    def test_nothing_at_all_says_what_to_run(self, disk):
        space = disk.space()
        space.__dict__["catalog"] = type(space.catalog)(space.catalog.datasets, {}, {})
        with pytest.raises(DataError, match="none of the catalogue's datasets") as caught:
            verify(workspace=space)
        assert "moodbench download" in str(caught.value)

    @pytest.mark.parametrize("wrong", [{"jobs": 0}, {"bits": -1}, {"bits": 17}, {"dataset": ("odd",)}])
    def test_wrong_arguments(self, disk, wrong):
        with pytest.raises(UsageError):
            verify(workspace=disk.space(), **wrong)
