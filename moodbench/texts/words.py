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
from moodbench.sizes import many
from moodbench.texts.prompts import called, lines_of

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
        return Words(None if names is None else tuple(names), *_from_file(names, count, file))
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


def _from_file(names: Sequence[str] | None, count: int, file: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of the classes, and what somebody should know."""
    wanted = list(names) if names is not None else [str(i) for i in range(count)]
    lines = lines_of(file, "the file of class names", MOST_BYTES, strip=" ")
    known = _by_name(lines, file)
    if known is None:
        if len(lines) != count:
            raise UsageError(
                f"there are {many(count, 'class', 'classes')}, and {many(len(lines), 'line')}",
                file=file,
                fix="write one line for each class in order, or lines of NAME<tab>WORDS",
            )
        words, others = [line.strip() for _, line in lines], []
    else:
        missing = [name for name in wanted if name not in known]
        if missing:
            raise UsageError(f"the file has no words for {shown(missing)}", file=file, fix="add a line NAME<tab>WORDS")
        words, others = [known[name] for name in wanted], [name for name in known if name not in wanted]
    _refuse_twice(wanted, words, UsageError, file, "give each its own words")
    which = "is" if len(others) == 1 else "are"
    remark = f"{file.name}: left out {shown(others)}, which {which} not among the {count} here" if others else ""
    return tuple(words), (remark,) if remark else ()


def _by_name(lines: Sequence[tuple[int, str]], file: Path) -> dict[str, str] | None:
    """Return class → words of lines of ``NAME<tab>WORDS``; None where they are words alone."""
    found = []
    for number, line in lines:
        name, tab, words = line.partition("\t")
        found.append((number, name.strip(), tab, words.strip()))
    if not any(words for *_, words in found):
        return None
    for number, name, tab, words in found:
        if not (name and words):
            what = "has no tab, and others have"
            if tab:
                what = "has no words behind its tab" if name else "has no name before its tab"
            raise UsageError(f"line {number} {what}", file=file, fix="write NAME<tab>WORDS")
    again = [name for name, n in Counter(name for _, name, *_ in found).items() if n > 1]
    if again:
        raise UsageError(f"two lines are about {shown(again)}", file=file, fix="keep one of them")
    return {name: words for _, name, _, words in found}


def _refuse_twice(
    names: Sequence[str], words: Sequence[str], kind: type[UsageError] | type[ModelError], file: Path | None, fix: str
) -> None:
    """Refuse two classes that a sentence could not tell apart."""
    alike: dict[str, list[int]] = {}
    for number, word in enumerate(words):
        alike.setdefault(called(word), []).append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            which = shown([names[number] for number in numbers])
            raise kind(f"{which} are all called '{words[numbers[0]]}'", file=file, fix=fix)
