"""The tidy results tables: ``results/<benchmark>/<model>.csv`` and, beside each, its provenance as JSON.

The only module that reads and writes below ``results/``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from moodbench.atomic import replace_file
from moodbench.errors import ResultsError
from moodbench.types import ALL_GROUPS, FAMILIES, MEAN, Result

FIELDS = tuple(field.name for field in fields(Result))
"""The header of a result file."""

# Taken from the annotations (text, because of the __future__ import), so that a metric added to Result is stored too.
_COUNTS = frozenset(field.name for field in fields(Result) if field.type == "int")
_FRACTIONS = frozenset(field.name for field in fields(Result) if field.type == "float | None")

_DIGITS = 10
_ANEW = "move the file away and run 'moodbench score' again, or restore it from a copy"


def read_results(file: Path) -> list[Result]:
    """Return the rows of one result file, in the order of the file.

    Raises
    ------
    ResultsError
        The file is missing or not a result file, a value cannot be what its column holds, or a key occurs twice.
    """
    reader = csv.reader(io.StringIO(_read_text(file), newline=""), strict=True)
    rows: dict[tuple[str, str, str, str], Result] = {}
    try:
        header = next(reader, [])
        if tuple(header) != FIELDS:
            raise ResultsError(f"this is not a result file of moodbench: {_header_fault(header)}", file=file, fix=_ANEW)
        for cells in reader:
            row = _parse(cells, file, reader.line_num)
            if row.key in rows:
                raise _bad_line(file, reader.line_num, f"repeats the key {', '.join(map(repr, row.key))}")
            rows[row.key] = row
    except csv.Error as error:
        raise _bad_line(file, reader.line_num, f"is not CSV ({error})") from None
    return list(rows.values())


def read_all(results_dir: Path, benchmark: str) -> list[Result]:
    """Return the rows of every model of a benchmark, file by file in the order of their names; none is no error.

    Raises
    ------
    ResultsError
        A file cannot be read, or holds rows of another benchmark (numbers of two benchmarks must never share a table).
    """
    rows: list[Result] = []
    for file in _result_files(results_dir / benchmark):
        found = read_results(file)
        foreign = sorted({row.benchmark for row in found} - {benchmark})
        if foreign:
            raise ResultsError(
                f"the folder of the benchmark '{benchmark}' holds results of '{foreign[0]}'",
                file=file,
                fix=f"move it to {results_dir / foreign[0] / file.name}, or delete it",
            )
        rows += found
    return rows


def benchmarks_with_results(results_dir: Path) -> list[str]:
    """Return the names of the benchmarks that have a result file, sorted."""
    if not results_dir.is_dir():
        return []
    return sorted(folder.name for folder in results_dir.iterdir() if _result_files(folder))


def write_results(file: Path, rows: Sequence[Result], provenance: Mapping[str, object], *, keep: bool = True) -> None:
    """Write rows and their provenance; both files are replaced as a whole, and equal inputs give equal bytes.

    A reader never sees half a file. The provenance goes away before the numbers change and comes back after them: a
    process killed in between leaves numbers without a provenance, which `read_provenance` reports, and never numbers
    beside the provenance of others.

    A row replaces the one with its key. A group mean that is not written again goes when one of its datasets is
    replaced: it would average numbers that are no longer there.

    Rows are sorted by family, score and parameters; within these come the OOD datasets by group and name, then the
    group means by group, and last the mean over all.

    Parameters
    ----------
    file : path
        ``results/<benchmark>/<model>.csv``; the provenance goes to the same name with ``.json``.
    rows : sequence of Result
        Fractions are stored with 10 significant digits.
    provenance : mapping
        What JSON can hold. It replaces the former one, so it must hold for the kept rows too.
    keep : bool
        Keep the rows that are there and have another key; False drops them.
    """
    new = {row.key: row for row in rows}
    if len(new) < len(rows):
        raise ValueError(f"the rows for {file} repeat a key")
    merged = {row.key: row for row in _kept(file, rows)} | new if keep else new
    table = _line(FIELDS) + "".join(
        _line(_format(name, getattr(row, name)) for name in FIELDS) for row in sorted(merged.values(), key=_position)
    )
    notes = json.dumps(provenance, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    beside = provenance_file(file)
    with _writing(beside):
        beside.unlink(missing_ok=True)
    write_atomic(file, table.encode())
    write_atomic(beside, notes.encode())


def provenance_file(file: Path) -> Path:
    """Return where the provenance of a result file lies."""
    return file.with_name(file.name.removesuffix(".csv") + ".json")


def read_provenance(file: Path) -> dict[str, Any]:
    """Return the provenance of the result file `file` (the ``.csv``).

    Raises
    ------
    ResultsError
        It is missing (the run that wrote the numbers was interrupted, or somebody removed it) or not JSON.
    """
    beside = provenance_file(file)
    if not beside.exists():
        raise ResultsError(f"nothing says where the numbers in {file.name} come from", file=beside, fix=_ANEW)
    try:
        return dict(json.loads(_read_text(beside)))
    except (ValueError, TypeError) as error:
        raise ResultsError(f"the provenance is not a JSON object ({error})", file=beside, fix=_ANEW) from None


def write_atomic(file: Path, data: bytes) -> None:
    """Put `data` at `file`, whole or not at all; folders are created, a file that is there is replaced.

    Raises
    ------
    ResultsError
        The file system refuses.
    """
    with _writing(file):
        replace_file(file, data)


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"the file cannot be written ({error.strerror})"
        raise ResultsError(what, file=file, fix="check the folder and the disk") from None


def _kept(file: Path, rows: Iterable[Result]) -> list[Result]:
    datasets = [row for row in rows if row.ood != MEAN]
    stale = {(row.score, row.params, MEAN, group) for row in datasets for group in (row.group, ALL_GROUPS)}
    return [row for row in read_results(file) if row.key not in stale] if file.exists() else []


def _position(row: Result) -> tuple[object, ...]:
    mean = row.ood == MEAN
    return (FAMILIES.index(row.family), row.score, row.params, mean, row.group == ALL_GROUPS, row.group, row.ood)


def _format(name: str, value: Any) -> str:
    if name in _COUNTS:
        return str(int(value))
    if name not in _FRACTIONS:
        return str(value)
    if value is None:
        return ""
    rounded = float(f"{value:.{_DIGITS}g}")
    if not 0 <= rounded <= 1:
        raise ValueError(f"{name} must be a fraction in [0, 1] or None, got {value}")
    return repr(rounded + 0.0)  # no negative zero


def _line(cells: Iterable[str]) -> str:
    # Not csv.writer: before Python 3.13 it leaves a lone carriage return unquoted, which no reader accepts.
    quoted = ('"' + c.replace('"', '""') + '"' if any(x in c for x in ',"\r\n') else c for c in cells)
    return ",".join(quoted) + "\n"


def _parse(cells: list[str], file: Path, line: int) -> Result:
    if len(cells) != len(FIELDS):
        raise _bad_line(file, line, f"has {len(cells)} cells instead of {len(FIELDS)}")
    values: dict[str, Any] = dict(zip(FIELDS, cells, strict=True))
    for name in _COUNTS:
        if not (values[name].isascii() and values[name].isdigit()):
            raise _bad_line(file, line, f"has {name} = '{values[name]}', which should be a number of images")
        values[name] = int(values[name])
    for name in _FRACTIONS:
        try:
            values[name] = _fraction(values[name])
        except ValueError:
            wanted = "a fraction between 0 and 1"
            raise _bad_line(file, line, f"has {name} = '{values[name]}', which should be {wanted}") from None
    if values["family"] not in FAMILIES:
        raise _bad_line(file, line, f"has family = '{values['family']}', which should be one of {', '.join(FAMILIES)}")
    return Result(**values)


def _fraction(text: str) -> float | None:
    value = float(text or 0)
    if not 0 <= value <= 1:  # NaN compares false as well
        raise ValueError(text)
    return value if text else None


def _header_fault(header: list[str]) -> str:
    missing = [name for name in FIELDS if name not in header]
    unknown = [name for name in header if name not in FIELDS]
    if missing:
        return f"its header lacks {', '.join(map(repr, missing[:3]))}"
    return f"its header has the unknown column {unknown[0]!r}" if unknown else "its columns are in another order"


def _bad_line(file: Path, line: int, what: str) -> ResultsError:
    return ResultsError(f"line {line} of the results {what}", file=file, fix=_ANEW)


def _read_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ResultsError("there is no such result file", file=file, fix="run 'moodbench score' first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"the results cannot be read ({error})", file=file, fix=_ANEW) from None


def _result_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.csv") if not file.name.startswith("."))
