"""One image file → RGB pixels, the same way that published numbers were made."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from moodbench.errors import DataError

MAX_PIXELS = 178_956_970
"""Pixels of a picture beyond which it is not decoded unless the user says so. Where Pillow refuses, too."""

BYTES_A_PIXEL = 4
"""What a picture's file may take: some formats are read whole before their size is known."""

AROUND = 1 << 20
"""Bytes that a file may have beside its pixels."""


class TooLargeError(DataError):
    """A picture has more pixels than are allowed; decoded, it might take all memory."""


@dataclass(frozen=True)
class Encoded:
    """The bytes of an image file that lies in an archive or elsewhere, and what messages call it."""

    name: str
    data: bytes = field(repr=False)


def decode(path: Path | Encoded, at_least: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode the first frame of an image file as RGB.

    No EXIF rotation: torchvision's loader and the MOODv2 and ViM references apply none, and published numbers depend
    on it. Transparency is dropped, not blended, for the same reason. See `to_rgb` for the modes.

    Parameters
    ----------
    path : Path or Encoded
    at_least : int, optional
        A JPEG is decoded at a half, a quarter or an eighth of its size if both edges still have so many pixels: its
        blocks are then transformed to fewer pixels, which are others than those of a picture scaled down afterwards.
    max_pixels : int

    Raises
    ------
    TooLargeError
        It has more than `max_pixels` pixels.
    DataError
        The file is gone, empty, truncated, or not an image.
    """
    try:
        return read_rgb(path, at_least, max_pixels)
    except TooLargeError as error:
        raise TooLargeError(
            f"an image is larger than the limit: {error.what}",
            file=_named(path),
            fix=f"{error.fix}, or leave such images out with  --on-error skip",
        ) from None
    except Exception as error:  # Pillow's decoders raise anything (KeyError, zlib.error, …) on damaged bytes
        raise DataError(
            f"an image cannot be decoded: {_reason(path, error)}",
            file=_named(path),
            fix="replace it with an intact copy, or leave unreadable images out with  --on-error skip",
        ) from error


def _named(path: Path | Encoded) -> str | Path:
    return path if isinstance(path, Path) else path.name


def check_file_size(size: int, max_pixels: int, name: str | Path | None = None) -> None:
    """Raise `TooLargeError` if a file has more bytes than the largest picture that is allowed."""
    if size > BYTES_A_PIXEL * max_pixels + AROUND:
        what = f"its file has {size:,} bytes, more than {BYTES_A_PIXEL} for each of {max_pixels:,} pixels"
        raise _too_large(what, size // BYTES_A_PIXEL, name)


def read_rgb(path: Path | Encoded, at_least: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Do the same as `decode`, and raise whatever Pillow raises.

    Raises
    ------
    TooLargeError
    Exception
        Anything, on damaged bytes.
    """
    check_file_size(path.stat().st_size if isinstance(path, Path) else len(path.data), max_pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF, palettes and the like
        with _limit_of_pillow(None):  # which names no width and height
            opened = Image.open(path if isinstance(path, Path) else io.BytesIO(path.data))
        with opened as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise _too_large(f"{image.width} × {image.height} = {pixels:,} pixels", pixels)
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            with _limit_of_pillow(max_pixels):  # pictures within pictures (icons) are looked at only now
                image.load()
            # of its own, this is the picture that `to_rgb` would copy
            return image if (image.format, image.mode) == ("JPEG", "RGB") else to_rgb(image)


def _too_large(what: str, pixels: int, name: str | Path | None = None) -> TooLargeError:
    return TooLargeError(
        what, file=name, fix=f"allow it, if memory holds it (3 to 8 bytes a pixel):  --max-pixels {pixels}"
    )


@contextmanager
def _limit_of_pillow(pixels: int | None) -> Iterator[None]:
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an 8-bit RGB copy of a decoded picture.

    Palettes are resolved, alpha channels dropped, CMYK converted by Pillow's plain formula without colour profile (in
    a JPEG its values are taken as inverted, as Adobe writes them and as Pillow always assumes), and 16-bit grey is
    scaled to 8 bits by 255/65535 (Pillow alone would clip it at 255, which turns pictures white). Of 16-bit colour
    Pillow keeps the upper 8 bits.

    Raises
    ------
    DataError
        The pixels are floating-point numbers, for which no file says where white is.
    """
    if image.mode == "F":
        raise DataError("floating-point pixels have no defined white", fix="convert the image to 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;"):
        # Mode I (32-bit) is what Pillow makes of 16-bit PNG and PGM files in some versions.
        wide = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        # The detour gives the same colours as P to RGB, without Pillow's warning.
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def _reason(path: Path | Encoded, error: Exception) -> str:
    if isinstance(error, DataError):
        return error.what
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, UnidentifiedImageError):
        return _what_it_is(path)
    return str(error).rstrip(".") or type(error).__name__


def _what_it_is(path: Path | Encoded) -> str:
    try:
        if isinstance(path, Encoded):
            head = path.data[:64]
        else:
            with path.open("rb") as file:
                head = file.read(64)
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    if not head:
        return "the file is empty"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "its content is a web page, not an image"
    return "its content is not a known image format"
