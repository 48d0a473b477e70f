"""N images in a fixed order: files below a folder, members of archives, or arrays in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moodbench.datasets.decode import MAX_PIXELS, Encoded, check_file_size, decode


class ImageSource(Protocol):
    """N images in a fixed order. Picklable, so that worker processes can decode."""

    @property
    def ids(self) -> tuple[str, ...]:
        """N unique names: paths relative to the dataset's folder with ``/``, or the names of bundled images."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64, class index; -1 where unknown."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by index; empty when the labels are unknown or came as bare numbers."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, labels and sizes or bytes: the image-list fingerprint."""
        ...

    def __len__(self) -> int: ...

    def load(self, index: int, at_least: int | None = None) -> Image.Image:
        """Return image `index` in mode RGB; with `at_least`, smaller pictures with edges no shorter will do."""
        ...


@dataclass(frozen=True, eq=False)
class ListedImages:
    """Images that are encoded files, of one place.

    Attributes
    ----------
    root : Path
        The folder or other place, as messages call it.
    ids : tuple of str
        N paths relative to `root`, with ``/``.
    labels : (N,) int64
    sizes : (N,) int64
        File sizes in bytes; 0 where the place does not tell them.
    classes : tuple of str
    left_out : mapping
        Suffix → how many files there are no images. Nothing where a list selects.
    max_pixels : int
        Larger pictures are not decoded.
    remarks : tuple of str
        What somebody who uses the labels should know.
    """

    root: Path
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    classes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def extent(self) -> str:
        """What tells other images apart where they have no sizes of their own; else empty."""
        return ""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, labels and byte sizes."""
        digest = hashlib.sha256(b"moodbench image list 1\0" + self.extent.encode("utf-8", "surrogateescape"))
        for name, label, size in zip(self.ids, self.labels.tolist(), self.sizes.tolist(), strict=True):
            digest.update(f"{name}\0{label}\0{size}\0".encode())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class FolderImages(ListedImages):
    """Images in files below one folder."""

    def load(self, index: int, at_least: int | None = None) -> Image.Image:
        """Decode image `index` as RGB; see `moodbench.datasets.decode.decode`."""
        return decode(self.root / self.ids[index], at_least, self.max_pixels)


class Content(Protocol):
    """Bytes of images that lie packed, by row. Picklable."""

    def place(self, row: int) -> str:
        """Return what a message calls an image."""
        ...

    def read(self, row: int) -> bytes:
        """Return the bytes of an image, or raise `DataError`."""
        ...

    @property
    def extent(self) -> str:
        """What tells other content apart where images have no sizes of their own; else empty."""
        ...


@dataclass(frozen=True, eq=False)
class PackedImages(ListedImages):
    """Images in an archive, a table, or behind an address; never unpacked.

    Of an archive whose members have the paths of a folder, the fingerprint is that of the folder.

    Attributes
    ----------
    content : Content
    rows : (N,) int64
        Where in `content` each image is.
    """

    content: Content = field(kw_only=True)
    rows: NDArray[np.int64] = field(kw_only=True)

    @property
    def extent(self) -> str:
        """See `Content.extent`."""
        return self.content.extent

    def load(self, index: int, at_least: int | None = None) -> Image.Image:
        """Decode image `index` as RGB; see `moodbench.datasets.decode.decode`."""
        row = int(self.rows[index])
        check_file_size(int(self.sizes[index]), self.max_pixels, self.content.place(row))
        return decode(Encoded(self.content.place(row), self.content.read(row)), at_least, self.max_pixels)

    def read(self, index: int) -> bytes:
        """Return the bytes of image `index`, as they lie there."""
        return self.content.read(int(self.rows[index]))


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images that are in memory: the sets which come with the package.

    Attributes
    ----------
    images : tuple of N uint8 arrays, each (H, W) grey or (H, W, 3) RGB
    ids : tuple of str
    labels : (N,) int64
    classes : tuple of str
    """

    images: tuple[NDArray[np.uint8], ...] = field(repr=False)
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, labels, shapes and pixels."""
        digest = hashlib.sha256(b"moodbench image arrays 1\0")
        for name, label, pixels in zip(self.ids, self.labels.tolist(), self.images, strict=True):
            digest.update(f"{name}\0{label}\0{pixels.shape}\0".encode())
            digest.update(np.ascontiguousarray(pixels).tobytes())
        return digest.hexdigest()

    def load(self, index: int, at_least: int | None = None) -> Image.Image:
        """Return image `index` as RGB, always whole; grey values are repeated in the three channels."""
        return Image.fromarray(self.images[index]).convert("RGB")
