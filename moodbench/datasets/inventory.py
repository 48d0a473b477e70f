"""What a place has of images: names and sizes, never content. A folder here; archives and tables in `packed/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from moodbench.datasets.image_files import check_folder, class_folders, file_size, first_level_folders, scan_folder


class Inventory(Protocol):
    """The images of a place by name: paths relative to it, with ``/``."""

    @property
    def root(self) -> Path:
        """What messages call it."""
        ...

    @property
    def kind(self) -> str:
        """What it is, for the beginning of a message: ``the folder``."""
        ...

    @property
    def numbers(self) -> Mapping[str, int]:
        """Name → label, of those that the place itself labels."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of those labels by index; empty where it has none."""
        ...

    def check(self, include: Sequence[str]) -> None:
        """Raise `DataError` if it is not there, or lacks one of the first-level folders `include`."""
        ...

    def scan(self, include: Sequence[str], left_out: Counter[str] | None = None) -> dict[str, int]:
        """Return name → bytes of all images, in order; other files are counted in `left_out` by suffix."""
        ...

    def size(self, name: str) -> int | None:
        """Return the bytes of an image; None if there is none of that name."""
        ...

    def folders(self) -> tuple[str, ...]:
        """Return the first-level folders, sorted."""
        ...

    def class_folders(self) -> tuple[str, ...]:
        """Return those of them that hold an image."""
        ...


@dataclass(frozen=True)
class FolderInventory:
    """The image files below a folder of this disk."""

    root: Path

    @property
    def kind(self) -> str:
        """A folder."""
        return "the folder"

    @property
    def numbers(self) -> Mapping[str, int]:
        """None: the names of files and folders say it."""
        return {}

    @property
    def classes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def check(self, include: Sequence[str]) -> None:
        """See `check_folder`."""
        check_folder(self.root, include)

    def scan(self, include: Sequence[str], left_out: Counter[str] | None = None) -> dict[str, int]:
        """See `scan_folder`."""
        return scan_folder(self.root, include, left_out)

    def size(self, name: str) -> int | None:
        """Ask the file system, for this one alone."""
        return file_size(self.root / name)

    def folders(self) -> tuple[str, ...]:
        """See `first_level_folders`."""
        return first_level_folders(self.root)

    def class_folders(self) -> tuple[str, ...]:
        """See `moodbench.datasets.image_files.class_folders`."""
        return class_folders(self.root)
