"""Tables of classes as LaTeX and HTML: as many cells as columns everywhere, whatever classes are called."""

from __future__ import annotations

import re

import pytest

from moodbench.tables.arrange import looking
from moodbench.tables.classes import by_class
from moodbench.tables.formats.base import FORMATS
from tests.latex import check_latex, compile_latex, needs_latex
from tests.tables import AWKWARD, TITLES, result

CLASSES = {"texture": ("banded", "n01503061", "50%_of $x & y#", "polka-dotted {i}"), "faces": ("a~b^c", AWKWARD)}


def rows(scores, times=1):
    places = [(f"{name}/{one}{i or ''}", name) for name, some in CLASSES.items() for one in some for i in range(times)]
    return [
        result("vit", s, 0.5 + (31 * i + 17 * j) % 50 / 100, ood=o, group=g, auroc_low=0.4, auroc_high=0.995)
        for i, s in enumerate(scores)
        for j, (o, g) in enumerate([*places, ("mean", "texture"), ("mean", "faces")])
    ]


TABLES = {
    "few": by_class(rows(["msp", "energy"]), titles=TITLES),
    "nine scores": by_class(rows([f"s{i:02}" for i in range(9)]), titles=TITLES),
    "one metric": by_class(rows(["msp", "knn"]), metric=["auroc"], titles=TITLES),
    "intervals": looking(by_class(rows(["msp", "energy", "vim"]), titles=TITLES), 1, True),
    "parted": by_class(rows(["msp", "energy"]), titles=TITLES, seen=lambda name: name.startswith("n") or None),
    "many classes": by_class(rows(["msp", "energy"], 20), titles=TITLES),
}


@pytest.mark.parametrize("name", TABLES)
def test_latex_of_classes_is_sound(name):
    table = TABLES[name]
    text = FORMATS.get("latex")([table])
    floats = text.count(r"\begin{tabular}")
    assert check_latex(text) == len(table.rows) + floats * len(table.columns[0].heading)


@needs_latex
@pytest.mark.parametrize("name", TABLES)
def test_latex_of_classes_compiles_in_two_columns(name, tmp_path):
    compile_latex(FORMATS.get("latex")([TABLES[name]]), tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_html_has_as_many_cells_as_columns(name):
    table = TABLES[name]
    text = FORMATS.get("html")([table])
    body = text[text.index("<tbody") : text.rindex("</tbody>")]
    wide = len(table.columns) + 1  # blocks have a line of their own, so that one column holds all names
    for line in re.findall(r"<tr.*?</tr>", body, re.DOTALL):
        spans = [re.search(r'colspan="(\d+)"', cell) for cell in re.findall(r"<t[dh]([^>]*)>", line)]
        assert sum(int(span[1]) if span else 1 for span in spans) == wide
    assert AWKWARD not in text or not re.search("[<>&]", AWKWARD)
