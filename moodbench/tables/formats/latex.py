"""Tables for LaTeX with booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from moodbench.tables.escape import escape_latex
from moodbench.tables.formats.base import FORMATS, body_of, is_marked, places_of, sides_of, spans_of, text_of
from moodbench.tables.grid import Cell, Column, Table


@FORMATS.register("latex")
def latex(tables: Sequence[Table]) -> str:
    r"""Return booktabs tables: ``\textbf`` for the best, ``\underline`` for the second best of a column.

    What may not fit on a page is a longtable. ASCII only, so that pdflatex, xelatex and lualatex set it.
    """
    preamble = "% preamble: \\usepackage{booktabs,graphicx}\n"
    if any(map(_is_long, tables)):
        # fix-cm, a part of LaTeX, has letters of every size
        preamble = "% preamble: \\usepackage{fix-cm,booktabs,graphicx,longtable}\n"
        preamble += "% a longtable needs one column: \\onecolumn before it in a document of two\n"
    return preamble + "\n".join(_latex_long(table) if _is_long(table) else _latex_table(table) for table in tables)


def _is_long(table: Table) -> bool:
    """Whether a LaTeX table of natural size may be higher than a page."""
    feet = sum(1 + len(foot) // 100 for foot in table.footnotes)
    return len(table.rows) + len(table.columns[0].heading) + feet > 40


def _latex_table(table: Table) -> str:
    # Shrinks what is wider than the page, and nothing else.
    fit = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"
    tabular = [
        r"\setlength{\tabcolsep}{4pt}",
        fit,
        rf"\begin{{tabular}}{{{_latex_letters(table)}}}",
        r"\toprule",
        *_latex_heads(table),
        r"\midrule",
        *_latex_rows(table),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    feet = _latex_feet(table)
    notes = [rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize\raggedright {feet}}}"] if feet else []
    name = "table*" if len(table.columns) > 6 else "table"  # across both columns of a two-column page
    caption = rf"\caption{{{escape_latex(table.title)}}}"
    return "\n".join([rf"\begin{{{name}}}", r"\centering", caption, *tabular, *notes, rf"\end{{{name}}}", ""])


def _latex_long(table: Table) -> str:
    r"""Return a table that breaks over pages and repeats its headings.

    ``\resizebox`` cannot shrink it, so the letters shrink until the headings and the widest cell of each column fit.
    """
    letters, heads = _latex_letters(table), _latex_heads(table)
    widest = [max(column, key=_latex_width) for column in zip(*_latex_body(table), strict=True)]
    size = r"\dimexpr\csname f@size\endcsname pt*\textwidth/\wd0*49/50\relax"
    skip = r"1.3\dimexpr\csname f@size\endcsname pt\relax"  # of the size that has just been set
    count = len(table.columns) + 2
    feet = _latex_feet(table)
    lines = [
        r"\begingroup",
        r"\setlength{\LTcapwidth}{\textwidth}\setcounter{LTchunksize}{1000}",
        # the caption does not shrink
        r"\expandafter\def\expandafter\tablename\expandafter{\expandafter\normalsize\tablename}",
        # a line below a number must not move the rows apart
        r"\let\plainunderline\underline",
        r"\renewcommand{\underline}[1]{\leavevmode\smash{\plainunderline{#1}}}",
        r"\count255=0",
        r"\loop",
        r"\setlength{\tabcolsep}{0.4em}",
        rf"\sbox0{{\begin{{tabular}}{{{letters}}}",
        *heads,
        " & ".join(widest) + r" \\",
        r"\end{tabular}}",
        # in case the letters of a document cannot shrink
        r"\advance\count255 by 1 \ifnum\count255>9 \setbox0\hbox{}\fi",
        rf"\ifdim\wd0>\textwidth\fontsize{{{size}}}{{{skip}}}\selectfont",
        r"\repeat",
        rf"\begin{{longtable}}{{{letters}}}",
        rf"\caption{{{escape_latex(table.title)}}}\\",
        *(r"\toprule", *heads, r"\midrule", r"\endfirsthead"),
        rf"\caption[]{{{escape_latex(table.title)} (continued)}}\\",
        *(r"\toprule", *heads, r"\midrule", r"\endhead"),
        rf"\midrule \multicolumn{{{count}}}{{r}}{{continued on the next page}} \\",
        r"\endfoot",
        *(r"\bottomrule", r"\endlastfoot"),
        *_latex_rows(table),
        r"\end{longtable}",
        *([rf"{{\normalfont\footnotesize\raggedright\noindent {feet}\par}}"] if feet else []),
        r"\endgroup",
        "",
    ]
    return "\n".join(lines)


def _latex_width(text: str) -> tuple[int, bool]:
    """Return about how wide a cell is: a command is at most one letter, and bold ones are wider."""
    bare = re.sub(r"\\(textbf|underline)|[{}$]", "", text)
    return len(re.sub(r"\\[a-zA-Z]+|\\.", "x", bare)), "textbf" in text


def _latex_letters(table: Table) -> str:
    return "".join("l" if side == "left" else "r" for side in sides_of(table))


def _latex_body(table: Table) -> list[list[str]]:
    def shown(cell: Cell, column: Column) -> str:
        text = escape_latex(text_of(cell, column))
        return {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}[cell.mark]

    return body_of(table, shown, escape_latex)


def _latex_rows(table: Table) -> Iterator[str]:
    for number, cells in enumerate(_latex_body(table)):
        if number and cells[0]:
            yield r"\addlinespace"
        yield " & ".join(cells) + r" \\"


def _latex_feet(table: Table) -> str:
    legend = [r"Percent; \textbf{best} and \underline{second best} of each column."] if is_marked(table) else []
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
