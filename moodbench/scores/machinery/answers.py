"""A fit as what it was told: the values of the statistics that it asked for, noted once and told again.

A score's fit is a generator that asks for statistics and is sent their values. Those values are all that it knows of
the ID train rows. Told the same again, it learns the same, to the bit, without a pass over the rows; and they are plain
numbers, whatever a score makes of them (functions, objects of other libraries).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moodbench.scores.base import Fit, Score, Train
from moodbench.scores.machinery.passes import apart, each_statistic
from moodbench.scores.machinery.written import is_own


class OtherQuestionsError(Exception):
    """The fit asks for something else than it was told: the score is another than it was."""


@dataclass(frozen=True)
class Answer:
    """What a fit was sent at once.

    Attributes
    ----------
    asked : tuple of str
        The types of the statistics and the part of the rows that they saw.
    value : Any
        The value, or the tuple of values where several were asked for together.
    """

    asked: tuple[str, ...]
    value: Any


def recorded(score: Score, answers: list[Answer]) -> Score:
    """Return a copy of a score that is not fitted; its fit adds what it is sent to `answers`."""
    noting: Any = copy.copy(score)
    noting.fit = lambda train: _noted(score, train, answers)
    found: Score = noting
    return found


def _noted(score: Score, train: Train, answers: list[Answer]) -> Fit:
    fit = copy.copy(score).fit(train)
    value: Any = None
    while True:
        try:
            request = fit.send(value)
        except StopIteration:
            return
        value = yield request
        answers.append(Answer(_asked(request), copy.deepcopy(value)))


def replayed(score: Score, train: Train, answers: Sequence[Answer]) -> Score:
    """Return a copy of a score, fitted with what another fit was told.

    Raises
    ------
    OtherQuestionsError
        It asks for other statistics than those answers are to.
    """
    fitted = copy.copy(score)
    fit = fitted.fit(train if is_own(type(score)) else apart(train))
    value: Any = None
    for answer in answers:
        try:
            request = fit.send(value)
        except StopIteration:
            raise OtherQuestionsError("it asks for less") from None
        if _asked(request) != answer.asked:
            raise OtherQuestionsError(f"it asks for {', '.join(_asked(request))}, not {', '.join(answer.asked)}")
        value = answer.value
    try:
        fit.send(value)
    except StopIteration:
        return fitted
    raise OtherQuestionsError("it asks for more")


def _asked(request: Any) -> tuple[str, ...]:
    return tuple(f"{type(one).__name__} of {one.part}" for one in each_statistic(request))
