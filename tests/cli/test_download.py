"""`moodbench download` as people meet it, against a server that misbehaves: one small catalogue with true layouts."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from moodbench.cli import app
from tests.server import Page, Refusal, Server, server_fixture  # noqa: F401

CLASSES = ("disc", "ring", "star")


def picture(seed: int, side: int = 12) -> bytes:
    """Return a PNG of noise: bytes that no compression makes small."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@dataclass
class World:
    """A catalogue, the server with what it names, and an empty folder to work in."""

    server: Server
    home: Path
    entries: dict[str, dict]
    shapes: dict[str, bytes]
    archive: bytes
    loose: dict[str, bytes]

    @property
    def catalog(self) -> Path:
        return self.home / "catalog.yaml"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def page(self, path: str) -> Page:
        return self.server.pages[path]

    def write(self) -> None:
        benchmark = {"id_train": "shapes", "id_test": "two_shapes", "ood": {"far": ["loose"]}}
        self.catalog.write_text(yaml.safe_dump({"datasets": self.entries, "benchmarks": {"small": benchmark}}))

    def args(self, *args: object) -> list[str]:
        self.write()
        return ["download", *map(str, args), "--catalog", str(self.catalog), "--data-dir", str(self.data)]

    def call(self, *args: object):
        """Run the command in this process; a traceback is never right."""
        result = CliRunner().invoke(app, self.args(*args), catch_exceptions=False)
        assert "Traceback" not in result.output
        return result

    def start(self, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "moodbench", *self.args(*args)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def files(self, folder: str) -> dict[str, bytes]:
        root = self.data / folder
        return {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*")) if f.is_file()}

    def note(self, name: str) -> dict:
        return json.loads((self.data / ".moodbench" / f"{name}.json").read_text())

    def manifest(self, name: str) -> dict[str, str]:
        with (self.data / ".moodbench" / f"{name}.csv").open(newline="") as stream:
            return {row["path"]: row["sha256"] for row in csv.DictReader(stream)}

    def left(self) -> list[str]:
        """Return what is neither a dataset's nor a note: temporary files, archives."""
        files = (f.relative_to(self.data).as_posix() for f in self.data.rglob("*") if f.is_file())
        return [f for f in files if "/partial/" in f or "/archives/" in f or f.endswith((".part", ".lock"))]


@pytest.fixture
def world(tmp_path, server, monkeypatch) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("moodbench.transfer.mirror.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("moodbench.obtain.per_image.PAUSE", 0.0)
    shapes = {f"{name}/{name} {i}.png": picture(10 * c + i) for c, name in enumerate(CLASSES) for i in range(4)}
    archive = tar({f"pack/images/{name}": content for name, content in shapes.items()} | {"pack/readme.txt": b"hello"})
    loose = {f"{i:02}.png": picture(100 + i) for i in range(20)}
    lists = {
        "/lists/two.txt": "".join(f"root/{n} -1\r\n" for n in shapes if n.startswith(("disc", "star"))).encode(),
        "/lists/loose.txt": "".join(f"{n}\n" for n in loose).encode(),
    }
    for path, body in {"/shapes.tar.gz": archive, **lists}.items():
        server.add(path, body)
    for name, content in loose.items():
        server.add(f"/single/{name}", content, content_type="image/png")
    normal = lists["/lists/two.txt"].replace(b"\r\n", b"\n")
    entries = {
        "shapes": {
            "title": "Shapes",
            "folder": "shapes",
            "labels": "folder",
            "images": 12,
            "archives": [
                {
                    "file": "shapes.tar.gz",
                    "urls": [server.url("/shapes.tar.gz")],
                    "bytes": len(archive),
                    "md5": md5(archive),
                    "sha256": sha256(archive),
                    "take": "pack/images",
                    "max_files": 100,
                    "max_bytes": "10 MB",
                }
            ],
        },
        "two_shapes": {
            "title": "Two of the shapes",
            "part_of": "shapes",
            "labels": "none",
            "images": 8,
            "list": {
                "url": server.url("/lists/two.txt"),
                "sha256": sha256(normal),
                "lines": 8,
                "strip": "root/",
            },
        },
        "loose": {
            "title": "Loose pictures",
            "folder": "far/loose",
            "labels": "none",
            "images": 20,
            "per_image": server.url("/single/{name}"),
            "list": {"url": server.url("/lists/loose.txt"), "sha256": "unknown", "lines": 20},
        },
        "secret": {
            "title": "Secret pictures",
            "folder": "secret",
            "labels": "folder",
            "images": 12,
            "homepage": "https://example.org/secret",
            "steps": ["Register at example.org and accept   the terms.", "Download the two files."],
            "archives": [
                {"file": "secret.tar.gz", "bytes": len(archive), "md5": md5(archive)}
                | {"sha256": sha256(archive), "take": "pack/images", "max_files": 100, "max_bytes": "10 MB"},
            ],
        },
    }
    return World(server, tmp_path, entries, shapes, archive, loose)


def wait_for(condition, process) -> None:
    for _ in range(3000):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.01)
    raise AssertionError("the process did not get there")


# -- the whole road ----------------------------------------------------------------------------------------------------


def test_a_benchmark(world):
    result = world.call("--benchmark", "small")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "downloaded shapes: 12 images, " + in_words(world.shapes.values()) + f", in {world.data}/shapes",
        "downloaded two_shapes: 8 images, "
        + in_words(v for k, v in world.shapes.items() if k[0] != "r")
        + f", in {world.data}/shapes",
        f"no digest is published for loose.txt; recorded sha256 {sha256(world.page('/lists/loose.txt').body)}",
        "downloaded loose: 20 images, " + in_words(world.loose.values()) + f", in {world.data}/far/loose",
    ]
    assert world.files("shapes") == world.shapes
    assert world.files("far/loose") == world.loose
    assert world.left() == []
    assert world.manifest("shapes") == {name: sha256(content) for name, content in sorted(world.shapes.items())}
    note = world.note("shapes")
    assert (note["how"], note["images"], note["source"]) == ("downloaded", 12, world.server.url("/shapes.tar.gz"))
    assert note["archives"][0] == {
        "file": "shapes.tar.gz",
        "source": world.server.url("/shapes.tar.gz"),
        "bytes": len(world.archive),
        "sha256": sha256(world.archive),
        "known": True,
    }
    asked = len(world.server.asked)
    again = world.call("--benchmark", "small")
    assert again.exit_code == 0
    assert again.stderr.splitlines() == [
        "skip shapes: complete (12 images)",
        "skip two_shapes: complete (8 images)",
        "skip loose: complete (20 images)",
    ]
    assert len(world.server.asked) == asked


def test_a_dataset_that_is_there_is_scanned_once(world, monkeypatch):
    assert world.call("shapes").exit_code == 0
    scandir, scans = os.scandir, Counter()

    def counted(folder="."):
        scans[Path(folder)] += 1
        return scandir(folder)

    monkeypatch.setattr("os.scandir", counted)
    assert world.call("shapes").stderr == "skip shapes: complete (12 images)\n"
    assert {name: scans[world.data / "shapes" / name] for name in CLASSES} == dict.fromkeys(CLASSES, 1)


def in_words(contents) -> str:
    from moodbench.sizes import human_bytes

    return human_bytes(sum(map(len, contents)))


def test_killed_twice_and_finished(world):
    shapes = world.page("/shapes.tar.gz")
    shapes.trickle = (len(world.archive) // 2, 5.0)  # the second half hangs
    first = world.start("--benchmark", "small")
    part = world.data / ".moodbench" / "archives" / "shapes.tar.gz.part"
    wait_for(lambda: part.exists() and part.stat().st_size, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    here = part.stat().st_size
    shapes.trickle = None
    assert not (world.data / "shapes").exists()

    singles = [world.page(f"/single/{name}") for name in world.loose]
    for page in singles[8:]:
        page.trickle = (1, 5.0)  # the rest hangs
    second = world.start("--benchmark", "small", "--jobs", 2)
    done = world.data / ".moodbench" / "partial" / "loose"
    wait_for(lambda: done.is_dir() and len(list(done.glob("*.png"))) == 8, second)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    assert not (world.data / "far").exists()
    assert world.files("shapes") == world.shapes

    for page in singles:
        page.trickle = None
    last = world.start("--benchmark", "small")
    out, err = last.communicate(timeout=60)
    assert (last.returncode, out) == (0, ""), err
    assert world.files("shapes") == world.shapes
    assert world.files("far/loose") == world.loose
    assert world.left() == []
    # what was fetched and checked was never sent again
    assert shapes.ranges_asked == [None, f"bytes={here}-"]
    assert shapes.asked[1].sent == len(world.archive) - here
    assert [len(page.asked) for page in singles[:8]] == [1] * 8


@pytest.mark.parametrize("where", ["unpack", "note", "rename"])
def test_killed_at_the_worst_moments(world, where):
    target = {
        "unpack": "moodbench.obtain.partial.write_notes",
        "note": "moodbench.obtain.partial.write_origin",
        "rename": "moodbench.obtain.partial.put",
    }[where]
    module, name = target.rsplit(".", 1)
    script = (
        f"import os, signal, sys, {module} as m\n"
        f"m.{name} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from moodbench.cli import main\nmain()\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, *world.args("shapes")], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not (world.data / "shapes").exists()
    result = world.call("shapes")
    assert result.exit_code == 0, result.output
    assert world.files("shapes") == world.shapes
    assert world.left() == []
    assert len(world.page("/shapes.tar.gz").asked) == 1
    assert world.note("shapes")["how"] == "downloaded"


def test_what_lies_there_unfinished_does_not_stay(world):
    partial = world.data / ".moodbench" / "partial" / "shapes"
    (partial / "disc").mkdir(parents=True)
    (partial / "disc" / "disc 0.png").write_bytes(b"half")
    assert world.call("shapes").exit_code == 0
    assert world.files("shapes") == world.shapes


# -- what comes is not what was meant ----------------------------------------------------------------------------------


def test_a_flipped_byte(world):
    broken = bytearray(world.archive)
    broken[len(broken) // 2] ^= 1
    world.page("/shapes.tar.gz").body = bytes(broken)
    result = world.call("shapes")
    assert result.exit_code == 1
    assert sha256(broken) in result.stderr
    assert sha256(world.archive) in result.stderr
    assert not (world.data / "shapes").exists()
    world.page("/shapes.tar.gz").body = world.archive
    assert world.call("shapes").exit_code == 0
    assert world.files("shapes") == world.shapes


def test_one_failure_does_not_stop_the_others(world):
    world.page("/shapes.tar.gz").body = b"<html>gone</html>"
    result = world.call("--benchmark", "small")
    assert result.exit_code == 1
    assert "downloaded loose: 20 images" in result.stderr
    assert result.stderr.count("error: ") == 1
    assert world.files("far/loose") == world.loose


def test_no_digest_is_known(world):
    entry = world.entries["shapes"]["archives"][0]
    entry |= {"bytes": "unknown", "md5": "unknown", "sha256": "unknown"}
    result = world.call("shapes")
    assert result.exit_code == 0, result.output
    line = f"no digest is published for shapes.tar.gz; recorded sha256 {sha256(world.archive)}"
    assert result.stderr.splitlines()[0] == line
    assert world.note("shapes")["archives"][0]["known"] is False
    assert world.note("shapes")["archives"][0]["sha256"] == sha256(world.archive)


def test_an_archive_without_digest_that_is_cut_is_not_believed_for_ever(world):
    entry = world.entries["shapes"]["archives"][0]
    entry |= {"bytes": "unknown", "md5": "unknown", "sha256": "unknown"}
    page = world.page("/shapes.tar.gz")
    page.body = world.archive[: len(world.archive) // 2]
    result = world.call("shapes")
    assert result.exit_code == 1
    assert f"file: {world.data}/.moodbench/archives/shapes.tar.gz.wrong\n" in result.stderr
    assert not (world.data / "shapes").exists()
    page.body = world.archive
    assert world.call("shapes").exit_code == 0
    assert world.files("shapes") == world.shapes


def test_archives_that_hold_something_else(world):
    world.entries["shapes"]["images"] = 13
    result = world.call("shapes")
    assert result.exit_code == 1
    assert "12 images are there, and there should be 13" in result.stderr
    assert not (world.data / "shapes").exists()
    world.entries["shapes"]["images"] = 12
    assert world.call("shapes").exit_code == 0
    assert len(world.page("/shapes.tar.gz").asked) == 1


def test_an_archive_without_images(world):
    unknown = {"bytes": "unknown", "md5": "unknown", "sha256": "unknown"}
    world.entries["shapes"]["archives"][0] |= unknown
    world.page("/shapes.tar.gz").body = tar({"pack/images/readme.txt": b"hello"})
    result = world.call("shapes")
    assert result.exit_code == 1
    assert "the images of 'shapes' that the catalogue promises: there are no images\n" in result.stderr


def test_the_list_is_gone(world):
    world.page("/lists/two.txt").always = Refusal(404)
    result = world.call("shapes", "two_shapes")
    assert result.exit_code == 1
    assert "downloaded shapes: 12 images" in result.stderr
    assert "HTTP 404" in result.stderr
    world.page("/lists/two.txt").always = None
    assert world.call("two_shapes").stderr.splitlines() == ["skip two_shapes: complete (8 images)"]


def test_the_list_was_changed(world):
    world.page("/lists/two.txt").body += b"root/ring/ring 0.png -1\r\n"
    result = world.call("two_shapes")
    assert result.exit_code == 1
    assert world.entries["two_shapes"]["list"]["sha256"] in result.stderr
    assert not (world.data / "lists" / "two.txt").exists()


def test_a_full_disk_is_seen_before_anything_is_fetched(world, monkeypatch):
    monkeypatch.setattr("moodbench.obtain.room.free_bytes", lambda folder: 5_000_000)
    result = world.call("shapes")
    assert result.exit_code == 1
    assert "10.0 MB may be needed, 5.0 MB are free" in result.stderr
    assert world.server.asked == []


def test_a_disk_that_fills_up(world, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("moodbench.obtain.partial.hash_files", full)
    result = world.call("shapes")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert not (world.data / "shapes").exists()


@pytest.mark.parametrize("command", ["download shapes", "download shapes --dry-run", "verify shapes", "list datasets"])
def test_a_data_directory_that_is_none(world, command):
    world.data.write_text("a file")
    result = CliRunner().invoke(app, [*command.split(), *world.args()[1:]], catch_exceptions=False)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the data directory cannot be used: not a directory\n")


# -- image by image ----------------------------------------------------------------------------------------------------


def test_single_images_that_fail_are_named_and_tried_again(world):
    world.page("/single/03.png").always = Refusal(404)
    world.page("/single/07.png").body = b"<html>try later</html>"
    world.page("/single/09.png").refusals = [Refusal(503), Refusal(503)]
    world.page("/single/11.png").cuts = [20]
    result = world.call("loose")
    assert result.exit_code == 1
    assert "2 of the 20 images of 'loose' could not be fetched" in result.stderr
    failed = world.data / ".moodbench" / "loose.failed.csv"
    assert str(failed) in result.stderr
    assert [(row["path"], row["reason"]) for row in csv.DictReader(failed.read_text().splitlines())] == [
        ("03.png", "HTTP 404 (not found)"),
        ("07.png", "the server sent a web page"),
    ]
    assert not (world.data / "far").exists()
    world.page("/single/03.png").always = None
    world.page("/single/07.png").body = world.loose["07.png"]
    counts = {name: len(world.page(f"/single/{name}").asked) for name in world.loose}
    again = world.call("loose")
    assert again.exit_code == 0, again.output
    assert world.files("far/loose") == world.loose
    more = {name for name in world.loose if len(world.page(f"/single/{name}").asked) > counts[name]}
    assert more == {"03.png", "07.png"}
    assert not failed.exists()
    assert world.left() == []


def test_a_list_that_names_an_image_twice_costs_no_request(world):
    world.page("/lists/loose.txt").body = b"00.png\n01.png\n00.png\n"
    world.entries["loose"]["list"].pop("lines")
    result = world.call("loose")
    assert result.exit_code == 1
    assert "the image list of 'loose' repeats '00.png'" in result.stderr
    assert world.page("/single/00.png").asked == []


def test_nobody_answers(world):
    world.call("shapes", "two_shapes")
    world.entries["loose"]["per_image"] = "http://127.0.0.1:9/{name}"
    result = world.call("loose")
    assert result.exit_code == 1
    assert "cannot be fetched" in result.stderr
    assert "goes on from here" in result.stderr


def test_images_that_were_lost_are_fetched_again(world):
    assert world.call("loose").exit_code == 0
    (world.data / "far/loose/05.png").unlink()
    result = world.call("loose")
    assert result.exit_code == 0, result.output
    assert world.files("far/loose") == world.loose
    assert [len(world.page(f"/single/{name}").asked) for name in ("04.png", "05.png")] == [1, 2]


# -- what a person has -------------------------------------------------------------------------------------------------


def test_by_hand(world):
    result = world.call("secret", "shapes")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "secret: Secret pictures",
        "  1. Register at example.org and accept the terms.",
        "  2. Download the two files.",
        "  3. Now one folder should hold this file (under other names too: digests tell):",
        f"     secret.tar.gz   {len(world.archive):,} bytes ({in_words([world.archive])})",
        f"         md5 {md5(world.archive)}",
        f"         sha256 {sha256(world.archive)}",
        "  4. Run: moodbench download secret --from FOLDER",
    ]
    assert "downloaded shapes" in result.stderr
    assert "error: secret has to be fetched by hand" in result.stderr


def test_steps_that_cannot_be_shown_are_no_fault_of_the_disk(world):
    command = [sys.executable, "-m", "moodbench", *world.args("secret")]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: standard output cannot be written")


@pytest.mark.parametrize("given", ["the file", "a folder", "a file with another name", "a folder with another name"])
def test_from_an_archive(world, given):
    theirs = world.home / "theirs"
    theirs.mkdir()
    file = theirs / ("secret.tar.gz" if "another" not in given else "download (1).tar.gz")
    file.write_bytes(world.archive)
    (theirs / "notes.txt").write_text("other things")
    before = file.stat()
    result = world.call("secret", "--from", theirs if "folder" in given else file)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("unpacked secret: 12 images")
    assert world.files("secret") == world.shapes
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.read_bytes() == world.archive
    assert world.note("secret")["archives"][0]["source"] == str(file)


def test_from_an_archive_that_is_damaged(world):
    file = world.home / "secret.tar.gz"
    file.write_bytes(world.archive[:-1])
    result = world.call("secret", "--from", file)
    assert result.exit_code == 1
    assert f"it has {len(world.archive) - 1:,} bytes, expected {len(world.archive):,}" in result.stderr
    assert file.exists()
    assert not (world.data / "secret").exists()


@pytest.fixture
def theirs(world) -> Path:
    """A folder with the shapes, and things that are none."""
    folder = world.home / "their shapes"
    for name, content in {**world.shapes, "readme.txt": b"hello"}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


@pytest.mark.parametrize(("link", "how"), [(None, "copied"), ("hard", "hard-linked"), ("symbolic", "linked")])
def test_from_a_folder_of_images(world, theirs, link, how):
    result = world.call("shapes", "--from", theirs, *(["--link", link] if link else []))
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith(f"{how} shapes: 12 images")
    placed, source = world.data / "shapes" / "disc/disc 0.png", theirs / "disc/disc 0.png"
    assert placed.samefile(source) == (link is not None)
    assert (world.data / "shapes").is_symlink() == (link == "symbolic")
    assert placed.read_bytes() == source.read_bytes()
    assert world.note("shapes")["how"] == how
    assert len(world.manifest("shapes")) == 12
    assert world.call("shapes").stderr == "skip shapes: complete (12 images)\n"
    assert world.server.asked == []
    assert (theirs / "readme.txt").exists()


def test_from_the_unpacked_archive(world, theirs):
    (world.home / "unpacked/pack").mkdir(parents=True)
    theirs.rename(world.home / "unpacked/pack/images")
    assert world.call("shapes", "--from", world.home / "unpacked").exit_code == 0
    assert world.files("shapes") == world.shapes


def test_from_a_folder_that_lacks_an_image(world, theirs):
    (theirs / "ring/ring 2.png").unlink()
    result = world.call("shapes", "--from", theirs)
    assert result.exit_code == 1
    assert "11 images are there, and there should be 12" in result.stderr
    assert not (world.data / "shapes").exists()


def test_from_a_larger_folder_takes_what_the_list_names(world):
    theirs = world.home / "all"
    theirs.mkdir()
    for name, content in {**world.loose, "other.png": picture(7)}.items():
        (theirs / name).write_bytes(content)
    assert world.call("loose", "--from", theirs).exit_code == 0
    assert world.files("far/loose") == world.loose


def test_hard_links_do_not_cross_file_systems(world, theirs, monkeypatch):
    def across(*args, **kwargs):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", across)
    result = world.call("shapes", "--from", theirs, "--link", "hard")
    assert result.exit_code == 1
    assert "hard links cannot lead to another file system" in result.stderr
    assert world.left() == []
    assert not (world.data / "shapes").exists()


def test_from_its_own_place_makes_the_notes(world, theirs):
    world.data.mkdir()
    theirs.rename(world.data / "shapes")
    result = world.call("shapes", "--from", world.data / "shapes")
    assert result.exit_code == 0, result.output
    assert world.note("shapes")["how"] == "in place"
    assert len(world.manifest("shapes")) == 12


def test_a_folder_of_the_users_own_is_kept(world, theirs):
    world.data.mkdir()
    theirs.rename(world.data / "shapes")
    assert world.call("shapes").stderr == "skip shapes: complete (12 images)\n"
    (world.data / "shapes/ring/ring 2.png").unlink()
    result = world.call("shapes")
    assert result.exit_code == 1
    assert "was not put there by moodbench, and is incomplete: 11 images" in result.stderr
    assert len(world.files("shapes")) == 12
    assert world.server.asked == []


# -- options -----------------------------------------------------------------------------------------------------------


def test_dry_run(world):
    result = world.call("--benchmark", "small", "secret", "digits_faces", "--dry-run")
    assert result.exit_code == 0, result.output
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    size = in_words([world.archive])
    assert rows == [
        "dataset images to do download unpacked",
        "secret 12 by hand",
        "digits_faces 200 nothing: bundled",
        f"shapes 12 download {size} ≤ 10.0 MB",
        "two_shapes 8 with shapes, fetch its list",
        "loose 20 download image by image, fetch its list size unknown",
    ]
    assert world.server.asked == []
    assert not world.data.exists()


def test_archives_are_kept_if_asked_for_and_used_again(world):
    assert world.call("shapes", "--keep-archives").exit_code == 0
    kept = world.data / ".moodbench/archives/shapes.tar.gz"
    assert kept.read_bytes() == world.archive
    (world.data / "shapes").rename(world.home / "away")
    assert world.call("shapes").exit_code == 0
    assert len(world.page("/shapes.tar.gz").asked) == 1
    assert not kept.exists()


def test_an_archive_of_two_datasets_is_fetched_once(world):
    world.entries["more"] = {**world.entries["shapes"], "folder": "more", "title": "More"}
    assert world.call("shapes", "more").exit_code == 0
    assert world.files("more") == world.files("shapes") == world.shapes
    assert len(world.page("/shapes.tar.gz").asked) == 1
    assert world.left() == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "nothing is named"),
        (["shape"], "there is no dataset 'shape'. Did you mean 'shapes'"),
        (["--benchmark", "smal"], "there is no benchmark 'smal'"),
        (["--model", "digits_mi"], "there is no model 'digits_mi'"),
        (["shapes", "--link", "hard"], "--link says how to use the images of a folder"),
        (["shapes", "--from", ".", "--link", "soft"], "--link cannot be 'soft'.\n  fix:  use one of: hard, symbolic"),
        (["shapes", "loose", "--from", "."], "--from belongs to one dataset"),
        (["shapes", "--from", "nowhere"], "--from names something that is not there"),
        (["digits_faces", "--from", "."], "'digits_faces' comes with the package"),
        (["shapes", "--jobs", "0"], "--jobs is a number above zero"),
        (["--dry-run"], "name some"),
        (["shapes", "--dry-run", "--from", "."], "knows nothing of --from"),
    ],
)
def test_wrong_usage(world, args, said):
    result = world.call(*args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert world.server.asked == []


def test_a_variant_that_the_catalogue_does_not_declare_is_pointed_out(world):
    result = world.call("--model", "digits_mim@modv2")
    assert result.exit_code == 0
    assert "'modv2' is not a variant of digits_mim in the catalogue: its own weights" in result.stderr


def test_weights_of_a_model_that_comes_with_the_package(world):
    result = world.call("--model", "digits_mim", "shapes")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[1] == "skip digits_mim: there (1.3 MB)"


def test_all_is_everything_that_the_benchmarks_name(world, monkeypatch):
    from moodbench.catalog import Catalog, load_catalog

    world.write()
    full = load_catalog([world.catalog])
    small = Catalog(full.datasets, {name: full.benchmarks[name] for name in ("digits", "small")}, full.models)
    monkeypatch.setattr("moodbench.workspace.load_catalog", lambda files: small)
    result = world.call("--all")
    assert result.exit_code == 0, result.output
    assert "skip digits_faces: bundled" in result.stderr
    assert "secret" not in result.output
    assert world.files("far/loose") == world.loose


def test_interrupted_by_the_keyboard(world):
    page = world.page("/shapes.tar.gz")
    page.trickle = (1000, 5.0)
    process = world.start("shapes")
    wait_for(lambda: page.sent, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.endswith("interrupted; run the same command again to go on\n")
    assert not (world.data / "shapes").exists()


def test_two_processes_at_once(world):
    page = world.page("/shapes.tar.gz")
    page.trickle = (1024, 0.01)
    both = [world.start("shapes"), world.start("shapes")]
    texts = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert page.sent == len(world.archive)
    assert world.files("shapes") == world.shapes


def test_from_python(world, monkeypatch):
    import moodbench

    world.write()
    space = moodbench.Workspace(world.data, catalogs=(world.catalog,))
    lines: list[str] = []
    first = moodbench.download(["two_shapes", "digits_faces"], workspace=space, report=lines.append)
    assert [(r.name, r.state, r.images) for r in first] == [
        ("two_shapes", "downloaded", 8),
        ("digits_faces", "bundled", 200),
    ]
    assert first[0].bytes == sum(len(v) for k, v in world.shapes.items() if k[0] != "r")
    assert [r.state for r in moodbench.download(["two_shapes"], workspace=space)] == ["there"]
    assert os.environ.get("MOODBENCH_TIMEOUT") is None
