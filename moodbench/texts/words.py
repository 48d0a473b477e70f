"""What classes are called in words: of WordNet ids of ImageNet by open_clip's list, of others as their data calls them.

Data names its classes by folders: ``n01440764``, ``aquarium_fish``, ``3``. Sentences need words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moodbench.classes import shown
from moodbench.datasets.labels import imagenet_wnids
from moodbench.errors import ModelError, UsageError
from moodbench.texts.prompts import lines_of

_WNID = re.compile(r"n\d{8}")

MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Words:
    """What classes are called.

    Attributes
    ----------
    classes : tuple of str, or None
        As their data names them; None where nobody knows.
    words : tuple of str
        As sentences name them.
    remarks : tuple of str
        What somebody should know.
    """

    classes: tuple[str, ...] | None
    words: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def words_of(names: Sequence[str] | None, count: int, file: Path | None = None) -> Words:
    """Return what classes are called in words.

    Parameters
    ----------
    names : sequence of str, or None
        As their data names them, in order.
    count : int
        How many they are.
    file : Path, optional
        Says it: lines of ``NAME<tab>WORDS``, or words alone, one line for each class in order.

    Raises
    ------
    UsageError
        The file has no words for a class, or the same for two, or another number of lines than there are classes.
    ModelError
        The names are unknown, or nobody has words for them, and no file is given; or open_clip is missing.
    """
    fix = "say what they are: --class-names FILE, with lines of NAME<tab>WORDS"
    if file is not None:
        return Words(None if names is None else tuple(names), _from_file(names, count, file))
    if names is None:
        raise ModelError(
            f"the names of the {count} classes are unknown",
            fix="say what they are: --class-names FILE, with one line for each class, in order",
        )
    if all(_WNID.fullmatch(name) for name in names):
        words, said = _of_imagenet(names, fix)
    else:
        words, said = [" ".join(name.replace("_", " ").split()) for name in names], ()
        if all(name.isdecimal() for name in names):
            said = (f"the prompts call the classes by their numbers: {shown(names)}; {fix}",)
        empty = [name for name, one in zip(names, words, strict=True) if not one]
        if empty:
            raise ModelError(f"there are no words in the name of {shown(empty)}", fix=fix)
        _refuse_twice(names, words, ModelError, None, fix)
    return Words(tuple(names), tuple(words), said)


def _of_imagenet(names: Sequence[str], fix: str) -> tuple[list[str], tuple[str, ...]]:
    from moodbench.models.clip.library import open_clip

    known: Mapping[str, str] = dict(zip(imagenet_wnids(), open_clip().IMAGENET_CLASSNAMES, strict=True))
    strange = [name for name in names if name not in known]
    if strange:
        raise ModelError(f"no words are known for {shown(strange)}, which ImageNet-1k does not have", fix=fix)
    words = [known[name] for name in names]
    twice = [word for word, n in Counter(words).items() if n > 1]
    said = f"OpenAI's names of ImageNet call two classes {' and two '.join(repr(one) for one in twice)}"
    return words, (said,) if twice else ()


def _from_file(names: Sequence[str] | None, count: int, file: Path) -> tuple[str, ...]:
    lines = lines_of(file, "the file of class names", MOST_BYTES)
    pairs: list[tuple[int, str, str]] = []
    for number, line in lines:
        left, _, right = line.partition("\t")
        pairs.append((number, left.strip(), right.strip()))
    tabbed = [pair for pair in pairs if pair[2]]
    if not tabbed:
        if len(pairs) != count:
            raise UsageError(
                f"there are {count} classes, and {len(pairs)} lines",
                file=file,
                fix="write one line for each class in order, or lines of NAME<tab>WORDS",
            )
        words = [words for _, words, _ in pairs]
        _refuse_twice(list(names or map(str, range(count))), words, UsageError, file, "give each its own words")
        return tuple(words)
    bare = next((number for number, _, words in pairs if not words), None)
    if bare is not None:
        raise UsageError(f"line {bare} has no tab, and others have", file=file, fix="write NAME<tab>WORDS")
    named = [name for _, name, _ in pairs]
    again = [name for name, n in Counter(named).items() if n > 1]
    if again:
        raise UsageError(f"two lines are about {shown(again)}", file=file, fix="keep one of them")
    known = {name: words for _, name, words in pairs}
    wanted = list(names) if names is not None else [str(i) for i in range(count)]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise UsageError(f"the file has no words for {shown(missing)}", file=file, fix="add a line NAME<tab>WORDS")
    words = [known[name] for name in wanted]
    _refuse_twice(wanted, words, UsageError, file, "give each its own words")
    return tuple(words)


def _refuse_twice(
    names: Sequence[str], words: Sequence[str], kind: type[UsageError] | type[ModelError], file: Path | None, fix: str
) -> None:
    """Refuse two classes that a sentence could not tell apart."""
    counts = Counter(words)
    for word, n in counts.items():
        if n > 1:
            which = [name for name, own in zip(names, words, strict=True) if own == word]
            raise kind(f"{shown(which)} are all called '{word}'", file=file, fix=fix)
