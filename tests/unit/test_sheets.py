"""Lines of CSV: read back to the letter, and no formulas where people open them."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.sheets import exact_line, no_formula, shown_line


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=2, max_size=6))
def test_a_line_is_read_back_to_the_letter(cells):
    assert list(csv.reader(io.StringIO(exact_line(cells), newline=""), strict=True)) == [cells]


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@sum", "\tx", "\rx"])
def test_what_a_spreadsheet_would_compute_is_a_text(text):
    assert no_formula(text) == f"'{text}"
    assert no_formula("-1.5e3") == "-1.5e3"
    assert no_formula("x=1") == "x=1"


def test_numbers_and_nothing_stay_as_they_are():
    assert shown_line(["=a", None, -1.5, "-inf", ""]) == "'=a,,-1.5,-inf,\n"
