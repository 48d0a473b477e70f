"""Odd pictures become RGB, damaged ones an error that names the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodbench.datasets.images import folder_images
from moodbench.errors import DataError


def save(path: Path, colour: int | tuple[int, ...] = (10, 20, 30), mode: str = "RGB", size: tuple[int, int] = (4, 3)):
    Image.new(mode, size, colour).save(path)
    return path


def load_one(path: Path) -> np.ndarray:
    source = folder_images(path.parent)
    image = source.load(source.ids.index(path.name))
    assert image.mode == "RGB"
    return np.asarray(image)


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG file by hand, as Pillow writes none with 16-bit colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("RGB", (10, 20, 30), "png", (10, 20, 30)),
        ("L", 77, "png", (77, 77, 77)),
        ("1", 1, "png", (255, 255, 255)),
        ("LA", (77, 0), "png", (77, 77, 77)),  # transparent, and still not blended with anything
        ("RGBA", (10, 20, 30, 0), "png", (10, 20, 30)),
        ("CMYK", (0, 255, 255, 0), "tif", (255, 0, 0)),
    ],
)
def test_modes(tmp_path, mode, colour, suffix, expected):
    pixels = load_one(save(tmp_path / f"x.{suffix}", colour, mode))
    assert pixels.shape == (3, 4, 3)
    assert pixels[0, 0].tolist() == list(expected)


def test_upper_case_suffix(tmp_path):
    assert load_one(save(tmp_path / "x.PNG"))[0, 0].tolist() == [10, 20, 30]


def adobe_marker(content: bytes) -> tuple[int, int]:
    """Where the Adobe segment of a JPEG begins and ends; its last byte says how the colours are coded."""
    start = content.index(b"Adobe") - 4
    return start, start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")


@pytest.mark.parametrize("kind", ["adobe", "no marker", "YCCK"])
def test_cmyk_jpeg(tmp_path, kind):
    # Yellow and magenta are at the middle, which as YCCK means no colour: grey of the brightness that cyan gives.
    path = save(tmp_path / "x.jpg", (90, 127, 127, 51), "CMYK", (16, 16))
    content = bytearray(path.read_bytes())
    start, end = adobe_marker(content)
    if kind == "no marker":
        del content[start:end]
    elif kind == "YCCK":
        content[end - 1] = 2
    path.write_bytes(content)
    ink = np.array([90, 90, 90] if kind == "YCCK" else [255 - 90, 255 - 127, 255 - 127])
    expected = ink * (255 - 51) / 255
    assert np.abs(load_one(path).astype(int) - expected).max() <= 2


def test_palette_with_transparent_entries(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "x.png", transparency=b"\x00\x80")
    assert load_one(tmp_path / "x.png")[0].tolist() == [[10, 20, 30], [200, 100, 50]]


def test_palette_without_transparency(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "x.png")
    assert load_one(tmp_path / "x.png")[0].tolist() == [[10, 20, 30], [200, 100, 50]]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    values = np.array([[0, 257, 25700, 65535]], dtype=np.uint16)
    if suffix == "pgm":
        (tmp_path / "x.pgm").write_bytes(b"P5 4 1 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / f"x.{suffix}")
    assert load_one(tmp_path / f"x.{suffix}")[0, :, 0].tolist() == [0, 1, 100, 255]


@pytest.mark.parametrize(
    ("colour_type", "values", "expected"),
    [
        (2, (0x1234, 0x80FF, 0xFF00), (0x12, 0x80, 0xFF)),  # RGB
        (4, (0x1234, 0x0000), (0x12, 0x12, 0x12)),  # grey and alpha
        (6, (0x1234, 0x80FF, 0xFF00, 0x0001), (0x12, 0x80, 0xFF)),  # RGB and alpha
    ],
)
def test_16_bit_colour_keeps_the_upper_bits(tmp_path, colour_type, values, expected):
    row = b"\0" + np.array(values * 3, dtype=">u2").tobytes()
    (tmp_path / "x.png").write_bytes(png(3, 2, 16, colour_type, row * 2))
    pixels = load_one(tmp_path / "x.png")
    assert pixels.shape == (2, 3, 3)
    assert (pixels == expected).all()


def test_floating_point_pixels_are_refused(tmp_path):
    Image.new("F", (2, 2), 0.5).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="no defined white") as caught:
        folder_images(tmp_path).load(0)
    assert caught.value.file == tmp_path / "x.tif"


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (5, 5), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert load_one(tmp_path / "x.gif")[0, 0].tolist() == [255, 0, 0]


def test_the_first_frame_of_an_animated_png_and_the_first_page_of_a_tiff_are_taken(tmp_path):
    frames = [Image.new("RGB", (5, 5), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    for name in ("x.png", "y.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert load_one(tmp_path / name)[0, 0].tolist() == [255, 0, 0]


def test_names_with_blanks_and_newlines_are_decoded(tmp_path):
    for name in (" a b .png", "line\nbreak.png"):
        assert load_one(save(tmp_path / name))[0, 0].tolist() == [10, 20, 30]


def test_exif_rotation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "x.jpg", exif=exif)
    assert load_one(tmp_path / "x.jpg").shape == (4, 8, 3)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("truncated", "truncated"),
        ("zero", "the file is empty"),
        ("html", "its content is a web page, not an image"),
        ("text", "not a known image format"),
        ("bomb", "60000 × 60000 = 3,600,000,000 pixels"),
        ("damaged", ""),
    ],
)
def test_undecodable_images_name_the_file(tmp_path, case, reason):
    path = tmp_path / "x.jpg"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(path)
    whole = path.read_bytes()
    noise.save(tmp_path / "ok.png")
    flawed = bytearray((tmp_path / "ok.png").read_bytes())
    flawed[60:80] = b"\0" * 20
    content = {
        "truncated": whole[: len(whole) // 2],
        "zero": b"",
        "html": b"\xef\xbb\xbf\n<!DOCTYPE html><html>503 Service Unavailable</html>",
        "text": b"version https://git-lfs.github.com/spec/v1",
        "bomb": png(60_000, 60_000, 8, 0, b""),
        "damaged": bytes(flawed),
    }[case]
    path.write_bytes(content)
    source = folder_images(tmp_path)
    with pytest.raises(DataError) as caught:
        source.load(source.ids.index("x.jpg"))
    assert caught.value.file == path
    assert reason in caught.value.what


def test_an_image_removed_after_listing(tmp_path):
    path = save(tmp_path / "x.png")
    source = folder_images(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="does not exist"):
        source.load(0)
