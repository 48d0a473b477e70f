"""Candidates for negative labels: lists of words, of which those far from all ID classes are kept (NegLabel)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import UsageError
from moodbench.sizes import many
from moodbench.texts.prompts import PLACE, called, check_prompt, lines_of

MOST_BYTES = 64 << 20

SHARE = 0.15
"""Of each list, so much is kept."""

SHOWN = 5
"""Words that a message names; it counts more of them."""

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
    own = {_spelt(word) for word in classes}
    seen: set[str] = set()
    found = []
    for file in files:
        lines = [line for _, line in lines_of(file, "the list of negatives", MOST_BYTES)]
        said = tuple(prompts)
        if lines and PLACE in lines[0]:
            check_prompt(lines[0], file)
            said = (lines.pop(0),)
        fresh = [word for word in dict.fromkeys(lines) if word not in seen]
        seen.update(fresh)
        left_out = tuple(word for word in fresh if _spelt(word) in own)
        words = tuple(word for word in fresh if _spelt(word) not in own)
        if not words:
            raise UsageError(
                _nothing_left(len(lines), left_out),
                file=file,
                fix="give a list of words that are no ID classes, one a line, or leave it out",
            )
        found.append(Candidates(file, said, words, left_out))
    return found


def _spelt(word: str) -> str:
    return called(word.replace("_", " "))


def id_classes(words: Sequence[str]) -> str:
    """Say how many words of a list are ID classes, and name the first few."""
    some = ", ".join(f"'{word}'" for word in words[:SHOWN]) + (f" and {len(words) - SHOWN} more" * (len(words) > SHOWN))
    return f"{many(len(words), 'word')} ({some}), which {'is an ID class' if len(words) == 1 else 'are ID classes'}"


def _nothing_left(count: int, left_out: Sequence[str]) -> str:
    """Say why a list of so many words has none to choose from."""
    if not count:
        return "the list of negatives is empty"
    why = f"it has {id_classes(left_out)}" if left_out else "the lists before it have them all"
    return f"no word of the list of negatives is left: {why}"
