"""Candidates for negative labels: lists of words, of which those far from all ID classes are kept (NegLabel)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import UsageError
from moodbench.texts.prompts import PLACE, lines_of, read_prompts

MOST_BYTES = 64 << 20

SHARE = 0.15
"""Of each list, so much is kept."""

QUANTILE = 0.95
"""Of the cosines to the ID classes, this one says how far a word is from them."""


@dataclass(frozen=True)
class Candidates:
    """The words of one list.

    Attributes
    ----------
    file : Path
    prompts : tuple of str
        What is said of each.
    words : tuple of str
    left_out : tuple of str
        Words of the list that are ID classes.
    """

    file: Path
    prompts: tuple[str, ...]
    words: tuple[str, ...]
    left_out: tuple[str, ...]


def read_candidates(files: Sequence[Path], prompts: Sequence[str], classes: Sequence[str]) -> list[Candidates]:
    """Return the words of lists, one a line; a first line with ``{}`` is what is said of those of its list.

    A word that an earlier list has, or an earlier line, counts once; those that are ID classes are left out.

    Parameters
    ----------
    files : sequence of Path
    prompts : sequence of str
        Of lists that say none themselves.
    classes : sequence of str
        What ID classes are called.

    Raises
    ------
    UsageError
        A file cannot be read, or no word of it is left.
    """
    own = {word.casefold() for word in classes}
    seen: set[str] = set()
    found = []
    for file in files:
        lines = [line for _, line in lines_of(file, "the list of negatives", MOST_BYTES)]
        said = tuple(prompts)
        if lines and PLACE in lines[0]:
            said = read_prompts(lines.pop(0))
        fresh = [word for word in dict.fromkeys(lines) if word not in seen]
        seen.update(fresh)
        left_out = tuple(word for word in fresh if _called(word) in own)
        words = tuple(word for word in fresh if _called(word) not in own)
        if not words:
            raise UsageError("no word of the list is left" if lines else "the list of negatives is empty", file=file)
        found.append(Candidates(file, said, words, left_out))
    return found


def _called(word: str) -> str:
    return " ".join(word.replace("_", " ").split()).casefold()
