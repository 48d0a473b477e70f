"""Prompts: sentences in which the name of a class takes the place of ``{}``."""

from __future__ import annotations

import os
from pathlib import Path

from moodbench.errors import UsageError
from moodbench.reading import lack_of, read_text

PLACE = "{}"
"""Where the name of a class goes."""

IMAGENET80 = "imagenet80"
"""The eighty that OpenAI published for ImageNet, which open_clip brings along."""

DEFAULT = "a photo of a {}"

MOST_BYTES = 1 << 20


def read_prompts(given: str) -> tuple[str, ...]:
    """Return prompts by what a user gave: ``imagenet80``, a sentence with ``{}``, or a file with one a line.

    Raises
    ------
    UsageError
        It is none of these, or a line of the file has not one ``{}``.
    ModelError
        ``imagenet80`` without open_clip.
    """
    if given == IMAGENET80:
        from moodbench.models.clip.library import open_clip

        return tuple(template(PLACE) for template in open_clip().OPENAI_IMAGENET_TEMPLATES)
    if PLACE in given:
        check_prompt(given)
        return (given,)
    if lack_of(Path(given)) is not None:
        raise UsageError(
            f"the prompts are '{given[:80]}', which has no {PLACE} for the name of a class and is "
            + ("a folder" if os.path.isdir(given) else "no file"),  # noqa: PTH112 (which `Path` raises an error for)
            fix=f'write {IMAGENET80}, a sentence as "{DEFAULT}", or the name of a file with one a line',
        )
    file = Path(given)
    lines = lines_of(file, "the file of prompts")
    if not lines:
        raise UsageError("the file of prompts is empty", file=file, fix=f'write one a line, as "{DEFAULT}"')
    for number, line in lines:
        check_prompt(line, file, number)
    return tuple(line for _, line in lines)


def lines_of(file: Path, what: str, most: int = MOST_BYTES, strip: str | None = None) -> list[tuple[int, str]]:
    """Return the lines of a text that hold something, with their numbers; `strip`: what is taken off their ends."""
    text = read_text(file, what, UsageError, most=most)
    return [(number, line.strip(strip)) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def check_prompt(prompt: str, file: Path | None = None, number: int | None = None) -> None:
    """Refuse a sentence, perhaps of a line of a file, that has not one place for the name of a class."""
    if prompt.count(PLACE) != 1:
        raise UsageError(
            f"the prompt '{prompt[:80]}'{'' if number is None else f' (line {number})'} should have one {PLACE}, where "
            f"the name of a class goes, and has {prompt.count(PLACE) or 'none'}",
            file=file,
            fix=f'write it as "{DEFAULT}"',
        )


def called(words: str) -> str:
    """Return what text towers make of words before they read them: tokenizers know no case and no second blank."""
    return " ".join(words.split()).casefold()


def filled(prompt: str, words: str) -> str:
    """Return the sentence about a class."""
    return prompt.replace(PLACE, words)
