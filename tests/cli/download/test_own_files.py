"""`moodbench download` with what a person has: steps by hand, archives and folders of images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.publishers import in_words, md5, picture, sha256


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
