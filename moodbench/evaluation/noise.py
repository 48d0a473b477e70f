"""Wrong labels in ID train, on purpose: how much does each score that learns from labels lose?

The noise is symmetric: a share of the rows, drawn at random, has its label replaced by another class, each as likely.
With the same seed, the rows of a smaller share are among those of a larger one, and are wrong in the same way.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError, UsageError
from moodbench.evaluation.caches import Caches
from moodbench.scores.base import Score

Labels = NDArray[np.int64]


def check_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """Return shares of wrong labels, ascending.

    Raises
    ------
    UsageError
        One is none, or is given twice.
    """
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
            hint = f"; did you mean {share / 100:g}?" if _is_percent(share) else ""
            raise UsageError(
                f"the share of wrong labels is above 0 and at most 1, got {share!r:.80}{hint}",
                fix="--label-noise 0.1 is a tenth",
            )
    shown = [f"{share:g}" for share in shares]
    if len(set(shown)) < len(shown):
        raise UsageError(
            f"a share of wrong labels is given twice: {', '.join(shown)}", fix="name each once in --label-noise"
        )
    return tuple(sorted(float(share) for share in shares))


def _is_percent(share: object) -> bool:
    return isinstance(share, (int, float)) and not isinstance(share, bool) and math.isfinite(share) and 1 < share <= 100


def reading_labels(scores: Mapping[str, Score]) -> dict[str, Score]:
    """Return those of the scores that learn from labels of ID train; the others are the same whatever these say."""
    return {label: one for label, one in scores.items() if "labels" in one.needs}


def noisy_labels(labels: Labels, classes: Sequence[int], share: float, seed: int) -> Labels:
    """Return labels of which a share is another class.

    Parameters
    ----------
    labels : (N,) int64
    classes : sequence of int
        Between which labels are exchanged, ascending, two at least. Rows with another label stay as they are.
    share : float
        Of the rows with one of these labels; rounded to a whole number of rows, half up.
    seed : int
    """
    rng = np.random.default_rng(seed)
    known = np.array(classes, np.int64)
    rows = np.flatnonzero(np.isin(labels, known))
    order = rng.permutation(len(rows))
    further = rng.integers(1, len(known), len(rows))  # how many classes to go on, in a circle
    chosen = order[: math.floor(share * len(rows) + 0.5)]
    noisy = labels.copy()
    place = np.searchsorted(known, labels[rows[chosen]])
    noisy[rows[chosen]] = known[(place + further[chosen]) % len(known)]
    return noisy


def with_noise(caches: Caches, share: float, seed: int) -> Caches:
    """Return the caches with a share of the labels of ID train replaced; of ID train without labels, as they are.

    ID validation and test rows keep theirs. Labels must be in one numbering (`Caches.by_name`).

    Raises
    ------
    CacheError
        There is a single class.
    """
    joined = caches.joined
    assert joined is not None
    if not joined.present:
        return caches
    if len(joined.present) < 2:
        raise CacheError("wrong labels need a second class, and ID train has one", file=caches.train.file)
    noisy = noisy_labels(caches.train.labels, joined.present, share, seed)
    labels = {**joined.labels, caches.train.file.stem: noisy}
    return replace(caches, train=caches.train.relabelled(noisy), joined=replace(joined, labels=labels))


def under_noise(scores: Mapping[str, Score], share: float) -> dict[str, Score]:
    """Return copies of the scores that describe themselves as run with this share of wrong labels."""
    found = copy.deepcopy(dict(scores))
    for one in found.values():
        one.label_noise_ = (share, 0)
    return found
