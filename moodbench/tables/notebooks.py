"""What functions return, as notebooks show it: tables of results, and lists of records; and as frames for pandas."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pandas import DataFrame

    from moodbench.tables.cells import Table

T = TypeVar("T")

MOST_ROWS = 60
"""That a notebook shows; a run of everything has thousands."""

_MOST_LETTERS = 100
"""Of a cell in a notebook."""


class InNotebooks:
    """What a notebook shows as tables; a class says of itself which ones."""

    def readable(self) -> Sequence[Table]:
        """Return the tables as people read them."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return the tables as text: at a prompt too they are to be read."""
        return self._in("markdown").rstrip("\n")

    def _repr_html_(self) -> str:
        from moodbench.tables.formats.html import html_inside

        return html_inside(self.readable())

    def _repr_markdown_(self) -> str:
        return self._in("markdown")

    def _repr_latex_(self) -> str:
        return self._in("latex")

    def _in(self, format: str) -> str:
        from moodbench.tables.formats.base import FORMATS

        return FORMATS.get(format)(self.readable())


class Records(list[T]):
    """Records (dictionaries, or dataclasses) of one kind: a list wherever one is wanted, in a notebook a table.

    Parameters
    ----------
    rows : iterable of T
    columns : sequence of str
        What a notebook shows of each; by default every field that is set in any.
    """

    columns: tuple[str, ...]

    def __init__(self, rows: Iterable[T] = (), columns: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self.columns = tuple(columns)

    def _repr_html_(self) -> str:
        from moodbench.tables.formats.page import INSIDE

        shown = [_as_mapping(row) for row in self[:MOST_ROWS]]
        every = self.columns or dict.fromkeys(name for row in shown for name in row)
        names = [name for name in every if any(_text(row.get(name)) for row in shown)]
        left = {name for name in names if not any(_is_number(row.get(name)) for row in shown)}

        def line(kind: str, texts: Iterable[str]) -> str:
            sides = (' style="text-align: left"' if name in left else "" for name in names)
            cells = zip(sides, texts, strict=True)
            return "".join(f"<{kind}{side}>{html.escape(text)}</{kind}>" for side, text in cells)

        heads = f"<tr>{line('th', names)}</tr>"
        body = "\n".join(f"<tr>{line('td', (_text(row.get(name)) for name in names))}</tr>" for row in shown)
        more = f"<ul><li>{len(self) - MOST_ROWS} more; .to_frame() has all</li></ul>" if len(self) > MOST_ROWS else ""
        table = f"<table>\n<thead>{heads}</thead>\n<tbody>\n{body}\n</tbody></table>" if names else "<p>none</p>"
        return f'<div class="moodbench"><style>{INSIDE}</style>\n<div class="scroll">{table}</div>{more}\n</div>\n'

    def to_frame(self) -> DataFrame:
        """Return them in pandas: a row for each, a column for every field."""
        return frame_of(self)


def frame_of(rows: Iterable[object]) -> DataFrame:
    """Return records (dictionaries or dataclasses) in pandas: a row for each, a column for every field."""
    import pandas

    return pandas.DataFrame([dict(_as_mapping(row)) for row in rows])


def _as_mapping(row: object) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    if is_dataclass(row):
        return {one.name: getattr(row, one.name) for one in fields(row)}
    return {"value": row}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """Return what is read in a cell: four digits of a number, how many of what has parts of its own."""
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {_text(of)}" for key, of in value.items() if not is_dataclass(of)) or _many(value)
    elif isinstance(value, (list, tuple, AbstractSet)):
        plain = not any(is_dataclass(one) or isinstance(one, Mapping) for one in value)
        text = ", ".join(map(_text, value)) if plain else _many(value)
    else:
        text = " ".join(str(value).split())
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"


def _many(value: Any) -> str:
    return str(len(value)) if value else ""
