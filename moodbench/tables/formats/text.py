"""Tables for a terminal, and for GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, zip_longest
from textwrap import wrap

from tabulate import tabulate

from moodbench.tables.cells import Cell, Table, with_columns
from moodbench.tables.formats.base import (
    FORMATS,
    SUFFIXES,
    body_of,
    flat,
    interval_of,
    legend_of,
    places_of,
    sides_of,
    spans_of,
    text_of,
)

PLAIN = "plain"


@FORMATS.register(PLAIN)
@SUFFIXES.register(".txt")
def plain(tables: Sequence[Table]) -> str:
    """Return aligned text; ``*`` precedes the best number of a column, ``+`` the second best."""
    return plain_within(tables, None)


def plain_within(tables: Sequence[Table], width: int | None) -> str:
    """Return the same for a terminal, or for any width where that is None.

    A table that is wider than `width` letters goes on below with further columns, each part with the names of the
    rows; no number is left out.
    """
    parts = []
    for table in tables:
        rows = [line for part in _parts(table, width) for line in ("", *part)]
        said = (table.title, *legend_of(table, "* best", "+ second best"), *table.footnotes)
        words = [[flat(text)] if width is None else _folded(text, width) for text in said]
        lines = [*words[0], *rows, "", *(line for text in words[1:] for line in text)]
        parts.append("\n".join(lines).rstrip())
    return "\n\n\n".join(parts) + "\n"


@FORMATS.register("markdown")
@SUFFIXES.register(".md")
def markdown(tables: Sequence[Table]) -> str:
    """Return pipe tables as GitHub shows them: best bold, second best underlined."""

    def shown(table: Table, cell: Cell) -> str:
        text = escape_markdown(text_of(cell, table.look))
        # GitHub removes <u>, but shows <ins> underlined.
        text = {"best": f"**{text}**", "second": f"<ins>{text}</ins>", "": text}[cell.mark]
        return " ".join(filter(None, [text, escape_markdown(interval_of(cell, table.look))]))

    parts = []
    for table in tables:
        heads = [*table.stub, *("<br>".join(map(escape_markdown, column.heading)) for column in table.columns)]
        body = body_of(table, partial(shown, table), escape_markdown)
        text = tabulate(body, heads, "pipe", disable_numparse=True, colalign=sides_of(table))
        legend = legend_of(table, "**best**", "<ins>second best</ins>")
        feet = [*legend, *map(escape_markdown, table.footnotes)]
        parts.append(f"**{escape_markdown(table.title)}**\n\n{text}\n\n" + "\n".join(f"- {foot}" for foot in feet))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _shown(table: Table, cell: Cell) -> str:
    text = {"best": "*", "second": "+", "": ""}[cell.mark] + text_of(cell, table.look)
    return " ".join(filter(None, [text, interval_of(cell, table.look)]))


def _body(table: Table) -> list[list[str]]:
    return body_of(table, partial(_shown, table), flat)


def _parts(table: Table, width: int | None) -> Iterator[list[str]]:
    """Yield the lines of the table in parts that are no wider than `width` where that can be."""
    if width is None:
        yield _aligned(table, _body(table))
        return
    taken: list[int] = []
    for unit in _units(table, width):
        if taken and _wide(table, [*taken, *unit]) > width:
            yield _fitted(with_columns(table, taken), width)
            taken = []
        taken += unit
    yield _fitted(with_columns(table, taken), width)


def _width(lines: Sequence[str]) -> int:
    return max(map(len, lines))


def _wide(table: Table, numbers: list[int]) -> int:
    some = with_columns(table, numbers)
    return _width(_aligned(some, _body(some)))


def _units(table: Table, width: int) -> Iterator[list[int]]:
    """Yield the columns that stay together: the metrics of one model or dataset, where a line has room for them."""

    def place(number: int) -> list[tuple[str, str]] | tuple[str, ...]:
        column = table.columns[number]
        return [pair for pair in column.keys.items() if pair[0] != "metric"] or column.heading

    for _, members in groupby(range(len(table.columns)), key=place):
        unit = list(members)
        yield from [unit] if _wide(table, unit) <= width else ([number] for number in unit)


LEAST = 6
"""Letters that words in a column keep, however narrow a terminal is."""


def _fitted(table: Table, width: int) -> list[str]:
    """Return the lines of a table, with words in several lines where they make it wider than `width`."""
    body = _body(table)
    lines = _aligned(table, body)
    over = _width(lines) - width
    if over <= 0:
        return lines
    leaves = _leaves(table)
    texts = [0, 1, *(i + 2 for i, column in enumerate(table.columns) if column.kind == "text")]
    rooms = {i: max(map(len, (leaves[i], *(row[i] for row in body)))) for i in texts}
    while over > 0 and max(rooms.values()) > LEAST:  # at the cost of the widest
        widest = max(rooms, key=rooms.__getitem__)
        rooms[widest] -= 1
        over -= 1
    heads, *folded = (
        [_folded(c, rooms[i], "") if i in rooms else [c] for i, c in enumerate(r)] for r in (leaves, *body)
    )
    return _aligned(table, [line for cells in folded for line in _side_by_side(cells)], _side_by_side(heads))


def _side_by_side(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the lines of a row whose cells have several."""
    return [list(line) for line in zip_longest(*cells, fillvalue="")]


def _folded(text: str, width: int, indent: str = "  ") -> list[str]:
    return wrap(flat(text), max(width, 1), subsequent_indent=indent, break_on_hyphens=False) or [""]


def _leaves(table: Table) -> list[str]:
    """Return the lowest headings, one of each column."""
    return [*table.stub, *(flat(column.heading[-1]) for column in table.columns)]


def _aligned(table: Table, body: list[list[str]], leaves: Sequence[list[str]] = ()) -> list[str]:
    """Return headings and cells in columns, each heading centred over the columns it spans.

    `leaves`: the lowest headings, in several lines where they are folded.
    """
    levels = len(table.columns[0].heading) - 1
    spans = [[(flat(heading), width) for heading, width in spans_of(table.columns, level)] for level in range(levels)]
    leaves = leaves or [_leaves(table)]
    widths = [max(map(len, column)) for column in zip(*leaves, *body, strict=True)]
    for headings in spans:
        for heading, at, width in places_of(headings):
            short = len(heading) - sum(widths[at : at + width]) - 2 * (width - 1)
            for number in range(max(short, 0)):
                widths[at + number % width] += 1
    margin = " " * (sum(widths[:2]) + 4)
    lines = []
    for headings in spans:
        room = [sum(widths[at : at + width]) + 2 * (width - 1) for _, at, width in places_of(headings)]
        lines.append(margin + "  ".join(h.center(n) for (h, _), n in zip(headings, room, strict=True)))
        lines.append(margin + "  ".join("─" * n for n in room))
    sides = [str.ljust if side == "left" else str.rjust for side in sides_of(table)]
    for cells in (*leaves, ["─" * width for width in widths], *body):
        lines.append("  ".join(pad(c, n) for pad, c, n in zip(sides, cells, widths, strict=True)))
    return [line.rstrip() for line in lines]


def escape_markdown(text: str) -> str:
    """Return Markdown that shows `text` on one line, within a cell too."""
    text = re.sub(r"([\\`*|<>\[\]])", r"\\\1", flat(text)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # between letters an underscore means nothing
