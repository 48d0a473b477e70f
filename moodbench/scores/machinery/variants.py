"""Scores with several values of their parameters: every combination is a variant of its own, run beside the others.

Variants of one score run under labels: its name and, where there are several, its parameters behind a NUL, which no
name holds. `score_of` takes a label back to the name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Score, create_score

BEHIND = "\0"

MOST_VARIANTS = 200
"""Variants of one score: each keeps a number for every test row."""


def score_of(label: str) -> str:
    """Return the name of the score that runs under a label."""
    return label.partition(BEHIND)[0]


def make_variants(names: Iterable[str], params: Mapping[str, Mapping[str, Any]]) -> dict[str, Score]:
    """Return the scores with their parameters, by label; in the order of `names` and of the values.

    Parameters
    ----------
    names : iterable of str
    params : mapping of score to parameters
        A list (or tuple, range, NumPy array) of values is a sweep; several of them are a grid.

    Raises
    ------
    UnknownNameError, UsageError
        A score is unknown or is not among `names`, a value does not fit its parameter, a sweep is empty, too large, or
        makes the same variant twice.
    """
    names = list(names)
    for name in params:
        SCORES.get(name)
        if name not in names:
            raise UsageError(
                f"there are parameters for the score '{name}', which is not run",
                fix=f"run it too: --score {name}, or leave its --param out",
            )
    return {label: one for name in names for label, one in _of(name, params.get(name, {})).items()}


def _of(name: str, params: Mapping[str, Any]) -> dict[str, Score]:
    swept = {key: _values(name, key, value) for key, value in params.items()}
    count = math.prod(map(len, swept.values()))
    if count > MOST_VARIANTS:
        raise UsageError(
            f"the parameters of '{name}' make {count:,} variants, and at most {MOST_VARIANTS} run at once",
            fix="give fewer values, or sweep one parameter after the other",
        )
    made = [create_score(name, dict(zip(swept, values, strict=True))) for values in product(*swept.values())]
    if len(made) == 1:
        return {name: made[0]}
    found: dict[str, Score] = {}
    for one in made:
        params_of = one.describe()
        if f"{name}{BEHIND}{params_of}" in found:
            raise UsageError(f"two variants of '{name}' have the same parameters: {params_of}", fix="give each once")
        found[f"{name}{BEHIND}{params_of}"] = one
    return found


def _values(name: str, key: str, given: Any) -> list[Any]:
    """Return the values of a parameter: those of a list, or the one that is given."""
    if hasattr(given, "tolist"):  # NumPy and torch: an array, or one number
        given = given.tolist()
    if not isinstance(given, (list, tuple, range)):
        return [given]
    if not given:
        raise UsageError(f"the parameter '{name}.{key}' has no value", fix=f"give one at least: {key}=[1, 10]")
    return list(given)


@dataclass(frozen=True)
class Candidates:
    """Variants out of which one of each score will be chosen.

    Attributes
    ----------
    scores : dict of label to Score
    tuned : dict of name to tuple of str
        The parameters in which the variants of a score differ.
    untunable : tuple of str
        Scores that were asked for and have no parameter to try.
    """

    scores: dict[str, Score]
    tuned: dict[str, tuple[str, ...]]
    untunable: tuple[str, ...] = ()


def make_candidates(names: Iterable[str], params: Mapping[str, Mapping[str, Any]]) -> Candidates:
    """Return the variants to choose from: those that `params` lists, else those of the scores' own `sweep`.

    With a sweep of its own the defaults take part too. A parameter with a single value has that one.

    Raises
    ------
    UnknownNameError, UsageError
        As `make_variants`; or no score has anything to choose.
    """
    names = list(names)
    make_variants(names, params)  # refuses what cannot be
    scores: dict[str, Score] = {}
    tuned: dict[str, tuple[str, ...]] = {}
    for name in names:
        given = {key: _values(name, key, value) for key, value in params.get(name, {}).items()}
        swept = {key: values for key, values in given.items() if len(values) > 1}
        if not swept:
            own = {key: values for key, values in SCORES.get(name).sweep.items() if key not in given}
            defaults = SCORES.get(name).parameters()
            swept = {key: list(dict.fromkeys([defaults[key], *values])) for key, values in own.items()}
            swept = {key: sorted(values) for key, values in swept.items() if len(values) > 1}
        if swept:
            scores |= _of(name, {**given, **swept})
            tuned[name] = tuple(key for key in SCORES.get(name).parameters() if key in swept)
    if not scores:
        known = ", ".join(name for name in SCORES.names() if SCORES.get(name).sweep)
        raise UsageError(
            f"there is no parameter to tune in {', '.join(names)}",
            fix=f"list values, as in --param knn.k=1,10,100; scores with values of their own: {known}",
        )
    return Candidates(scores, tuned, tuple(name for name in names if name not in tuned))
