"""Files with the suffixes people have, pictures of the wrong size, and paths that lead nowhere."""

from __future__ import annotations

import os
import resource
from collections import Counter

import numpy as np
import pytest
from PIL import Image, features

import moodbench
from moodbench.catalog import ListSpec
from moodbench.commands.verify import verify
from moodbench.datasets.decode import BYTES_A_PIXEL, MAX_PIXELS, TooLargeError, decode
from moodbench.datasets.image_files import scan_folder
from moodbench.datasets.images import folder_images
from moodbench.datasets.lists import read_list
from moodbench.datasets.suffixes import image_suffixes, in_words, is_image, looks_like_an_image
from moodbench.errors import DataError, UsageError
from moodbench.inspection.decoding import check_image
from moodbench.workspace import Workspace
from tests.conftest import save

RNG = np.random.default_rng(0)

AVIF = "avif" in features.get_supported()
"""Older versions of Pillow do not know the word."""


@pytest.fixture
def jpeg(tmp_path):
    file = tmp_path / "source.jpg"
    save(file, (200, 90, 40), RNG)
    content = file.read_bytes()
    file.unlink()
    return content


@pytest.fixture
def odd(tmp_path, jpeg):
    """A folder as people have them: 7 images, 5 files that are none, and hidden ones."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("a.jpg", "b.JFIF", "c.jpe", "d", "e.jpg.1", "f.jpg.1"):
        (folder / name).write_bytes(jpeg)
    picture = Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    picture.save(folder / "g.jp2")
    picture.save(folder / "h.tga")
    if AVIF:
        picture.save(folder / "i.avif")
    (folder / "README").write_text("Pictures of things")
    (folder / "labels.txt").write_text("a 0\n")
    (folder / "nothing").write_bytes(b"")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "._a.jpg").write_bytes(b"\0\5\x16\7")
    return folder


EXPECTED = ["a.jpg", "b.JFIF", "c.jpe", "d", "g.jp2", "h.tga", *(["i.avif"] if AVIF else [])]


def test_what_pillow_decodes_is_an_image_and_the_rest_is_counted(odd):
    images = folder_images(odd)
    assert list(images.ids) == EXPECTED
    assert images.left_out == {".1": 2, ".txt": 1, "without suffix": 2}
    for i in range(len(images)):
        assert images.load(i).mode == "RGB"


def test_what_others_decode_or_nobody_is_none():
    assert {".jfif", ".jpe", ".jp2", ".tga", ".png"} <= image_suffixes()
    assert not {".h5", ".eps", ".ps", ".pdf", ".mpg", ".wmf", ".txt", ".npz", ""} & image_suffixes()


@pytest.mark.parametrize("content", [b"", b"P6 is a text", b"Python", b"\0" * 100, b"<html>", b"BM", b"#!/bin/sh\n"])
def test_a_file_without_suffix_that_is_none(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert not looks_like_an_image(f"{tmp_path}/x")
    assert not is_image(f"{tmp_path}/x")
    assert not is_image(f"{tmp_path}/gone")


def test_many_suffixes_are_one_line():
    counts = Counter({f".{i:04}": 1 for i in range(100)}) + Counter({".txt": 5})
    assert in_words(counts) == "5 .txt, 1 .0000, 1 .0001, 1 .0002, 1 .0003, 1 .0004, 95 of 95 other suffixes"


def test_a_folder_without_images_says_what_is_there(tmp_path):
    (tmp_path / "x.xyz").write_bytes(b"1")
    with pytest.raises(DataError, match=r"holds no images, but other files: 1 \.xyz"):
        folder_images(tmp_path)


def test_extract_says_what_is_left_out(space, odd):
    lines = []
    moodbench.extract("tiny", images=odd, dataset=["odd"], workspace=space, workers=0, report=lines.append)
    assert lines[0] == "note: odd: left out, as no images by their suffix: 2 .1, 2 without suffix, 1 .txt"


def catalogue_of(tmp_path, folder):
    file = tmp_path / "c.yaml"
    file.write_text(f"datasets: {{odd: {{title: Odd, path: '{folder}'}}}}\n")
    return Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))


@pytest.mark.parametrize("deep", [False, True])
def test_verify_says_what_is_left_out(tmp_path, odd, deep):
    (made,) = verify(["odd"], deep=deep, workspace=catalogue_of(tmp_path, odd))
    assert (made.state, made.images) == ("ok", len(EXPECTED))
    left_out = [finding.detail for finding in made.findings if finding.kind == "left out"]
    first = left_out[0]
    assert first.startswith("2 .1, by its content an image ('")
    assert first.endswith(".jpg.1'): rename it")
    assert left_out[1:] == ["2 without suffix", "'labels.txt'"]


# -- size -------------------------------------------------------------------------------------------------------------


def test_a_large_picture_says_its_size_and_how_to_go_on(tmp_path):
    save(tmp_path / "x.png", (1, 2, 3), RNG)  # 20 × 24
    with pytest.raises(TooLargeError) as error:
        decode(tmp_path / "x.png", max_pixels=479)
    assert "20 × 24 = 480 pixels" in error.value.what
    assert "--max-pixels 480" in error.value.fix
    assert decode(tmp_path / "x.png", max_pixels=480).size == (20, 24)


def test_the_limit_is_ours_alone(tmp_path, monkeypatch):
    """Between Pillow's warning and its error nothing is said; above its error the user may go on."""
    save(tmp_path / "x.png", (1, 2, 3), RNG)
    for limit in (300, 200):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert decode(tmp_path / "x.png").size == (20, 24)
        assert limit == Image.MAX_IMAGE_PIXELS
    assert check_image(f"{tmp_path}/x.png").fault is None


def test_a_picture_within_an_icon_is_looked_at_too(tmp_path):
    Image.new("RGBA", (64, 64)).save(tmp_path / "x.ico", sizes=[(64, 64)])
    content = bytearray((tmp_path / "x.ico").read_bytes())
    content[6:8] = bytes((8, 8))  # the icon claims to be small
    (tmp_path / "x.ico").write_bytes(bytes(content))
    with pytest.raises(DataError):
        decode(tmp_path / "x.ico", max_pixels=1000)


def test_extract_skips_or_takes_large_pictures(space, tmp_path):
    for name, count in (("a", 1), ("b", 3)):
        Image.fromarray(RNG.integers(0, 256, (10 * count, 10, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    options = {"images": tmp_path, "dataset": ["x"], "workspace": space, "workers": 0}
    with pytest.raises(DataError, match="10 × 30 = 300 pixels"):
        moodbench.extract("tiny", max_pixels=299, **options)
    (done,) = moodbench.extract("tiny", max_pixels=299, on_error="skip", **options)
    assert done.undecodable == ("b.png",)
    with pytest.raises(UsageError):
        moodbench.extract("tiny", max_pixels=0, **options)


def test_verify_calls_them_large_and_not_damaged(tmp_path, odd):
    space = catalogue_of(tmp_path, odd)
    (made,) = verify(["odd"], deep=True, max_pixels=300, workspace=space)
    large = [finding for finding in made.findings if finding.kind == "large"]
    assert len(large) == 4  # the others have 256 pixels
    assert "20 × 24 = 480 pixels; allow it" in large[0].detail
    assert not {"undecodable", "truncated"} & set(made.counts)
    (made,) = verify(["odd"], deep=True, max_pixels=480, workspace=space)
    assert made.ok


@pytest.mark.parametrize("head", [b"", b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x1cftypavif", b"\x89PNG\r\n\x1a\n"])
def test_a_sparse_file_is_not_read_into_memory(tmp_path, head):
    """Formats that are read whole before their size is known are the reason for a limit of bytes."""
    file = tmp_path / "x.jpg"
    file.write_bytes(head)
    os.truncate(file, 300 * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = check_image(str(file), max_pixels=2**20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert found.fault == "large"
    assert "its file has 314,572,800 bytes" in found.detail
    assert len(found.sha256) == 32
    assert MAX_PIXELS * BYTES_A_PIXEL < 2**30


# -- paths ------------------------------------------------------------------------------------------------------------


def test_links_that_lead_to_themselves(tmp_path, jpeg):
    folder = tmp_path / "x"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(jpeg)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "sub" / "up").symlink_to(folder)
    left_out: Counter[str] = Counter()
    assert list(scan_folder(folder, (), left_out)) == ["a.jpg"]
    (made,) = verify(["odd"], workspace=catalogue_of(tmp_path, folder))
    assert made.ok
    (folder / "b.jpg").symlink_to(folder / "b.jpg")
    with pytest.raises(DataError, match=r"1 image is a link to nowhere: 'b\.jpg'"):
        scan_folder(folder)
    with pytest.raises(DataError, match="image folder cannot be read"):
        folder_images(folder / "loop")
    (made,) = verify(["odd"], workspace=catalogue_of(tmp_path, folder))
    assert [finding.path for finding in made.findings if finding.kind == "missing"] == ["b.jpg"]


LONG = "x" * 300


def test_names_that_are_too_long(tmp_path, jpeg):
    (tmp_path / "a.jpg").write_bytes(jpeg)
    (tmp_path / "list.txt").write_text(f"a.jpg 0\n{LONG}.jpg 1\n")
    with pytest.raises(DataError, match="1 listed image is missing"):
        folder_images(tmp_path, image_list=tmp_path / "list.txt")
    with pytest.raises(DataError, match="the image folder cannot be read: File name too long"):
        folder_images(tmp_path / LONG)
    with pytest.raises(DataError, match="1 folder that the catalogue includes is missing"):
        folder_images(tmp_path, include=[LONG])
    file = tmp_path / "c.yaml"
    file.write_text(
        f"datasets: {{odd: {{title: Odd, path: '{tmp_path}', list: {{file: list.txt, path: list.txt}}}}}}\n"
    )
    space = Workspace(tmp_path / "data", catalogs=(file,))
    (made,) = verify(["odd"], workspace=space)
    assert made.counts == {"missing": 1}


@pytest.mark.parametrize("label", ["9223372036854775808", "-9223372036854775809", "1" * 500])
def test_labels_beyond_64_bits(tmp_path, label):
    file = tmp_path / "list.txt"
    file.write_text(f"a.jpg 0\nb.jpg {label}\n")
    with pytest.raises(DataError, match=r"line 2: the label .* does not fit into 64 bits"):
        read_list(ListSpec("list.txt", file), file)
    file.write_text("a.jpg 9223372036854775807\n")
    assert read_list(ListSpec("list.txt", file), file).images[0].readings[0] == ("a.jpg", 2**63 - 1)
