"""Somebody's table as CSV → a reference. Its unit is what it says, never what the numbers look like.

Four forms: a number a line (columns ``metric`` and ``value``), a column for each OOD dataset (`wide`), what
``moodbench table --format csv`` writes (``auroc_percent``, ``fpr95_percent``), and a result file (``auroc``, ``fpr95``,
fractions).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from moodbench.comparison.reference import METRICS, Given, Reference, mean_of
from moodbench.comparison.wide import is_wide, lengthened
from moodbench.errors import ResultsError
from moodbench.reading import read_text
from moodbench.sizes import many
from moodbench.types import ALL_GROUPS, MEAN, Result

Unit = Literal["percent", "fraction"]

KEYS = ("benchmark", "model", "score", "ood")
"""Columns that every table has."""

LONG = ("metric", "value")

_PERCENT = tuple(f"{name}_percent" for name in METRICS)

_OURS = {field.name for field in fields(Result)} | {"table"}
_PASSED = (
    {"unit", "source", "paper"}
    | _OURS
    | {f"{name}_percent" for name in _OURS}
    | {f"{m}{end}" for m in METRICS for end in ("_low_percent", "_high_percent", "_seed_sd_percent")}
)
"""Columns that may be there besides; those of moodbench's own tables among them."""

MOST_BYTES = 1 << 26

_FORM = (
    "columns benchmark, model, score, ood, metric (auroc or fpr95) and value, in percent unless a column unit says "
    "'fraction'; or a column for each OOD dataset, with its metric in the name ('Textures AUROC') or a column metric; "
    "or what 'moodbench table --format csv' writes"
)


@dataclass(frozen=True)
class _Number:
    """One number as it stands in a file."""

    line: int
    metric: str
    value: float
    unit: Unit | None
    cells: dict[str, str]


def read_sheet(file: Path) -> Reference:
    """Return the numbers of a CSV file.

    Raises
    ------
    ResultsError
        It cannot be read, has no numbers, columns or metrics that are not known, a number that is none, one that
        occurs twice, or numbers whose unit is not what it says.
    """
    text = read_text(file, "the reference", ResultsError, most=MOST_BYTES)
    lines = _lines(text, file)
    if not lines:
        raise ResultsError("the reference is empty", file=file, fix=f"it needs {_FORM}")
    (_, heads), *body = lines
    if is_wide(heads):
        heads, body = lengthened(heads, body, file)
    columns = _columns(heads, file)
    numbers = [number for line, cells in body for number in _numbers(line, cells, columns, file)]
    if not numbers:
        raise ResultsError("the reference has columns and no number", file=file, fix=f"it needs {_FORM}")
    _check_units(numbers, file)
    given: dict[tuple[str, ...], Given] = {}
    for one in numbers:
        made = _given(one)
        key = (made.benchmark, made.model, made.score, made.params or "", made.ood, made.metric)
        if given.setdefault(key, made).value != made.value:  # tables of two layouts say means twice
            what = f"{made.metric} of {made.score} on {made.model}, {made.ood}"
            raise _fault(file, one.line, f"contradicts another line: {what}")
    return Reference(f"the numbers in {file}", "sheet", tuple(given.values()))


def _lines(text: str, file: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are not empty, with their numbers; cells without the blanks around them."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise _fault(file, reader.line_num, f"is not CSV ({error})") from None


def _columns(heads: Sequence[str], file: Path) -> list[str]:
    names = [head.lower() for head in heads]
    for sign, called in ((";", "semicolons"), ("\t", "tabulators"), ("|", "bars")):
        if len(names) == 1 and sign in names[0]:
            raise ResultsError(f"the columns of the reference are separated by {called}", file=file, fix="use commas")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ResultsError(f"the reference has two columns '{twice[0]}'", file=file, fix="rename or remove one")
    wide = [name for name in (*METRICS, *_PERCENT) if name in names]
    wanted = [*KEYS, *(() if wide else LONG)]
    missing = [name for name in wanted if name not in names]
    if missing:
        said = f"the reference has no column {', '.join(map(repr, missing))}; it has {', '.join(names)[:200]}"
        raise ResultsError(said, file=file, fix=f"it needs {_FORM}")
    unknown = [name for name in names if name not in {*wanted, *wide, *_PASSED}]
    if unknown:
        raise ResultsError(
            f"the reference has columns that mean nothing here: {', '.join(map(repr, unknown))[:200]}",
            file=file,
            fix=f"remove or rename them; it needs {_FORM}",
        )
    for metric in METRICS:
        if {metric, f"{metric}_percent"} <= set(wide):
            raise ResultsError(f"the reference has {metric} in percent and as fractions", file=file, fix="remove one")
    return names


def _numbers(line: int, cells: Sequence[str], columns: Sequence[str], file: Path) -> Iterator[_Number]:
    if len(cells) != len(columns):
        raise _fault(file, line, f"has {many(len(cells), 'cell')}, and there are {len(columns)} columns")
    row = dict(zip(columns, cells, strict=True))
    for name in KEYS:
        if not row[name]:
            raise _fault(file, line, f"does not say which {name}")
    for name in (*METRICS, *_PERCENT):
        if row.get(name):
            unit: Unit = "percent" if name in _PERCENT else "fraction"
            yield _Number(line, name.removesuffix("_percent"), _value(row[name], file, line), unit, row)
    if row.get("value"):
        metric = row["metric"].lower()
        if metric not in METRICS:
            raise _fault(
                file,
                line,
                f"has the metric '{row['metric']}', which cannot be compared",
                fix=f"use {' or '.join(METRICS)} (FPR95 with ID as positive), and remove other lines",
            )
        yield _Number(line, metric, _value(row["value"], file, line), _unit(row.get("unit", ""), file, line), row)


def _value(text: str, file: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        hint = " (the unit belongs in a column 'unit')" if text.endswith("%") else ""
        raise _fault(file, line, f"has '{text[:40]}' where a number should be{hint}") from None
    if not 0 <= value <= 100:
        raise _fault(file, line, f"has {text[:40]}, and a share lies between 0 and 100 percent")
    return value


def _unit(text: str, file: Path, line: int) -> Unit | None:
    word = text.lower()
    if word in ("percent", "%"):
        return "percent"
    if word in ("fraction", "share"):
        return "fraction"
    if word:
        raise _fault(file, line, f"has the unit '{text[:40]}'", fix="write percent or fraction")
    return None


def _check_units(numbers: Sequence[_Number], file: Path) -> None:
    """Raise a `ResultsError` where numbers are not in the unit that the file says, or that it should say."""
    for one in numbers:
        if one.unit == "fraction" and one.value > 1:
            raise _fault(
                file,
                one.line,
                f"has {one.metric} = {one.value:g} as a fraction",
                fix="is it percent? then call the column auroc_percent or fpr95_percent, or give it the unit percent",
            )
    unsaid = [one for one in numbers if one.unit is None]
    # an AUROC of 1 percent is no result; an FPR95 below 1 percent is one
    small = [one for one in unsaid if one.value <= 1 and (one.metric == "auroc" or one.value > 0)]
    telling = [one for one in small if one.metric == "auroc"]
    if telling and any(one.value > 1 for one in unsaid):
        one = telling[0]
        raise _fault(file, one.line, f"has an AUROC of {one.value:g}, which looks like a fraction among percentages")
    if small and len(small) == sum(one.value > 0 or one.metric == "auroc" for one in unsaid):
        largest = max(one.value for one in small)
        raise ResultsError(
            f"the reference looks like fractions (its largest number is {largest:g}), and percent is expected",
            file=file,
            fix="multiply the numbers by 100, or add a column unit that says fraction (or percent) in every line",
        )


def _given(one: _Number) -> Given:
    row, ood = one.cells, one.cells["ood"]
    if ood.lower() in (MEAN, "average", "avg"):
        ood = mean_of(row.get("group") or ALL_GROUPS)
    params = row.get("params") or None  # moodbench's own tables say them
    value = one.value if one.unit == "fraction" else one.value / 100
    return Given(row["benchmark"], row["model"], row["score"], ood, one.metric, value, params)


def _fault(file: Path, line: int, what: str, *, fix: str | None = None) -> ResultsError:
    return ResultsError(f"line {line} of the reference {what}", file=file, fix=fix or "correct that line")
