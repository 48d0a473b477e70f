"""How wide text is on paper, and names in lines that fit: measured with the font itself, not guessed from letters."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, get_font

from moodbench.plots.base import STYLE, plain

SMALL = 6.0
"""The smallest letters, in points."""

LARGE = 96.0
"""Points at which text is measured: hints hardly matter."""

MORE = 1.03
"""By so much text may be wider where a picture has few dots: letters then begin at whole ones."""


@lru_cache(maxsize=8192)
def inches_of(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width in inches of one line of text, its size in points."""
    font = get_font(findfont(FontProperties(family=STYLE["font.family"], weight="bold" if bold else "normal")))
    font.set_size(LARGE, 72)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # a box stands for it
        font.set_text(text)
    return float(MORE * font.get_width_height()[0] / 64 / 72 * size / LARGE)


def in_lines(text: str, inches: float, size: float, *, bold: bool = False) -> list[str]:
    """Return a text in lines that are no wider: parted at spaces, behind hyphens and the like, and else anywhere."""
    lines = [""]
    for word in re.findall(r"\S+", text):
        lines += _begun(lines.pop(), word, inches, size, bold)
    return lines


def _begun(line: str, word: str, inches: float, size: float, bold: bool) -> list[str]:
    """Return what becomes of a line that a word follows."""
    whole = f"{line} {word}" if line else word
    if inches_of(whole, size, bold=bold) <= inches:
        return [whole]
    if inches_of(word, size, bold=bold) <= inches:
        return [line, word]
    lines = [line] if line else []
    parts = re.findall(r"[^-_/:@+]*[-_/:@+]+|[^-_/:@+]+", word)
    rest = ""
    for part in parts:
        if inches_of(rest + part, size, bold=bold) <= inches:
            rest += part
            continue
        lines += [rest] if rest else []
        rest = part
        while inches_of(rest, size, bold=bold) > inches and len(rest) > 1:
            fits = max(1, next(n for n in range(len(rest), -1, -1) if inches_of(rest[:n], size, bold=bold) <= inches))
            lines.append(rest[:fits])
            rest = rest[fits:]
    return [*lines, rest]


def wrapped(text: str, inches: float, size: float = SMALL, *, bold: bool = False) -> str:
    """Return a name in lines that are no wider, as matplotlib is to write it."""
    return "\n".join(map(plain, in_lines(text, inches, size, bold=bold)))


def shortened(text: str, inches: float, size: float = SMALL) -> str:
    """Return a name on one line, its end left out where it is wider, as matplotlib is to write it."""
    return plain(cut(text, inches, size))


def cut(text: str, inches: float, size: float = SMALL) -> str:
    """Return a name on one line, its end left out where it is wider."""
    text = " ".join(text.split())
    if inches_of(text, size) <= inches:
        return text
    fits = next((n for n in range(len(text), 0, -1) if inches_of(text[:n] + "…", size) <= inches), 1)
    return text[:fits].rstrip() + "…"


def widest(texts: Sequence[str], size: float, *, bold: bool = False) -> float:
    """Return the inches of the widest of some lines; 0 of none."""
    return max((inches_of(line, size, bold=bold) for text in texts for line in text.split("\n")), default=0.0)
