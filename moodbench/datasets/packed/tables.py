"""Images in the rows of tables: parquet files, as the Hugging Face hub has them, and folders of `datasets`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.datasets.packed.pages import Layout, Pages, find_pages
from moodbench.datasets.packed.storage import Handle, open_file, size_of, stamp
from moodbench.errors import DataError
from moodbench.names import is_address, leads_out
from moodbench.release import with_extra

STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
"""Files of a folder that the library `datasets` saved: one split, and several."""

ARROW = ".arrow"

_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "picture")
_LABEL_NAMES = ("label", "labels", "cls", "class", "fine_label", "target")
_KEPT = 2
"""Groups of rows that a process keeps: images are asked for nearly in order."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what.

    Attributes
    ----------
    image : str
    binary : bool
        It holds bytes; otherwise a struct of ``bytes`` and ``path``.
    label : str or None
        A column of whole numbers, or of texts.
    classes : tuple of str
        Their names, where the file says them.
    texts : bool
        The labels are the names of the classes themselves.
    """

    image: str
    binary: bool
    label: str | None
    classes: tuple[str, ...]
    texts: bool = False

    @property
    def bytes(self) -> str:
        """The path of the column of bytes."""
        return self.image if self.binary else f"{self.image}.bytes"


@dataclass(frozen=True, eq=False)
class Table:
    """N images in the rows of files; picklable.

    Attributes
    ----------
    files : tuple of str
    groups : tuple of (int, int, int)
        Groups of rows in order: file, number of the group in there, and the row of all at which it ends.
    columns : Columns
    names : tuple of str
        The paths that the file gives its images, or the numbers of the rows.
    number : (N,) int64
        Labels; -1 where there is none.
    state : str
        Of the files when they were looked at: what a process keeps of them is known by it.
    """

    files: tuple[str, ...]
    groups: tuple[tuple[int, int, int], ...]
    columns: Columns
    names: tuple[str, ...]
    number: NDArray[np.int64]
    state: str

    def __len__(self) -> int:
        return len(self.names)

    def place(self, row: int) -> str:
        """Return what a message calls an image: its file, and its name."""
        return f"{self.files[self._group(row)[0]]}/{self.names[row]}"

    def read(self, row: int) -> bytes:
        """Return the bytes of an image.

        Raises
        ------
        DataError
            The file cannot be read or is damaged, or has no bytes for the image.
        """
        try:
            data = self._read(row)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # damaged bytes lead to anything
            fix = "get an intact copy, or leave unreadable images out with  --on-error skip"
            raise _damaged(self.place(row), error, fix) from None
        if data is None:
            raise DataError("a row of the table has no bytes of an image", file=self.place(row))
        return data

    def _read(self, row: int) -> bytes | None:
        position, group, first = self._group(row)
        where = self.files[position], group, self.columns, os.getpid(), self.state
        pages = _image_pages(*where)
        if pages is not None:
            return pages.read(row - first)
        value = _image_column(*where)[row - first]
        if not self.columns.binary:
            value = value["bytes"] if value.is_valid else value
        data: bytes | None = value.as_py()
        return data

    @property
    def extent(self) -> str:
        """The names and sizes of the files: what images take in there is not known until they are read."""
        return "\0".join(f"{PurePath(file).name} {size_of(file)}" for file in self.files)

    def _group(self, row: int) -> tuple[int, int, int]:
        """Return file, group and the first row of the group that holds `row`."""
        ends = _ends(self.groups)
        position = int(np.searchsorted(ends, row, side="right"))
        return *self.groups[position][:2], int(ends[position - 1]) if position else 0


@lru_cache(maxsize=8)
def _ends(groups: tuple[tuple[int, int, int], ...]) -> NDArray[np.int64]:
    return np.array([end for _, _, end in groups], np.int64)


def split_folder(folder: Path) -> bool:
    """Say whether a folder is what the library `datasets` saved.

    Raises
    ------
    DataError
        It holds several splits, of which one is to be named.
    """
    if (folder / SPLITS).is_file():
        splits = sorted(file.parent.name for file in folder.glob(f"*/{STATE}"))
        raise DataError(
            f"the folder holds several splits: {', '.join(splits) or 'none that can be read'}",
            file=folder,
            fix="name the folder of one of them",
        )
    return (folder / STATE).is_file() and (folder / INFO).is_file()


def arrow_files(folder: Path) -> tuple[str, ...]:
    """Return the data files of a folder that the library `datasets` saved, in order."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        names = [str(one["filename"]) for one in state["_data_files"]]
        moved = bool(state.get("_indices_data_files") or state.get("_indices"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the state of the saved dataset cannot be read ({error})", file=folder / STATE) from None
    wrong = [name for name in names if leads_out(name) or "/" in name]
    if wrong or not names or moved:
        what = f"names a file '{wrong[0]}' outside" if wrong else "has rows in another order" if moved else "names none"
        raise DataError(
            f"the state of the saved dataset {what}", file=folder / STATE, fix="save it anew: flatten_indices() first"
        )
    return tuple(str(folder / name) for name in names)


def open_table(files: Sequence[str]) -> Table:
    """Read what tables say of their images; of the images themselves nothing.

    Raises
    ------
    DataError
        pyarrow is not installed, a file cannot be read or differs from the first, or which column is the image cannot
        be told.
    """
    groups: list[tuple[int, int, int]] = []
    columns: Columns | None = None
    paths: list[str | None] = []
    said: list[Sequence[Any]] = []
    for position, file in enumerate(files):
        try:
            found, sizes, rows = _look(file)
        except DataError:
            raise
        except Exception as error:  # pyarrow raises anything on damaged bytes
            raise _damaged(file, error) from None
        if columns is not None and found != columns:
            raise DataError("the file has other columns or classes than the first", file=file, fix=f"see {files[0]}")
        columns = found
        start = len(paths)
        groups += [(position, group, start + end) for group, end in enumerate(accumulate(sizes))]
        for path, some in rows:
            paths += path
            said.append(some)
    assert columns is not None  # there is a file
    columns, labels = _numbered(columns, said)
    return Table(tuple(files), tuple(groups), columns, _names(paths), labels, " ".join(map(stamp, files)))


_Said = tuple[list[str | None], Sequence[Any]]
"""Paths and labels of rows; no label where a file has none."""


def _numbered(columns: Columns, said: Sequence[Sequence[Any]]) -> tuple[Columns, NDArray[np.int64]]:
    """Return the labels as numbers, -1 where there is none; of texts, the classes are these in order, as of folders."""
    every = [one for some in said for one in some]
    if columns.texts:
        columns = replace(columns, classes=tuple(sorted({str(one) for one in every if one is not None})))
        number = {name: position for position, name in enumerate(columns.classes)}
        every = [None if one is None else number[str(one)] for one in every]
    return columns, np.array([-1 if one is None else one for one in every], np.int64)


def _look(file: str) -> tuple[Columns, list[int], list[_Said]]:
    """Return the columns of a file, how many rows its groups have, and what it says of them."""
    if file.endswith(ARROW):
        table = _arrow(file)
        columns = _columns(table.schema, file)
        return columns, [len(table)], [_said(table, columns)]
    opened = _parquet(file)
    columns = _columns(opened.schema_arrow, file)
    sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    wanted = [*([] if columns.binary else [f"{columns.image}.path"]), *([columns.label] if columns.label else [])]
    if not wanted:
        return columns, sizes, [([None] * size, [None] * size) for size in sizes]
    return columns, sizes, [_said(opened.read_row_group(group, columns=wanted), columns) for group in range(len(sizes))]


def _said(table: Any, columns: Columns) -> _Said:
    paths: list[str | None] = [None] * len(table)
    if not columns.binary:
        import pyarrow.compute

        paths = pyarrow.compute.struct_field(table[columns.image], "path").to_pylist()
    return paths, [None] * len(table) if columns.label is None else table[columns.label].to_pylist()


def _columns(schema: Any, file: str) -> Columns:
    """Tell which column is the image and which its label: by what the file says of itself, else by their names."""
    import pyarrow

    features = _features(schema)
    kinds = {name: feature.get("_type") for name, feature in features.items() if isinstance(feature, dict)}
    images = [name for name, kind in kinds.items() if kind == "Image" and name in schema.names]
    if not images:
        images = [name for name in schema.names if _holds_bytes(schema.field(name).type)]
    image = next((name for name in _IMAGE_NAMES if name in images), images[0] if len(images) == 1 else None)
    if image is None:
        some = f"several columns may hold images ({', '.join(images)})" if images else "no column holds images"
        raise DataError(
            f"{some}; there are {', '.join(schema.names) or 'no columns'}",
            file=file,
            fix="call one 'image': bytes, or a struct of 'bytes' and 'path'",
        )
    named = [name for name, kind in kinds.items() if kind == "ClassLabel" and name in schema.names]
    whole = [name for name in schema.names if pyarrow.types.is_integer(schema.field(name).type)]
    texts = [name for name in schema.names if _holds_text(schema.field(name).type)]
    label = next((name for among in (named, whole, texts) for name in _LABEL_NAMES if name in among), None)
    label = label or (named[0] if len(named) == 1 else None)
    names = features.get(label, {}).get("names", []) if label else []
    classes = tuple(map(str, names)) if isinstance(names, list) else ()
    return Columns(image, not pyarrow.types.is_struct(schema.field(image).type), label, classes, label in texts)


def _features(schema: Any) -> Mapping[str, Any]:
    """Return what the library `datasets` noted of the columns; nothing where it noted none that can be read."""
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _holds_bytes(kind: Any) -> bool:
    import pyarrow

    def binary(one: Any) -> bool:
        return bool(pyarrow.types.is_binary(one) or pyarrow.types.is_large_binary(one))

    if pyarrow.types.is_struct(kind):
        fields = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        return "bytes" in fields and binary(fields["bytes"])
    return binary(kind)


def _holds_text(kind: Any) -> bool:
    import pyarrow

    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _names(paths: Sequence[str | None]) -> tuple[str, ...]:
    """Return the paths if they name every image once, else the numbers of the rows."""
    usable = all(path and not leads_out(path) and path.isprintable() for path in paths)
    if usable and len(set(paths)) == len(paths):
        return tuple(path for path in paths if path)
    digits = max(8, len(str(len(paths))))
    return tuple(f"{row:0{digits}}" for row in range(len(paths)))


@lru_cache(maxsize=_KEPT)
def _image_column(file: str, group: int, columns: Columns, process: int, state: str) -> Any:
    image = columns.image
    try:
        if file.endswith(ARROW):
            return _arrow(file)[image]
        # without threads: a process that decodes has its core, and there are others beside it
        opened = _kept_parquet(file, process, state)
        return opened.read_row_group(group, columns=[columns.bytes], use_threads=False)[image]
    except MemoryError as error:  # damaged lengths ask for any amount
        raise ValueError(str(error)) from None


@lru_cache(maxsize=1)  # of more than one group, dictionaries would be held
def _image_pages(file: str, group: int, columns: Columns, process: int, state: str) -> Pages | None:
    """Return the images of a group page by page; None where pyarrow is to read the group."""
    layout = None if is_address(file) or file.endswith(ARROW) else _layout(file, group, columns, process, state)
    return None if layout is None else Pages(_kept_handle(file, process, state), layout)


@lru_cache(maxsize=64)
def _layout(file: str, group: int, columns: Columns, process: int, state: str) -> Layout | None:
    return find_pages(_kept_parquet(file, process, state), _kept_handle(file, process, state), group, columns.bytes)


@lru_cache(maxsize=16)
def _kept_parquet(file: str, process: int, state: str) -> Any:
    """Keep a parquet file open; one for each process, as pyarrow's threads do not survive a fork."""
    return _parquet(file)


@lru_cache(maxsize=16)
def _kept_handle(file: str, process: int, state: str) -> Handle:
    """Keep it open for pages, too: of a file that is replaced, both go on reading what they began."""
    return Handle(file)


def _parquet(file: str) -> Any:
    _pyarrow(file)
    from pyarrow.parquet import ParquetFile

    if not is_address(file):
        return ParquetFile(file)
    stream = open_file(file)
    try:
        return ParquetFile(stream)
    except BaseException:
        stream.close()
        raise


def _arrow(file: str) -> Any:
    """Map a file of the library `datasets` into memory; nothing of it is read until it is asked for."""
    pyarrow = _pyarrow(file)
    if is_address(file):
        raise DataError("an Arrow file is read from this disk alone", file=file, fix="use parquet, or copy it here")
    with pyarrow.memory_map(file) as mapped:
        table = pyarrow.ipc.open_stream(mapped).read_all()
    table.validate(full=True)  # lengths that lead out of the file would end the process; of images only these are read
    return table


def _pyarrow(file: str) -> ModuleType:
    try:
        import pyarrow.ipc
    except ImportError:
        raise DataError(
            "tables of images need pyarrow, which is not installed",
            file=file,
            fix=with_extra("parquet"),
        ) from None
    module: ModuleType = pyarrow
    return module


def _damaged(file: str, error: Exception, fix: str = "get an intact copy") -> DataError:
    why = (str(error) or type(error).__name__).split("\n", 1)[0].rstrip(".")
    return DataError(f"the table cannot be read, or is damaged ({why})", file=file, fix=fix)
