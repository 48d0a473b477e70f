"""Tables for LaTeX with booktabs."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

from moodbench.tables.cells import Cell, Row, Table
from moodbench.tables.escape import escape_latex
from moodbench.tables.formats.base import (
    FORMATS,
    SUFFIXES,
    blocks_of,
    body_of,
    interval_of,
    legend_of,
    places_of,
    sides_of,
    spans_of,
    text_of,
)

PAGE = 540.0
"""Points that the article class gives a float on a page of its own: the smallest of the usual layouts."""

LINE, SMALL_LINE = 12.0, 8.0
"""Points from one line to the next in letters of a document and in ``\\scriptsize``."""

COLUMN = 6
"""A table with more columns of numbers than this stands across both columns of a page."""

INTERVAL = 1.5
"""Columns of numbers that an interval is as wide as."""


NUMBER, NAMES = 8, 40
"""Letters that are as wide as a column of numbers, and that the names of rows may have without making a table wider."""


MANY = 10
"""A table with more columns of numbers than this has small letters and narrow gaps from the start: shrunk from the
size of a document, they would be smaller still."""


@FORMATS.register("latex")
@SUFFIXES.register(".tex")
def latex(tables: Sequence[Table]) -> str:
    r"""Return booktabs tables: ``\textbf`` for the best, ``\underline`` for the second best of a column.

    Plain floats for documents of one column or two. What is higher than a page is set in small letters, and what still
    is goes on in further floats with the same number. ASCII only, so that pdflatex, xelatex and lualatex set it.
    """
    floats = [text for table in tables for text in _floats(table)]
    return "% preamble: \\usepackage{booktabs,graphicx}\n" + "\n".join(floats)


def _floats(table: Table) -> Iterator[str]:
    feet = _height(table, SMALL_LINE) - _height(replace(table, footnotes=()), SMALL_LINE)
    if feet > PAGE / 3:  # no float could hold them beside rows: they follow in the text, which breaks over pages
        yield from _floats(replace(table, footnotes=()))
        notes = r"\\ ".join(map(escape_latex, table.footnotes))
        yield rf"{{\scriptsize\raggedright\noindent Notes on Table~\ref{{{_label(table)}}}: {notes}\par}}" + "\n"
        return
    if _height(table, LINE) <= PAGE and _breadth(table) <= MANY:
        yield _float(table, "")
        return
    parts = list(_parts(table))
    for number, rows in enumerate(parts):
        last = number == len(parts) - 1
        part = replace(table, rows=rows, footnotes=table.footnotes if last else ())
        yield _float(part, r"\scriptsize", further=number > 0, last=last)


def _parts(table: Table) -> Iterator[tuple[Row, ...]]:
    """Yield rows that fit on a page in small letters, in order; blocks stay whole where they are not too high."""
    part: tuple[Row, ...] = ()
    for block in blocks_of(table):
        whole = _height(replace(table, rows=block), SMALL_LINE) <= PAGE
        if part and whole and _height(replace(table, rows=part + block), SMALL_LINE) > PAGE:
            yield part
            part = ()
        while _height(replace(table, rows=part + block), SMALL_LINE) > PAGE and len(block) > 1:
            most = max(1, len(block) - _lines_too_many(replace(table, rows=part + block)))
            yield part + block[:most]
            part, block = (), block[most:]
        part += block
    if part:
        yield part


def _lines_too_many(table: Table) -> int:
    return math.ceil((_height(table, SMALL_LINE) - PAGE) / SMALL_LINE)


def _breadth(table: Table) -> float:
    """Return how many columns of numbers a table is as wide as, beside the names of its rows."""
    wide = sum(any(interval_of(row.cells[i], table.look) for row in table.rows) for i in range(len(table.columns)))
    texts = [
        max((len(text_of(row.cells[i], table.look)) for row in table.rows), default=0)
        for i, column in enumerate(table.columns)
        if column.kind == "text"
    ]
    names = sum(
        max((len(name(row)) for row in table.rows), default=0) for name in (attrgetter("block"), attrgetter("title"))
    )
    longer = sum(max(0, letters - NUMBER) for letters in texts) + max(0, names - NAMES)
    return len(table.columns) + INTERVAL * wide + longer / NUMBER


def _height(table: Table, line: float) -> float:
    """Return about how many points high a float is: caption, headings, rows, the gaps between blocks, footnotes."""
    heads = len(table.columns[0].heading)
    blocks = len(list(blocks_of(table)))
    across = 1 if _breadth(table) > COLUMN else 2
    caption = 10 + LINE * math.ceil((len(table.title) + 20) * across / 90)
    feet = [*table.footnotes, *legend_of(table, "best", "second best")]
    notes = SMALL_LINE * sum(math.ceil(len(foot) * across / 120) for foot in feet)
    # rules and their gaps are worth two lines, the gap above a block half of one
    return caption + notes + line * (heads + len(table.rows) + 2 + blocks / 2)


def _float(table: Table, size: str, *, further: bool = False, last: bool = True) -> str:
    """Return one float; `further`: it goes on with a table, under the same number."""
    name = "table*" if _breadth(table) > COLUMN else "table"
    title = escape_latex(table.title) + (" (continued)" if further else "")
    feet = _latex_feet(table) if last else "Continued on the next page."
    tabular = [
        *([size] if size else []),
        rf"\setlength{{\tabcolsep}}{{{_gap(table)}pt}}",
        r"\setlength{\defaultaddspace}{0.5\baselineskip}",
        # shrinks what is wider than the column or page, and nothing else
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{_latex_letters(table)}}}",
        r"\toprule",
        *_latex_heads(table),
        r"\midrule",
        *_latex_rows(table),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    small = size or r"\footnotesize"
    notes = [rf"\par\smallskip\parbox{{\linewidth}}{{{small}\raggedright {feet}}}"] if feet else []
    caption = rf"\caption{{{title}}}" + ("" if further else rf"\label{{{_label(table)}}}")
    number = [r"\addtocounter{table}{-1}"] if further else []
    lines = [rf"\begin{{{name}}}", *number, r"\centering", caption, *tabular, *notes, rf"\end{{{name}}}", ""]
    return "\n".join(lines)


def _gap(table: Table) -> int:
    """Return the points beside a column: a number must not run on into the next, least of all one with an interval."""
    wide = _breadth(table)
    return 4 if wide <= MANY else 3 if wide > len(table.columns) else 2


def _label(table: Table) -> str:
    """Return what a table is called; else what its title says, as far as a label may hold it: ``tab:digits-mean``."""
    if table.label:
        return table.label
    plain = unicodedata.normalize("NFKD", table.title).encode("ascii", "ignore").decode()
    return "tab:" + ("-".join(re.findall(r"[a-z0-9.]+", plain.lower())) or "results")


def _latex_letters(table: Table) -> str:
    return "".join("l" if side == "left" else "r" for side in sides_of(table))


def _latex_body(table: Table) -> list[list[str]]:
    def shown(cell: Cell) -> str:
        text = escape_latex(text_of(cell, table.look))
        text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}[cell.mark]
        interval = escape_latex(interval_of(cell, table.look))
        return rf"{text} {{\scriptsize {interval}}}" if interval else text

    return body_of(table, shown, escape_latex)


def _latex_rows(table: Table) -> Iterator[str]:
    for number, cells in enumerate(_latex_body(table)):
        if number and cells[0] and table.blocks:
            yield r"\addlinespace"
        yield " & ".join(cells) + r" \\"


def _latex_feet(table: Table) -> str:
    legend = legend_of(table, r"\textbf{best}", r"\underline{second best}")
    return r"\\ ".join([*legend, *map(escape_latex, table.footnotes)])


def _latex_heads(table: Table) -> list[str]:
    lines = []
    levels = len(table.columns[0].heading)
    for level in range(levels):
        last = level == levels - 1
        cells, rules = list(map(escape_latex, table.stub)) if last else ["", ""], []
        for heading, at, width in places_of(spans_of(table.columns, level)):
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(heading)}}}")
            rules.append(rf"\cmidrule(lr){{{at + 1}-{at + width}}}")
        lines += [" & ".join(cells) + r" \\", *([] if last else [" ".join(rules)])]
    return lines
