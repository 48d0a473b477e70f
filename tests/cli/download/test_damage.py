"""What comes is not what was meant: `moodbench download` says so, and goes on with the rest."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from moodbench.cli import app
from tests.publishers import sha256, tar
from tests.server import Refusal


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
