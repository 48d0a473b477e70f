"""The lines of a list → images of a folder, or of whatever they lie in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from moodbench.datasets.image_files import counted
from moodbench.datasets.inventory import FolderInventory, Inventory
from moodbench.datasets.lists import ImageList, ListEntry
from moodbench.errors import DataError


def match_list(
    place: Inventory, listed: ImageList, include: Sequence[str] = ()
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the byte size of each listed image, in the list's order, and the label of those that have one.

    Parameters
    ----------
    place : Inventory
        The dataset's folder, or whatever it lies in.
    listed : ImageList
    include : sequence of str
        Where an image may lie that the list gives by its bare name. Empty: anywhere.

    Raises
    ------
    DataError
        An image is missing, named twice, or lies in several folders under the name that the list gives.
    """
    sizes: dict[str, int] = {}
    labels: dict[str, int] = {}
    missing: list[str] = []
    found = _by_name(place, listed, include) if listed.by_name else _by_path(place, listed)
    for image, (path, label, size) in zip(listed.images, found, strict=True):
        if path in sizes:
            raise DataError(f"line {image.line} repeats '{path}'", file=listed.file, fix="list each image once")
        if size is None:
            missing.append(path)
        sizes[path] = size or 0
        if label is not None:
            labels[path] = label
    if missing:
        raise DataError(
            counted(missing, "listed image is", "listed images are", "missing"),
            file=place.root,
            fix=f"complete the dataset (moodbench verify says what is missing), or correct the list {listed.file}",
        )
    return sizes, labels


def promised(root: Path | None, listed: ImageList, include: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the path of each listed image; its bare name if the list has no more and it is not below `root`."""
    if listed.by_name and root is not None and root.is_dir():
        present = [name for name in include if os.path.isdir(root / name)]  # noqa: PTH112 (of any name)
        if present or not include:
            return tuple(path for path, _, _ in _by_name(FolderInventory(root), listed, present))
    return tuple(image.path for image in listed.images)


_Found = tuple[str, int | None, int | None]
"""Path, label and byte size of an image; the size is None if there is no such file."""


def _by_path(place: Inventory, listed: ImageList) -> Iterator[_Found]:
    for image in listed.images:
        sized = ((path, label, place.size(path)) for path, label in image.readings)
        yield next((found for found in sized if found[2] is not None), (*image.readings[0], None))


def _by_name(place: Inventory, listed: ImageList, include: Sequence[str]) -> Iterator[_Found]:
    sizes = place.scan(include)
    places: dict[str, list[str]] = {name: [] for image in listed.images for name, _ in image.readings}
    for path in sizes:
        if (paths := places.get(path.rsplit("/", 1)[-1])) is not None:
            paths.append(path)
    for image in listed.images:
        name, label = _reading(image, places)
        paths = places[name]
        if len(paths) > 1:
            raise DataError(
                counted(paths, "file has", "files have", f"the name that line {image.line} gives"),
                file=listed.file,
                fix="the catalogue says 'match: name', which needs names that occur once",
            )
        yield (paths[0], label, sizes[paths[0]]) if paths else (name, label, None)


def _reading(image: ListEntry, places: Mapping[str, list[str]]) -> tuple[str, int | None]:
    return next((reading for reading in image.readings if places[reading[0]]), image.readings[0])
