"""What layouts have in common: finding their archives, and writing arrays as images."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from moodbench.catalog import ArchiveSpec, DatasetSpec
from moodbench.errors import CatalogError, DataError
from moodbench.obtain.unpack import Budget, Folder
from moodbench.obtain.unpack.kinds import AGAIN
from moodbench.progress import bar

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Source:
    """An archive of a dataset: its entry in the catalogue, and the file."""

    entry: ArchiveSpec
    file: Path

    def folder(self, target: Path) -> Folder:
        """Return the folder that it goes to (`into`), with its limits."""
        return Folder(target / self.entry.into, Budget(self.file, self.entry.max_files, self.entry.max_bytes))

    def broken(self, what: str) -> DataError:
        """Return the error that its content is not what it should be."""
        return DataError(what, file=self.file, fix=AGAIN)


def sources(spec: DatasetSpec, files: Mapping[str, Path]) -> dict[str, Source]:
    """Return the archives of a dataset by their file names in the catalogue."""
    return {entry.file: Source(entry, files[entry.file]) for entry in spec.archives}


def known_sources(
    spec: DatasetSpec, files: Mapping[str, Path], known: Collection[str], *, all_of: bool = False
) -> dict[str, Source]:
    """Return the archives of a dataset whose layout knows them by name.

    Parameters
    ----------
    spec, files
        See `Layout`.
    known : collection of str
        The names that the layout knows; at least one must be there.
    all_of : bool
        All of them must be there.

    Raises
    ------
    CatalogError
        One is missing or unknown, or wants a part (`take`), which only the layout ``archive`` can give.
    """
    found = sources(spec, files)
    missing = [name for name in known if name not in found]
    if set(found) - set(known) or not found or (all_of and missing):
        raise CatalogError(
            f"the dataset '{spec.name}' has the layout '{spec.layout}', which needs "
            f"{'all' if all_of else 'some'} of the archives {_quoted(known)}; it has {_quoted(found) or 'none'}"
        )
    taken = [name for name, part in found.items() if part.entry.take]
    if taken:
        raise CatalogError(f"the dataset '{spec.name}' has 'take', which its layout '{spec.layout}' cannot do")
    return found


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def write_pngs(folder: Folder, images: Iterable[tuple[str, Array]], total: int, progress: bool) -> None:
    """Write arrays as PNG files, which decode to exactly these pixels.

    Parameters
    ----------
    folder : Folder
    images : iterable of (str, ndarray)
        Name, and array of shape (H, W, 3) or (H, W), uint8.
    total : int
        How many there are.
    progress : bool
        Show a bar on stderr if that is a terminal.
    """
    desc = f"writing {folder.root.name}"
    with bar(desc, total, shown=progress) as written:
        for name, array in images:
            folder.budget.add_file()
            folder.write(name, [_png(array)])
            written.update()


def _png(array: Array) -> bytes:
    stream = io.BytesIO()
    # no faster at another level: images of this size are all overhead
    Image.fromarray(np.ascontiguousarray(array)).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
