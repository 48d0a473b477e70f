"""Tables for programs: a record for each number, with all that identifies it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from moodbench.sheets import exact_line, shown_line
from moodbench.tables.cells import Table
from moodbench.tables.formats.base import FORMATS, SUFFIXES
from moodbench.tables.marks import printed

_KEYS = ("benchmark", "pretext", "model", "family", "score", "params", "ood", "group", "pretraining")


@FORMATS.register("csv")
@SUFFIXES.register(".csv")
def tidy_csv(tables: Sequence[Table]) -> str:
    """Return one tidy table of all: a line for each (table, model, score, OOD dataset), numbers in percent."""
    found = [(table.look.decimals, {"table": table.title, **one}) for table in tables for one in _records(table)]
    records = [record for _, record in found]
    named = dict.fromkeys(name for record in records for name in record)
    fields = [name for name in dict.fromkeys(("table", *_KEYS, *named)) if name in named]
    plain = {name for record in records for name, value in record.items() if isinstance(value, (str, int))}
    head = exact_line(name if name in plain else f"{name}_percent" for name in fields)
    lines = (shown_line(_csv_cell(record.get(name), decimals) for name in fields) for decimals, record in found)
    return head + "".join(lines)


@FORMATS.register("json")
@SUFFIXES.register(".json")
def tidy_json(tables: Sequence[Table]) -> str:
    """Return an array of tables: title, records (metrics as fractions, null where there is none) and footnotes."""
    found = [{"title": t.title, "records": list(_records(t)), "footnotes": list(t.footnotes)} for t in tables]
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _records(table: Table) -> Iterator[dict[str, Any]]:
    for row in table.rows:
        found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
        for cell, column in zip(row.cells, table.columns, strict=True):
            keys = {**row.keys, **column.keys}
            metric = keys.pop("metric", "value")
            record = found.setdefault(tuple(sorted(keys.items())), {k: keys[k] for k in _KEYS if k in keys})
            record[metric] = cell.value
            if cell.low is not None and cell.high is not None:
                record |= {f"{metric}_low": cell.low, f"{metric}_high": cell.high}
            if cell.spread is not None:
                record |= {f"{metric}_seed_sd": cell.spread, "seeds": cell.seeds}
            if cell.not_worse is not None:
                record[f"{metric}_not_worse"] = cell.not_worse
            notes = [note for note in (record.pop("note", ""), cell.note) if note]
            record["note"] = "; ".join(dict.fromkeys(notes))  # popped and put back: it stays last
        yield from found.values()


def _csv_cell(value: float | str | bool | None, decimals: int) -> str | None:
    """Return a share in percent; words and counts as they are."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printed(value, decimals) if isinstance(value, float) else None if value is None else str(value)
