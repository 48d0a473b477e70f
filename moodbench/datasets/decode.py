"""One image file → RGB pixels, the same way that published numbers were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from moodbench.errors import DataError

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"))
"""How the name of an image file ends, in lower case; upper case counts too."""


def decode(path: Path, at_least: int | None = None) -> Image.Image:
    """Decode the first frame of an image file as RGB.

    No EXIF rotation: torchvision's loader and the MOODv2 and ViM references apply none, and published numbers depend
    on it. Transparency is dropped, not blended, for the same reason. See `to_rgb` for the modes.

    Parameters
    ----------
    path : Path
    at_least : int, optional
        A JPEG is decoded at a half, a quarter or an eighth of its size if both edges still have so many pixels: its
        blocks are then transformed to fewer pixels, which are others than those of a picture scaled down afterwards.

    Raises
    ------
    DataError
        The file is gone, empty, truncated, not an image, or too large to be decoded safely.
    """
    try:
        with Image.open(path) as image:
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            image.load()
            # of its own, this is the picture that `to_rgb` would copy
            return image if (image.format, image.mode) == ("JPEG", "RGB") else to_rgb(image)
    except Exception as error:  # Pillow's decoders raise anything (KeyError, zlib.error, …) on damaged bytes
        raise DataError(
            f"an image cannot be decoded: {_reason(path, error)}",
            file=path,
            fix="replace it with an intact copy, or leave unreadable images out with  --on-error skip",
        ) from error


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


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, DataError):
        return error.what
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, UnidentifiedImageError):
        return _what_it_is(path)
    return str(error).rstrip(".") or type(error).__name__


def _what_it_is(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    if not head:
        return "the file is empty"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "its content is a web page, not an image"
    return "its content is not a known image format"
