"""Which files are images: by their names, and where a name has no suffix, by their content."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from functools import cache

from PIL import Image, features

COMMON = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"))
"""Suffixes that every Pillow decodes."""

_NOT_DECODED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow recognises, and leaves to other programs or to nobody."""

_OPTIONAL = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
"""Formats that Pillow may have been built without."""

_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")

_JUNK = frozenset({"thumbs.db", "desktop.ini"})
"""Files of a system, which nobody takes for a part of the data."""

NO_SUFFIX = "without suffix"

_SHOWN = 6


@cache
def image_formats() -> frozenset[str]:
    """Return the formats that the Pillow here decodes, as it calls them."""
    Image.preinit()  # first, so that the usual formats stay the first to be tried
    Image.init()
    lacking = {name for name, feature in _OPTIONAL.items() if name in Image.OPEN and not features.check(feature)}
    return frozenset(Image.OPEN) - _NOT_DECODED - lacking


@cache
def image_suffixes() -> frozenset[str]:
    """Return how the names of files in those formats end, in lower case; upper case counts too."""
    formats = image_formats()
    return COMMON | {suffix for suffix, name in Image.registered_extensions().items() if name in formats}


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case, with its dot; empty where it has none."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 (faster for a million names)
    return "" if suffix == "." else suffix


def is_image(path: str, left_out: Counter[str] | None = None) -> bool:
    """Say whether a file is an image; one that is not is counted in `left_out` by its suffix."""
    name = path.rsplit("/", 1)[-1]
    suffix = suffix_of(name)
    # the common ones first: to ask Pillow for all takes a moment
    if suffix in COMMON or (suffix in image_suffixes() if suffix else looks_like_an_image(path)):
        return True
    if left_out is not None and name.lower() not in _JUNK:
        left_out[suffix or NO_SUFFIX] += 1
    return False


def looks_like_an_image(path: str) -> bool:
    """Say whether a file begins as an image does; one that cannot be read does not."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(16)
        if head.startswith(_BEGINNINGS):
            return True
        if not head.strip(b"\0"):
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(path, formats=sorted(image_formats())).close()
    except Image.DecompressionBombError:
        return True  # which is said when it is decoded
    except Exception:  # Pillow's decoders raise anything on bytes of other kinds
        return False
    return True


def in_words(left_out: Mapping[str, int]) -> str:
    """Return counts by suffix: ``3 .txt, 1 without suffix``, the most frequent first."""
    ranked = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} {suffix}" for suffix, count in ranked[:_SHOWN]]
    rest = ranked[_SHOWN:]
    if rest:
        shown.append(f"{sum(count for _, count in rest)} of {len(rest)} other suffixes")
    return ", ".join(shown)
