"""Tables as one self-contained HTML page."""

from __future__ import annotations

import html as markup
from collections.abc import Sequence

from moodbench.tables.cells import Look, Row, Table
from moodbench.tables.formats.base import (
    FORMATS,
    SUFFIXES,
    blocks_of,
    interval_of,
    legend_of,
    places_of,
    spans_of,
    text_of,
)
from moodbench.tables.formats.page import INSIDE, PAGE


@FORMATS.register("html")
@SUFFIXES.register(".html")
def html(tables: Sequence[Table]) -> str:
    """Return one self-contained page, for light and dark screens."""
    title = tables[0].title if len(tables) == 1 else "moodbench results"
    return PAGE.substitute(title=markup.escape(title), body="\n".join(map(_html_table, tables)))


def html_inside(tables: Sequence[Table]) -> str:
    """Return the tables for a place in somebody's page, as a notebook is: its colours and letters, a style of ours."""
    body = "\n".join(map(_html_table, tables))
    return f'<div class="moodbench"><style>{INSIDE}</style>\n{body}\n</div>\n'


def _html_table(table: Table) -> str:
    title = markup.escape(table.title)
    width = len(table.columns) + 1
    edges = {at - 2 for _, at, _ in places_of(spans_of(table.columns, 0))} - {0}  # the stub has its own rule
    name = f' id="{markup.escape(table.label)}"' if table.label else ""
    parts = [f'<section{name}><h2>{title}</h2>\n<div class="scroll" role="region" tabindex="0" aria-label="{title}">']
    parts += ["<table>", f"<thead>{_html_heads(table, edges)}</thead>"]
    for members in blocks_of(table):
        block = members[0].block
        head = _chip(block) if block == members[0].family else f"<span>{markup.escape(block)}</span>"
        first = f'<tr class="block"><th scope="rowgroup" colspan="{width}">{head}</th></tr>' if table.blocks else ""
        parts.append(f"<tbody>\n{first}")
        parts += [_html_row(row, edges, table) for row in members]
        parts.append("</tbody>")
    legend = legend_of(table, "<strong>best</strong>", "<u>second best</u>")
    feet = "".join(f"<li>{foot}</li>" for foot in [*legend, *map(markup.escape, table.footnotes)])
    return "\n".join([*parts, "</table></div>", f"<ul>{feet}</ul>" if feet else "", "</section>"])


def _html_heads(table: Table, edges: set[int]) -> str:
    levels = len(table.columns[0].heading)
    lines = []
    for level in range(levels):
        cells = [f'<th scope="col" rowspan="{levels}">{markup.escape(table.stub[1])}</th>'] if level == 0 else []
        for heading, at, width in places_of(spans_of(table.columns, level)):
            edge = ' class="edge"' if at - 2 in edges else ""
            scope = f'scope="colgroup" colspan="{width}"' if level < levels - 1 else 'scope="col"'
            cells.append(f"<th {scope}{edge}>{markup.escape(heading)}</th>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join(lines)


def _html_row(row: Row, edges: set[int], table: Table) -> str:
    chip = "" if row.family is None or (table.blocks and row.family == row.block) else " " + _chip(row.family)
    if not table.blocks and row.block not in ("", row.family):
        chip = f' <span class="of">{markup.escape(row.block)}</span>{chip}'
    title = markup.escape(row.title)
    if not table.blocks and row.block.isdecimal():  # the place in a ranking stands before
        title, chip = f'<span class="of">{row.block}</span> {title}', ""
    cells = [f'<tr><th scope="row">{title}{chip}</th>']
    for number, cell in enumerate(row.cells):
        text = markup.escape(text_of(cell, table.look))
        text = {"best": f"<strong>{text}</strong>", "second": f"<u>{text}</u>", "": text}[cell.mark]
        names = " ".join(name for name, on in (("edge", number in edges), (cell.mark, cell.mark)) if on)
        interval = interval_of(cell, table.look)
        text += f' <span class="of">{interval}</span>' if interval else ""
        known = interval_of(cell, Look(table.look.decimals, intervals=True))
        span = "" if interval else known.strip("[]").replace(", ", " to ")
        attributes = (f' class="{names}"' if names else "") + (f' title="{span}"' if span else "")
        cells.append(f"<td{attributes}>{text}</td>")
    return "".join(cells) + "</tr>"


def _chip(family: str) -> str:
    return f'<span class="chip {family.replace("+", "-")}">{markup.escape(family)}</span>'
