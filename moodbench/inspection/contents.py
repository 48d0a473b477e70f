"""What a folder has of a dataset, by the names and number of its images; none is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moodbench.catalog import DatasetSpec
from moodbench.datasets.image_files import looks_filled
from moodbench.datasets.images import open_folder, open_images
from moodbench.errors import DataError
from moodbench.sizes import many


def holds_something(folder: Path) -> bool:
    """Whether there is a file or link of this name, or a folder with anything visible in it."""
    if folder.is_dir():
        return any(not entry.name.startswith(".") for entry in folder.iterdir())
    return os.path.lexists(folder)


@dataclass(frozen=True)
class Contents:
    """What a folder has of a dataset.

    Attributes
    ----------
    names : tuple of str
        Its images, relative to the folder.
    bytes : int
    lack : str or None
        What is missing, in words; None if all that the catalogue promises is there.
    """

    names: tuple[str, ...] = ()
    bytes: int = 0
    lack: str | None = None


def examine(spec: DatasetSpec, root: Path, data_dir: Path) -> Contents:
    """Look whether `root` has the images of `spec`, by their names and number; what is in them is not looked at."""
    is_folder = root.is_dir()
    if is_folder and not looks_filled(root):
        return Contents(lack="there are no images")
    try:
        if not is_folder:  # the error says how to obtain it
            open_images(replace(spec, path=root, folder=None, part_of=None, within=""), data_dir)
        images = open_folder(spec, root, data_dir)
    except DataError as error:
        return Contents(lack=error.what)
    return Contents(images.ids, int(images.sizes.sum()), _lack(spec, images.ids))


def _lack(spec: DatasetSpec, names: Sequence[str]) -> str | None:
    if spec.images is not None and len(names) != spec.images:
        return f"{many(len(names), 'image is', 'images are')} there, and there should be {spec.images}"
    if spec.labels not in ("auto", "list", "none") and not any("/" in name for name in names):
        return "the images lie in one flat folder, but their class is read from the folder they are in"
    return None
