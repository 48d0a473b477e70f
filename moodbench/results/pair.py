"""A result file and its provenance: two files that change at one moment.

The JSON file holds the SHA-256 of the CSV. Both change at the moment when the JSON file is replaced:

1. the new CSV is written whole as ``.<model>.csv.new``,
2. the new JSON file, which names its digest, takes the place of the old one: from here on the new pair counts,
3. ``.<model>.csv.new`` takes the place of the CSV.

Each step is on the disk before the next begins. A reader looks for the CSV that the JSON file names in both places. A
process killed before step 2, or a full disk, leaves the old pair; one killed after it leaves the new one, and the next
writer does step 3. Nothing is ever taken away before its successor is there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from moodbench.atomic import replace_file, sync_folder
from moodbench.errors import ResultsError
from moodbench.results.notes import Notes, parse_notes, sha256
from moodbench.results.table import ANEW

MOST_BYTES = 1 << 28
"""A thousand scores on a thousand datasets take less."""


@dataclass(frozen=True)
class Pair:
    """The content of both files; `table` is None where the CSV is gone and the JSON file is alone."""

    table: bytes | None
    notes: Notes


def provenance_file(file: Path) -> Path:
    """Return where the provenance of a result file (the ``.csv``) lies."""
    return file.with_name(file.name.removesuffix(".csv") + ".json")


def staged_file(file: Path) -> Path:
    """Return where the next CSV waits for its JSON file."""
    return file.with_name(f".{file.name}.new")


def read_pair(file: Path) -> Pair | None:
    """Return both files as they belong together, None where there are none; a writer may be at work meanwhile.

    Raises
    ------
    ResultsError
        One of them cannot be read or was changed, or the CSV has no provenance.
    """
    before: object = None
    while True:
        notes, table, staged = (_read(one) for one in (provenance_file(file), file, staged_file(file)))
        if notes is None and table is None:
            return None
        if notes is not None:
            said = parse_notes(notes, provenance_file(file))
            if said.rows is None and table is not None:
                return Pair(table, said)
            for one in (table, staged):
                if one is not None and sha256(one) == said.rows:
                    return Pair(one, said)
        # a writer may have replaced one file between the looks at both: only what stays so is a fault
        if before == (notes, table, staged):
            break
        before = (notes, table, staged)
    if notes is None:
        raise ResultsError(
            f"nothing says where the numbers in {file.name} come from", file=provenance_file(file), fix=ANEW
        )
    if table is None:
        return Pair(None, said)
    beside = provenance_file(file).name
    raise ResultsError(
        f"the results were changed after they were written: they do not match the SHA-256 in {beside}",
        file=file,
        fix=ANEW,
    )


def write_pair(file: Path, table: bytes, notes: bytes) -> None:
    """Put both files in place of those that are there, at one moment. Only for who holds the lock.

    Raises
    ------
    OSError
        The file system refuses. Before the moment the old pair stays, after it the new one counts.
    """
    staged = staged_file(file)
    replace_file(staged, table)
    replace_file(provenance_file(file), notes)
    staged.replace(file)
    sync_folder(file.parent)


def settle(file: Path, pair: Pair | None) -> None:
    """Do the last step of a writer that was killed before it. Only for who holds the lock, with what `read_pair` gave.

    Raises
    ------
    OSError
        The file system refuses.
    """
    staged = _read(staged_file(file))
    if staged is None:
        return
    if pair is not None and sha256(staged) == pair.notes.rows:
        staged_file(file).replace(file)
        sync_folder(file.parent)
    else:
        staged_file(file).unlink()


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise ResultsError("the file is far too large for results", file=file, fix=ANEW)
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"the results cannot be read ({error.strerror})", file=file, fix=ANEW) from None
