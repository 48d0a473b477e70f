"""What is unusual about scores of rows (not a number, infinite, all the same): a note, or a reason for none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from moodbench.scores.base import Score
from moodbench.scores.machinery.written import in_words, is_own, method_place

Array = NDArray[np.float64]

MOST_NOT_NUMBERS = 0.01
"""Share of a dataset's rows for which a score may be NaN; with more, or more than one of a few, it has no result."""


def add_note(score: Score, note: str) -> None:
    """Add a note to what the results say of a score already."""
    score.note_ = "; ".join(filter(None, [score.said, note]))


def too_many_not_numbers(bad: NDArray[np.bool_]) -> bool:
    """Say whether so many rows of a dataset are not a number that the score has no result; `bad` (N,) says which."""
    return bool(bad.sum() > max(1, MOST_NOT_NUMBERS * len(bad)))


def not_numbers(scores: Mapping[str, Score], values: Mapping[tuple[str, str], Array]) -> dict[str, str]:
    """Return the scores that are NaN for more than a few rows of a dataset, with a reason; note it of the others.

    A fault of one score must not cost the others, and one bad row not its score.
    """
    missing = {}
    for name, score in scores.items():
        bad = {dataset: np.isnan(array) for (dataset, one), array in values.items() if one == name}
        count, rows = sum(int(one.sum()) for one in bad.values()), sum(map(len, bad.values()))
        if any(map(too_many_not_numbers, bad.values())):
            place = "" if is_own(type(score)) else in_words(method_place(type(score), "score"))
            missing[name] = f"not a number for {count} of {rows} rows" + (f" ({place})" if place else "")
        elif count:
            add_note(score, f"{count} of {rows} rows are not a number and count as errors")
    return missing


def note_degenerate(
    scores: Mapping[str, Score], missing: Mapping[str, str], values: Mapping[tuple[str, str], Array]
) -> None:
    """Note scores that tell no rows apart or are infinite: their 50.00 means something else than chance."""
    for name, score in scores.items():
        arrays = [array[~np.isnan(array)] for (_, one), array in values.items() if one == name]
        arrays = [array for array in arrays if len(array)]
        if name in missing or score.control or not arrays:
            continue
        infinite = sum(int(np.isinf(array).sum()) for array in arrays)
        if min(array.min() for array in arrays) == max(array.max() for array in arrays):
            add_note(score, "all rows score the same")
        elif infinite:
            add_note(score, f"{infinite} of {sum(map(len, arrays))} rows score infinity")
