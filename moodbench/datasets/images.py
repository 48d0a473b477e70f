"""Which images a dataset has, in which order, and how one of them becomes RGB pixels.

Order and labels are the same on every machine: they follow from the names alone. Row *i* of a feature cache is image
*i* of its `ImageSource`, and the source's fingerprint tells whether two sources list the same images.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from moodbench.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from moodbench.catalog import DatasetSpec

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"))
UNKNOWN = -1
"""The label of an image whose class is not known."""

_LABEL_AT_END = re.compile(r"^(?P<path>.*\S)\s+(?P<label>-?\d+)$", re.DOTALL)
_SHOWN = 5  # how many names a message lists before it only counts


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

    def load(self, index: int) -> Image.Image:
        """Return image `index` in mode RGB."""
        ...


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Images in files below one folder.

    Attributes
    ----------
    root : Path
    ids : tuple of str
        N paths relative to `root`, with ``/``.
    labels : (N,) int64
    sizes : (N,) int64
        File sizes in bytes.
    classes : tuple of str
    """

    root: Path
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over ids, labels and byte sizes."""
        digest = hashlib.sha256(b"moodbench image list 1\0")
        for name, label, size in zip(self.ids, self.labels.tolist(), self.sizes.tolist(), strict=True):
            digest.update(f"{name}\0{label}\0{size}\0".encode())
        return digest.hexdigest()

    def load(self, index: int) -> Image.Image:
        """Decode the first frame of image `index` as RGB.

        No EXIF rotation: torchvision's loader and the MOODv2 and ViM references apply none, and published numbers
        depend on it. Transparency is dropped, not blended, for the same reason. See `to_rgb` for the modes.

        Raises
        ------
        DataError
            The file is gone, empty, truncated, not an image, or too large to be decoded safely.
        """
        path = self.root / self.ids[index]
        try:
            with Image.open(path) as image:
                image.load()
                return to_rgb(image)
        except Exception as error:  # Pillow's decoders raise anything (KeyError, zlib.error, …) on damaged bytes
            raise DataError(
                f"an image cannot be decoded: {_reason(path, error)}",
                file=path,
                fix="replace it with an intact copy, or leave unreadable images out with  --on-error skip",
            ) from error


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

    def load(self, index: int) -> Image.Image:
        """Return image `index` as RGB; grey values are repeated in the three channels."""
        return Image.fromarray(self.images[index]).convert("RGB")


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an 8-bit RGB copy of a decoded picture.

    Palettes are resolved, alpha channels dropped, CMYK converted by Pillow's plain formula without colour profile, and
    16-bit grey is scaled to 8 bits by 255/65535 (Pillow alone would clip it at 255, which turns pictures white).

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


def folder_images(root: Path, *, image_list: Path | None = None, labels: str = "folder") -> FolderImages:
    """List the images of a folder, or those that a list file selects.

    Without `image_list`: every image file at any depth, in the order of its relative path (compared as a string of
    code points, which is also the order of its UTF-8 bytes). Hidden files and folders are left out; folders that are
    symbolic links are followed unless they lead back to one of their own parents.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    image_list : Path, optional
        A file with one path per line, relative to `root`; it selects and orders. An integer after the last blank is
        the label, unless the whole line names an existing file. Blank lines and CRLF line ends are tolerated.
    labels : {"folder", "none"}
        ``folder``: the class is the first-level sub-folder, indexed in sorted order of the names of all visible
        first-level sub-folders, so that leaving images out does not renumber the classes. An image directly in
        `root` has label -1, and so has every line without a number in a list where another line has one.
        ``none``: all labels are -1.

    Raises
    ------
    DataError
        `root` is missing or not a folder, holds no image, a listed file is missing, a name is not UTF-8.
    """
    root = Path(root)
    _check_folder(root)
    explicit: dict[str, int] = {}
    if image_list is None:
        found = dict(_scan(root))
        if not found:
            raise DataError(
                "the folder holds no images", file=root, fix=f"put images there (any of {' '.join(sorted(SUFFIXES))})"
            )
        found = dict(sorted(found.items()))
    else:
        found, explicit = _read_list(root, Path(image_list))
    ids = tuple(found)
    sizes = np.fromiter(found.values(), dtype=np.int64, count=len(ids))
    if labels == "none":
        return FolderImages(root, ids, _labels([UNKNOWN] * len(ids)), sizes)
    if explicit:
        return FolderImages(root, ids, _labels(explicit.get(name, UNKNOWN) for name in ids), sizes)
    if not any("/" in name for name in ids):
        return FolderImages(root, ids, _labels([UNKNOWN] * len(ids)), sizes)
    classes = _class_folders(root)
    index = {name: i for i, name in enumerate(classes)}
    own = (index.get(name.split("/", 1)[0], UNKNOWN) if "/" in name else UNKNOWN for name in ids)
    return FolderImages(root, ids, _labels(own), sizes, classes)


def bundled_images(key: str) -> ArrayImages:
    """Return the bundled set `key`; an unknown key is an `UnknownNameError`."""
    from moodbench.datasets.digits import BUNDLED

    if key not in BUNDLED:
        raise UnknownNameError("bundled dataset", key, BUNDLED)
    made = BUNDLED[key]()
    return ArrayImages(tuple(made.images), tuple(made.ids), np.asarray(made.labels, dtype=np.int64))


def dataset_folder(spec: DatasetSpec, data_dir: Path) -> Path | None:
    """Return where the images of a dataset are expected; None if it is bundled or has no images."""
    if spec.path is not None:
        return spec.path
    return None if spec.folder is None else Path(data_dir) / spec.folder


def is_on_disk(spec: DatasetSpec, data_dir: Path) -> bool:
    """Say whether a dataset's images seem to be there. Cheap: looks at the folder, not at the images."""
    if spec.bundled is not None:
        return True
    folder = dataset_folder(spec, data_dir)
    if folder is None:
        return False
    try:
        with os.scandir(folder) as entries:
            return any(not entry.name.startswith(".") for entry in entries)
    except OSError:
        return False


def open_images(spec: DatasetSpec, data_dir: Path) -> ImageSource:
    """Return the images of a dataset of the catalogue.

    Raises
    ------
    DataError
        The dataset has no images of its own, they are not on this disk, or the folder or list cannot be used.
    """
    if spec.bundled is not None:
        return bundled_images(spec.bundled)
    folder = dataset_folder(spec, data_dir)
    if folder is None:
        raise DataError(
            f"the dataset '{spec.name}' exists as imported features only",
            fix=f"import features with  moodbench import --dataset {spec.name} …, or give the entry a 'path'",
        )
    if not folder.exists():
        raise DataError(
            f"the images of '{spec.name}' are not on this disk; they are expected in this folder",
            file=folder,
            fix=_how_to_obtain(spec),
        )
    return folder_images(
        folder, image_list=None if spec.image_list is None else spec.image_list.path, labels=spec.labels
    )


def _how_to_obtain(spec: DatasetSpec) -> str:
    lines = [" ".join(step.split()) for step in spec.steps]
    if spec.homepage is not None:
        lines.append(f"homepage: {spec.homepage}")
    if spec.path is None:
        lines.append("or name the folder that holds the datasets with --data-dir")
    return "\n".join(lines) or "put the images there, or correct the path in the catalogue"


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise DataError("the image folder does not exist", file=root, fix="check the path, or obtain the dataset first")
    if not root.is_dir():
        raise DataError(
            "a dataset is a folder of images, but this is a file", file=root, fix="name the folder that holds it"
        )


def _scan(root: Path) -> Iterator[tuple[str, int]]:
    """Yield (relative path, byte size) of every visible image file, in the order of the file system."""
    broken: list[str] = []
    top = root.stat()
    pending = [("", frozenset({(top.st_dev, top.st_ino)}))]
    while pending:
        prefix, parents = pending.pop()
        for entry in _entries(root, prefix):
            name = _utf8(root, prefix + entry.name)
            if entry.is_dir():
                status = entry.stat()
                identity = (status.st_dev, status.st_ino)
                if identity not in parents:  # a link to one's own parent would never end
                    pending.append((name + "/", parents | {identity}))
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:  # noqa: PTH122 (faster for a million names)
                if entry.is_file():
                    yield name, entry.stat().st_size
                elif entry.is_symlink():
                    broken.append(name)
    if broken:
        raise DataError(
            _counted(sorted(broken), "image is a link", "images are links", "to nowhere"),
            file=root,
            fix="restore what the links point to, or remove them",
        )


def _entries(root: Path, prefix: str) -> list[os.DirEntry[str]]:
    folder = root / prefix
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"a folder cannot be read: {error.strerror}", file=folder) from None


def _class_folders(root: Path) -> tuple[str, ...]:
    return tuple(sorted(_utf8(root, entry.name) for entry in _entries(root, "") if entry.is_dir()))


def _utf8(root: Path, name: str) -> str:
    """Return `name`; ids are stored as UTF-8, so a name that is not is refused here and not after an hour of work."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "surrogateescape")
        raise DataError(f"the file name {shown!r} is not valid UTF-8", file=root, fix="rename the file") from None
    return name


def _read_list(root: Path, image_list: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Return the byte size of each listed image, in order, and the label of those that have one."""
    try:
        lines = image_list.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the image list cannot be read: {error}", file=image_list) from None
    sizes: dict[str, int] = {}
    labels: dict[str, int] = {}
    missing: list[str] = []
    for number, line in enumerate((line.removesuffix("\r") for line in lines), start=1):
        if not line.strip():
            continue
        path, label, size = _parse_line(root, line)
        if path.startswith("/") or ".." in path.split("/"):
            raise DataError(f"line {number} leads out of the dataset's folder: '{path}'", file=image_list)
        if path in sizes:
            raise DataError(f"line {number} repeats '{path}'", file=image_list, fix="list each image once")
        if size is None:
            missing.append(path)
        sizes[path] = size or 0
        if label is not None:
            labels[path] = label
    if missing:
        raise DataError(
            _counted(missing, "listed image is", "listed images are", "missing"),
            file=root,
            fix=f"complete the dataset, or correct the list {image_list}",
        )
    if not sizes:
        raise DataError("the image list names no images", file=image_list)
    return sizes, labels


def _parse_line(root: Path, line: str) -> tuple[str, int | None, int | None]:
    """Return (path, label, byte size) of one line; the size is None when there is no such file."""
    candidates: list[tuple[str, int | None]] = [(line, None)]
    if line.strip() != line:
        candidates.append((line.strip(), None))
    if (match := _LABEL_AT_END.match(line.strip())) is not None:
        candidates.append((match["path"], int(match["label"])))
    for path, label in candidates:
        size = _file_size(root / path)
        if size is not None:
            return path.removeprefix("./"), label, size
    return *candidates[-1], None


def _file_size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):
        return None


def _labels(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)


def _counted(names: list[str], one: str, many: str, rest: str) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many} {rest}: {shown}{more}"


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, DataError):
        return error.what
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, UnidentifiedImageError):
        return "the file is empty" if _file_size(path) == 0 else "its content is not a known image format"
    return str(error).rstrip(".") or type(error).__name__
