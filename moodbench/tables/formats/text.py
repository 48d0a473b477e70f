"""Tables for a terminal, and for GitHub."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

from moodbench.tables.formats.base import FORMATS, body_of, flat, is_marked, places_of, sides_of, spans_of, text_of
from moodbench.tables.grid import Cell, Table


@FORMATS.register("plain")
def plain(tables: Sequence[Table]) -> str:
    """Return aligned text for a terminal; ``*`` precedes the best number of a column, ``+`` the second best."""

    def shown(cell: Cell) -> str:
        return {"best": "*", "second": "+", "": ""}[cell.mark] + text_of(cell)

    parts = []
    for table in tables:
        legend = ["Percent; * best and + second best of each column."] if is_marked(table) else []
        lines = [flat(table.title), "", *_aligned(table, body_of(table, shown, flat)), "", *legend]
        parts.append("\n".join([*lines, *map(flat, table.footnotes)]).rstrip())
    return "\n\n\n".join(parts) + "\n"


@FORMATS.register("markdown")
def markdown(tables: Sequence[Table]) -> str:
    """Return pipe tables as GitHub shows them: best bold, second best underlined."""

    def shown(cell: Cell) -> str:
        text = _escape_markdown(text_of(cell))
        # GitHub removes <u>, but shows <ins> underlined.
        return {"best": f"**{text}**", "second": f"<ins>{text}</ins>", "": text}[cell.mark]

    parts = []
    for table in tables:
        heads = [*table.stub, *("<br>".join(map(_escape_markdown, column.heading)) for column in table.columns)]
        body = body_of(table, shown, _escape_markdown)
        text = tabulate(body, heads, "pipe", disable_numparse=True, colalign=sides_of(table))
        legend = ["Percent; **best** and <ins>second best</ins> of each column."] if is_marked(table) else []
        feet = [*legend, *map(_escape_markdown, table.footnotes)]
        parts.append(f"**{_escape_markdown(table.title)}**\n\n{text}\n\n" + "\n".join(f"- {foot}" for foot in feet))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _aligned(table: Table, body: list[list[str]]) -> list[str]:
    """Return headings and cells in columns, each heading centred over the columns it spans."""
    levels = len(table.columns[0].heading)
    spans = [[(flat(heading), width) for heading, width in spans_of(table.columns, level)] for level in range(levels)]
    leaves = [*table.stub, *(heading for heading, _ in spans.pop())]
    widths = [max(map(len, column)) for column in zip(leaves, *body, strict=True)]
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
    for cells in (leaves, ["─" * width for width in widths], *body):
        lines.append("  ".join(pad(c, n) for pad, c, n in zip(sides, cells, widths, strict=True)))
    return [line.rstrip() for line in lines]


def _escape_markdown(text: str) -> str:
    text = re.sub(r"([\\`*|<>\[\]])", r"\\\1", flat(text)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # between letters an underscore means nothing
