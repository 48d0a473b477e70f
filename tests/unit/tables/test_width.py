"""Tables in plain text for a terminal: parts that fit, and no number left out."""

from __future__ import annotations

import re

import pytest

from moodbench.tables.formats.base import FORMATS
from moodbench.tables.formats.text import plain_within
from moodbench.tables.grid import Cell, Column, Row, Table, grid
from tests.tables import SMALL, TITLES, result

WIDE = grid([result(f"model{i}", s, 0.5 + i / 100) for i in range(9) for s in ("msp", "energy", "knn")], titles=TITLES)


def numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+\.\d\d", text))


@pytest.mark.parametrize("width", [60, 80, 120, 1000])
def test_a_wide_table_goes_on_below_with_the_names_of_its_rows(width):
    text = plain_within([WIDE], width)
    assert max(map(len, text.splitlines())) <= width
    whole = FORMATS.get("plain")([WIDE])
    assert numbers(text) == numbers(whole)
    parts = text.count("family")
    assert parts == text.count("MSP  ") > (0 if width == 1000 else 1)
    rows = text.split("Percent;")[0]
    assert all(rows.count(f"model{i}") == 1 for i in range(9))


def test_the_metrics_of_a_model_stay_side_by_side():
    heads = [line for line in plain_within([WIDE], 60).splitlines() if line.startswith("family")]
    assert len(heads) > 1
    assert all(re.fullmatch(r"family +score( +AUROC ↑ +FPR95 ↓)+", line) for line in heads)


def test_without_a_width_nothing_is_folded():
    assert plain_within([WIDE], None) == FORMATS.get("plain")([WIDE])
    assert max(map(len, FORMATS.get("plain")([WIDE]).splitlines())) > 150


def test_names_and_words_are_folded_where_even_one_column_is_too_wide():
    long = "a name of many words that nobody cuts"
    table = Table(
        "t",
        ("model", "score"),
        (Column(("why",), kind="text"),),
        (Row(long, long, (Cell("words " * 20),)),),
        ("foot " * 30,),
    )
    text = plain_within([table], 50)
    assert max(map(len, text.splitlines())) <= 50
    for word, times in (("many", 2), ("words", 22), ("nobody", 2), ("foot", 30)):
        assert text.count(word) == times


VERDICTS = Table(
    "1 of 2 images is out",
    ("", "image"),  # no blocks: the first column is empty
    tuple(Column((name,), kind="text") for name in ("verdict", "p", "the nearest images of a dataset")),
    (
        Row("", "a folder/a name.png", (Cell("out"), Cell("0.003"), Cell("one.png 0.73, two.png 0.68"))),
        Row("", "LICENSE", (Cell("none: its content is not a known image format"), Cell(""), Cell(""))),
    ),
    (),
)


@pytest.mark.parametrize("table", [WIDE, VERDICTS], ids=["grid", "verdicts"])
def test_no_width_is_too_small(table):
    whole = FORMATS.get("plain")([table])
    for width in range(1, 130):
        text = plain_within([table], width)
        assert width < 15 or numbers(text) == numbers(whole)  # words of the footnotes are cut below
        if width >= 30:
            assert max(map(len, text.splitlines())) <= width, width


def test_headings_of_words_are_folded_too():
    text = plain_within([VERDICTS], 40)
    assert "the nearest images of a dataset" not in text
    assert all(word in text for word in ("the nearest", "dataset", "one.png", "two.png"))


def test_a_table_that_fits_is_as_it_was():
    table = grid(SMALL, titles=TITLES)
    assert plain_within([table], 120).splitlines()[:10] == FORMATS.get("plain")([table]).splitlines()[:10]
