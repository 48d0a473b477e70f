"""LaTeX of every layout: escapes and column counts always, and compiled where there is an engine."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.tables.arrange import captioned, in_order, looking
from moodbench.tables.escape import escape_latex
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import Cell, Column, Row, Table, pivot
from moodbench.tables.paper import Part, paper_tables
from tests.latex import check_latex, compile_latex, needs_latex
from tests.tables import AWKWARD, TITLES, awkward, result

SETS = (("texture", "far"), ("places", "far"), ("ninco", "near"), ("mean", "far"), ("mean", "all"))
ROWS = [
    result(m, s, 0.5 + i / 50, ood=o, group=g, auroc_low=0.4, auroc_high=0.995)
    for i, (o, g) in enumerate(SETS)
    for m in ("vit", "moco", "beit")
    for s in ("msp", "energy", "knn", "vim")
]


def latex(*tables):
    return FORMATS.get("latex")(tables)


def every_layout():
    """Tables with any rows and columns, sorted, with intervals, and those of the paper."""
    for down, across in permutations(("score", "model", "dataset"), 2):
        table = pivot(ROWS, down, across, titles=TITLES)
        yield table
        yield looking(table, 1, True)
        yield from in_order([table], "best")
    yield from captioned([pivot(ROWS, "score", "model")], AWKWARD, "tab:x_y-1.2/a+b")
    yield from paper_tables([Part(ROWS, TITLES, AWKWARD), Part(ROWS, TITLES, "Other")])[1:]


TABLES = list(every_layout())


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_every_layout_is_sound(number):
    table = TABLES[number]
    assert check_latex(latex(table)) == len(table.rows) + len(table.columns[0].heading)


WORDS = ("a folder with a name/an image with a name.png", "a reason of many words, as of a file that is no image")


@pytest.mark.parametrize("place", ["name", "cell", "neither"])
def test_words_need_more_room_than_numbers(place):
    name, word = (long if place == of else "short" for long, of in zip(WORDS, ("name", "cell"), strict=True))
    columns = tuple(Column((head,), kind="text") for head in ("verdict", "p", "score"))
    table = Table("Verdicts", ("", "image"), columns, (Row("", name, (Cell(word), Cell("0.1"), Cell("2"))),), ())
    text = latex(table)
    assert ("\\begin{table*}" in text) == (place == "cell")
    assert "\\scriptsize" not in text  # of a document's size, where a page has room


@given(st.text(max_size=40))
def test_whatever_names_hold(text):
    check_latex(latex(awkward(text or "x")))


@given(st.text(alphabet="-'`?!,a ", max_size=12))
def test_what_latex_would_join_stays_apart(text):
    shown = escape_latex(text)
    for joined in ("--", "''", "``", "?`", "!`", ",,"):
        assert joined not in shown
    assert shown.replace("{}", "") == " ".join(text.split())


def test_the_check_finds_what_is_wrong():
    good = latex(TABLES[0])
    for before, after in (
        (r"\bottomrule", r"a & b \\" + "\n" + r"\bottomrule"),
        ("MSP", "M_SP"),
        ("MSP", "M%SP"),
        ("MSP", "M{SP"),
        (r"\end{tabular}", ""),
        ("MSP", "Größe"),
        (r"\multicolumn{2}{c}{Texture}", r"\multicolumn{3}{c}{Texture}"),
    ):
        if before in good:
            with pytest.raises(AssertionError):
                check_latex(good.replace(before, after, 1))


@needs_latex
@pytest.mark.parametrize("columns", ["twocolumn", "onecolumn"])
def test_all_of_them_compile_in_one_document(columns, tmp_path):
    floats = "\n\\clearpage\n".join(
        latex(*captioned([table], None, f"tab:{number}")) for number, table in enumerate(TABLES)
    )
    compile_latex(floats, tmp_path, columns)
