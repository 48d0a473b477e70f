"""The images that somebody asks about: files, folders, a list of paths, or pictures in memory."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moodbench.datasets.decode import MAX_PIXELS, decode, to_rgb
from moodbench.datasets.suffixes import image_suffixes, in_words, is_image
from moodbench.datasets.walking import walk
from moodbench.errors import DataError, UsageError
from moodbench.names import printable
from moodbench.types import Report

Given = str | Path | Image.Image
"""A path, or a decoded picture of Pillow's."""

_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF87a", b"GIF89a")
"""Of pictures that may have no zero byte near their beginning."""

_MARK = b"\xef\xbb\xbf"
"""Which some editors put before a text."""


@dataclass(frozen=True, eq=False)
class GivenImages:
    """Images in the order in which they were named; an `ImageSource` without labels.

    Attributes
    ----------
    names : tuple of str
        As they are shown: the path, or ``#3`` of the third picture in memory.
    items : tuple of Path or Image
    max_pixels : int
    """

    names: tuple[str, ...]
    items: tuple[Path | Image.Image, ...]
    max_pixels: int = MAX_PIXELS

    def __len__(self) -> int:
        return len(self.items)

    @property
    def ids(self) -> tuple[str, ...]:
        """The names; a path that is named twice is there twice."""
        return self.names

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64: all unknown."""
        return np.full(len(self.items), -1)

    @property
    def classes(self) -> tuple[str, ...]:
        """None are known."""
        return ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the names."""
        return hashlib.sha256("\0".join(self.names).encode("utf-8", "surrogateescape")).hexdigest()

    def load(self, index: int, at_least: int | None = None) -> Image.Image:
        """Return image `index` as RGB; see `moodbench.datasets.decode.decode`."""
        item = self.items[index]
        if not isinstance(item, Path):
            return to_rgb(item)
        if item.exists() and not item.is_file():  # a pipe would be waited for
            what = "an image cannot be decoded: it is " + ("a folder" if item.is_dir() else "not a regular file")
            raise DataError(what, file=item)
        return decode(item, at_least, self.max_pixels)


def given_images(items: Iterable[Given], max_pixels: int | None = None) -> GivenImages:
    """Return images that are files or in memory.

    Raises
    ------
    UsageError
        One is neither.
    """
    names: list[str] = []
    found: list[Path | Image.Image] = []
    for number, item in enumerate(items, 1):
        if isinstance(item, Image.Image):
            found.append(item)
            names.append(f"#{number}")
        elif isinstance(item, str | Path):
            found.append(Path(item))
            names.append(str(item))
        else:
            raise UsageError(f"an image is a path or a picture of Pillow's, not {type(item).__name__}")
    return GivenImages(tuple(names), tuple(found), max_pixels or MAX_PIXELS)


def images_below(folder: Path, report: Report = lambda line: None) -> list[Path]:
    """Return the image files in a folder and below it, in the order of their names, whatever these are.

    A link to nowhere is among them: that it cannot be read is said of it later. Folders below that cannot be read are
    told to `report`, and left out.

    Raises
    ------
    DataError
        There is none, or the folder cannot be read.
    """

    def unreadable(path: str, error: OSError) -> None:
        if path == ".":
            raise DataError(f"the folder cannot be read: {error.strerror}", file=printable(folder)) from None
        report(f"{printable(folder / path)}: the folder cannot be read: {error.strerror}")

    left_out: Counter[str] = Counter()
    names = sorted(
        (name for name, entry in walk(folder, (), unreadable) if is_image(entry.path, left_out)), key=os.fsencode
    )
    if not names:
        other = f", but other files: {in_words(left_out)}" if left_out else ""
        fix = f"put images there (any of {' '.join(sorted(image_suffixes()))})"
        raise DataError(f"the folder holds no images{other}", file=printable(folder), fix=fix)
    return [folder / name for name in names]


def listed_images(data: bytes) -> list[Path]:
    """Return the paths in a text, one a line; blank lines do not count.

    Raises
    ------
    UsageError
        It is no text, or names nothing.
    """
    if b"\0" in data or data.startswith(_BEGINNINGS):
        raise UsageError(
            "standard input should list paths, one a line, and this is no text",
            fix="write the image to a file, and name that",
        )
    lines = data.removeprefix(_MARK).split(b"\n")  # nothing else ends a line: a name may hold it
    names = [line.removesuffix(b"\r").decode("utf-8", "surrogateescape") for line in lines]
    paths = [Path(name) for name in names if name.strip()]
    if not paths:
        raise UsageError("standard input lists no image", fix="find FOLDER -name '*.png' | moodbench detect - …")
    return paths
