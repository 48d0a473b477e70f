"""Images small enough for a page, as ``data:`` addresses; equal images give equal bytes."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

EDGE = 144
"""Pixels of the longer side at most: a thumbnail is shown half as large, for screens with fine pixels."""

TINY = 64
"""Pixels of the longer side up to which an image is kept as it is, and enlarged without blur."""


@dataclass(frozen=True)
class Thumbnail:
    """An image as a ``data:`` address, its size, and whether it is so small that its pixels are meant to be seen."""

    address: str
    width: int
    height: int
    tiny: bool


def thumbnail(image: Image.Image) -> Thumbnail:
    """Return an RGB image no larger than `EDGE`: PNG where it is tiny, else JPEG."""
    tiny = max(image.size) <= TINY
    out = io.BytesIO()
    if tiny:
        image.save(out, "PNG", optimize=True)
        kind = "png"
    else:
        image = image.copy()
        image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
        image.save(out, "JPEG", quality=80, optimize=True)
        kind = "jpeg"
    words = base64.b64encode(out.getvalue()).decode("ascii")
    return Thumbnail(f"data:image/{kind};base64,{words}", *image.size, tiny)
