"""Result rows ↔ the text of a CSV file: strict both ways, and equal rows give equal text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from moodbench.errors import ResultsError
from moodbench.results.legacy import LATER, brought_up
from moodbench.sheets import exact_line
from moodbench.sizes import many
from moodbench.types import ALL_GROUPS, FAMILIES, MEAN, Result

FIELDS = tuple(field.name for field in fields(Result))
"""The header of a result file."""

ANEW = "restore it from a copy, or move it and the .json beside it away and run 'moodbench score' again"

# Taken from the annotations (text, because of the __future__ import), so that a metric added to Result is stored too.
_COUNTS = frozenset(field.name for field in fields(Result) if field.type == "int")
_FRACTIONS = frozenset(field.name for field in fields(Result) if field.type == "float | None")

_NEEDED = [name for name in FIELDS if name not in _FRACTIONS and name not in LATER]
"""The columns that every version wrote. A metric that a file lacks is from after it was written."""

_YES = "yes"
_DIGITS = 10
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_NUMBER = re.compile(r"\d{1,30}(\.\d{1,30})?(e[+-]?\d{1,4})?", re.ASCII)


def format_rows(rows: Iterable[Result]) -> str:
    """Return the rows as CSV, sorted by family, score and parameters.

    Within these come the OOD datasets by group and name, then the group means by group, and last the mean over all.
    Fractions have 10 significant digits.
    """
    return exact_line(FIELDS) + "".join(
        exact_line(_format(name, getattr(row, name)) for name in FIELDS) for row in sorted(rows, key=_position)
    )


def parse_rows(data: bytes, file: Path) -> list[Result]:
    """Return the rows of a CSV file with this content, in its order.

    Parameters
    ----------
    data : bytes
    file : Path
        To name in messages.

    Raises
    ------
    ResultsError
        It is not a result file, a value cannot be what its column holds, or a key occurs twice.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ResultsError(f"the results cannot be read ({error})", file=file, fix=ANEW) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: dict[tuple[str, str, str, str], Result] = {}
    try:
        header = tuple(next(reader, []))
        if not _is_header(header):
            raise ResultsError(f"this is not a result file of moodbench: {_header_fault(header)}", file=file, fix=ANEW)
        for cells in reader:
            row = brought_up(_parse(header, cells, file, reader.line_num), header)
            if row.key in rows:
                raise _bad_line(file, reader.line_num, f"repeats the key {', '.join(map(repr, row.key))}")
            rows[row.key] = row
    except csv.Error as error:
        raise _bad_line(file, reader.line_num, f"is not CSV ({error})") from None
    return list(rows.values())


def _position(row: Result) -> tuple[object, ...]:
    mean = row.ood == MEAN
    return (FAMILIES.index(row.family), row.score, row.params, mean, row.group == ALL_GROUPS, row.group, row.ood)


def _format(name: str, value: Any) -> str:
    if name in _COUNTS:
        return str(int(value))
    if name == "seeds":
        return "" if value is None else str(int(value))
    if name == "control":
        return _YES if value else ""
    if name == "remarks":
        return json.dumps(list(value), ensure_ascii=False) if value else ""
    if name not in _FRACTIONS:
        return str(value)
    if value is None:
        return ""
    rounded = float(f"{value:.{_DIGITS}g}")
    if not 0 <= rounded <= 1:
        raise ValueError(f"{name} must be a fraction in [0, 1] or None, got {value}")
    return repr(rounded + 0.0)  # no negative zero


def _parse(header: Sequence[str], cells: list[str], file: Path, line: int) -> Result:
    if len(cells) != len(header):
        raise _bad_line(file, line, f"has {many(len(cells), 'cell')} instead of {len(header)}")
    values: dict[str, Any] = dict(zip(header, cells, strict=True))
    for name in _COUNTS:
        if not _COUNT.fullmatch(values[name]):
            raise _bad_line(file, line, f"has {name} = '{values[name][:80]}', which should be a number of images")
        values[name] = int(values[name])
    for name in _FRACTIONS:
        try:
            values[name] = _fraction(values.get(name, ""))
        except ValueError:
            wanted = "a fraction between 0 and 1"
            raise _bad_line(file, line, f"has {name} = '{values[name][:80]}', which should be {wanted}") from None
    seeds = values.get("seeds", "")
    if seeds and not (_COUNT.fullmatch(seeds) and int(seeds)):
        raise _bad_line(file, line, f"has seeds = '{seeds[:80]}', which should be a number of seeds, or nothing")
    values["seeds"] = int(seeds) if seeds else None
    if values["family"] not in FAMILIES:
        wanted = f"one of {', '.join(FAMILIES)}"
        raise _bad_line(file, line, f"has family = '{values['family'][:80]}', which should be {wanted}")
    if values.setdefault("control", "") not in ("", _YES):
        raise _bad_line(file, line, f"has control = '{values['control'][:80]}', which should be {_YES} or nothing")
    values["control"] = values["control"] == _YES
    try:
        values["remarks"] = _remarks(values.get("remarks", ""))
    except ValueError:
        wanted = "an array of texts in JSON, or nothing"
        raise _bad_line(file, line, f"has remarks = '{values['remarks'][:80]}', which should be {wanted}") from None
    return Result(**values)


def _remarks(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text) if text else []
    except RecursionError:
        found = None
    if not (isinstance(found, list) and all(isinstance(remark, str) for remark in found)):
        raise ValueError(text)
    return tuple(found)


def _fraction(text: str) -> float | None:
    if not text:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else -1.0  # float() itself takes '1_0', ' 1' and 'nan'
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def _is_header(header: Sequence[str]) -> bool:
    """Say whether columns are those of this version or an earlier one, in their order."""
    return set(_NEEDED) <= set(header) and list(header) == [name for name in FIELDS if name in header]


def _header_fault(header: Sequence[str]) -> str:
    missing = [name for name in _NEEDED if name not in header]
    unknown = [name for name in header if name not in FIELDS]
    if missing:
        return f"its header lacks {', '.join(map(repr, missing[:3]))}"
    return f"its header has the unknown column {unknown[0][:80]!r}" if unknown else "its columns are in another order"


def _bad_line(file: Path, line: int, what: str) -> ResultsError:
    return ResultsError(f"line {line} of the results {what}", file=file, fix=ANEW)
