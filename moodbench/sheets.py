"""Lines of CSV, one writer for all: what programs read back to the letter, and what people open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable

_SPECIAL = ',"\r\n'
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets take for a formula, and compute."""


def exact_line(cells: Iterable[object]) -> str:
    """Return the cells as a line of CSV, quoted where needed; None is an empty cell."""
    # Not csv.writer: before Python 3.13 it leaves a lone carriage return unquoted, which no reader accepts.
    return ",".join(_quoted("" if cell is None else str(cell)) for cell in cells) + "\n"


def shown_line(cells: Iterable[object]) -> str:
    """Do the same for a table that people may open: a text that would be a formula has an apostrophe in front."""
    return exact_line(no_formula(cell) if isinstance(cell, str) else cell for cell in cells)


def no_formula(text: str) -> str:
    """Return the text, with an apostrophe in front where a spreadsheet would compute it. A number is none."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(letter in text for letter in _SPECIAL) else text
