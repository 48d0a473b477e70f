"""The registry of layouts: how what publishers pack becomes image files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from moodbench.catalog import DatasetSpec
from moodbench.registry import Registry


class Layout(Protocol):
    """Fills a dataset's folder from its archives. Registered as a function."""

    def __call__(self, spec: DatasetSpec, files: Mapping[str, Path], target: Path, progress: bool) -> None:
        """Write the images of `spec` into the folder `target`.

        Parameters
        ----------
        spec : DatasetSpec
        files : mapping
            Name of an archive (`ArchiveSpec.file`) → where it lies, checked.
        target : Path
            An empty folder under a temporary name; it becomes the dataset's folder when this returns.
        progress : bool
            Show a progress bar on stderr if that is a terminal.

        Raises
        ------
        DataError
            An archive is not what it should be. `target` is thrown away then.
        """
        ...


LAYOUTS: Registry[Layout] = Registry("layout", package="moodbench.obtain.layouts")
