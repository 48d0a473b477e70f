"""How lists are printed: aligned text for people, an array of objects for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from moodbench.cli.output import terminal_width


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a JSON array of objects, each with at least `name`."""
    return json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n"


MOST_LINES = 4
"""Lines on a terminal that a row may take in columns; what needs more is easier to read as a paragraph."""


SHORT = 24
"""Letters of a key with its value that stay in one line of a paragraph."""

_KEPT = "\0"


def as_text(rows: Sequence[Mapping[str, Any]], indent: int = 0) -> str:
    """Return aligned columns headed by the keys of the first row; None and empty values stay blank.

    On a terminal, words of the widest columns go on in further lines, so that the columns, `indent` letters from the
    left, fit its width. Where that would break words or take more than `MOST_LINES` lines, each row is a paragraph: its
    first value, then the others with their keys. Elsewhere a row is one line whatever its width.
    """
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    keys, terminal = list(rows[0]), terminal_width()
    if terminal is None:
        lines = _columns([keys, *cells])
    else:
        lines = _in_columns([keys, *cells], terminal - indent) or _paragraphs(keys, cells, terminal - indent)
    return "".join(f"{' ' * indent}{line}".rstrip() + "\n" for line in lines)


def as_facts(facts: Iterable[tuple[str, str]], indent: int = 0, most: int | None = None, gap: int = 2) -> str:
    """Return a line for each key with its value; on a terminal long values go on below, beside their keys.

    `most`: letters of a line that are not exceeded elsewhere either; `gap`: blanks behind the longest key.
    """
    facts = list(facts)
    wide = max((len(key) for key, _ in facts), default=0)
    room = _room(most)
    lines = []
    for key, value in facts:
        first = f"{' ' * indent}{key:{wide}}{' ' * gap}"
        folded = [value] if room is None else _folded(value, max(room - len(first), LEAST))
        lines += [(" " * len(first) if number else first) + line for number, line in enumerate(folded)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def as_prose(text: str, indent: int = 0) -> str:
    """Return text as it is written; on a terminal that is narrower, paragraphs are set anew where they do not fit."""
    room, before = _room(None), " " * indent
    lines = text.splitlines()
    if room is not None and max(map(len, lines), default=0) > room - indent:
        lines = [line for part in _written(lines) for line in _reset(part, max(room - indent, LEAST))]
    return "".join(f"{before}{line}".rstrip() + "\n" for line in lines)


LEAST, FULL = 20, 85
"""Letters that lines keep however narrow the terminal is, and those of lines that were broken for their length."""


def _room(most: int | None) -> int | None:
    return min((one for one in (terminal_width(), most) if one is not None), default=None)


def _written(lines: Sequence[str]) -> list[list[str]]:
    """Return the lines of each paragraph, as far as they can be told: what follows a full line goes on with it."""
    parts: list[list[str]] = []
    for line in lines:
        goes_on = parts and len(parts[-1][-1]) >= FULL and line.strip() and _margin(line) == _margin(parts[-1][-1])
        parts[-1:] = [[*parts[-1], line]] if goes_on else [*parts[-1:], [line]]
    return parts


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _reset(lines: Sequence[str], width: int) -> list[str]:
    if max(map(len, lines)) <= width:
        return list(lines)
    before = " " * _margin(lines[0])
    return [
        before + line for line in _folded(" ".join(line.strip() for line in lines), max(width - len(before), LEAST))
    ]


def _columns(cells: Sequence[Sequence[str]]) -> list[str]:
    from tabulate import tabulate

    # as headers, the keys would be padded by two blanks more
    return tabulate(cells, tablefmt="plain", disable_numparse=True).splitlines()


def _in_columns(cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the lines of columns that fit, and nothing where there are none that read well."""
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    left = width - 2 * (len(columns) - 1)
    for most in range(max(widths), 0, -1):  # at the cost of the widest
        rooms = [max(min(n, most), least) for n, least in zip(widths, words, strict=True)]
        if sum(rooms) <= left:
            folded = [["\n".join(_folded(c, n)) for c, n in zip(line, rooms, strict=True)] for line in cells]
            high = max(cell.count("\n") + 1 for line in folded for cell in line)
            return _columns(folded) if high <= MOST_LINES else []
    return []


def _paragraphs(keys: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    lines = []
    for first, *others in cells:
        pairs = [f"{key}: {value}" for key, value in zip(keys[1:], others, strict=True) if value]
        whole = [pair.replace(" ", _KEPT) if len(pair) <= SHORT else pair for pair in pairs]
        folded = _folded(" · ".join(whole), max(width - 2, 1))
        lines += [first, *(f"  {line}".replace(_KEPT, " ") for line in folded)]
    return lines


def _folded(text: str, room: int) -> list[str]:
    return wrap(text, room, break_on_hyphens=False, break_long_words=False) if len(text) > room else [text]
