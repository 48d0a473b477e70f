"""How many images of a folder are OOD: Storey's estimate on their p-values, with an interval.

An ID image has a p-value above 1/2 in half of all cases; an OOD image, where the score tells it from ID, in none. So
the images above 1/2 say how many ID images there are, without a verdict on any of them. Images that stand below all ID
test images say more: they cannot all be ID, however few there are.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodbench.detection.conformal import p_values

LEVEL = 0.95

LAMBDA = 0.5
"""P-values above this count as of ID images. Larger values make the estimate less biased and less certain; Storey's
software and Bates et al. (2023) take a half."""


@dataclass(frozen=True)
class Share:
    """An estimated share of OOD images, a fraction, with its interval.

    Attributes
    ----------
    images : int
        That have a p-value.
    out, low, high : float or None
        None where there is no such image, or no ID test image.
    """

    images: int
    out: float | None
    low: float | None
    high: float | None


def share_out(calibration: NDArray[np.float64], values: NDArray[np.float64], *, level: float = LEVEL) -> Share:
    """Estimate which share of these images is OOD.

    With t the smallest score whose p-value is above `LAMBDA`, A of the m images reach t, and so do s of the n ID test
    images, u = s / (n + 1): share = 1 - A / (m u), Storey's 1 - pi_0 for p-values that are discrete and may be tied.

    How many of N further ID images reach t has a beta-binomial distribution with the parameters N, s and n + 1 - s,
    whatever the score is: both the ID test images and these are a sample. So N is refuted where A or more, or A or
    fewer, is less likely than the error that a limit may have, (1 - level) / 2.

    The lower limit rests on a second bound as well, each with half of the error: `most_id`, which knows more where
    single images stand far below all ID test images. It holds whatever the OOD images are. The upper one holds where
    they hardly ever score above the middle of ID: those that do count as ID.

    Parameters
    ----------
    calibration : (n,) float64
        Scores of the ID test images.
    values : (m,) float64
        Of the images, not NaN.
    level : float

    References
    ----------
    Storey, A direct approach to false discovery rates, Journal of the Royal Statistical Society B 2002; Bates et al.,
    Annals of Statistics 2023, arXiv 2104.08279 (conformal p-values and the coverage of an order statistic).
    """
    n, m = len(calibration), len(values)
    rank = math.floor(LAMBDA * (n + 1))
    if m == 0 or rank < 1:
        return Share(m, None, None, None)
    t = np.partition(calibration, rank - 1)[rank - 1]
    s = int((calibration >= t).sum())  # n + 1 - rank, and more where several score t
    reach = int((values >= t).sum())
    tail = (1 - level) / 2
    # the fewest and the most ID images that are not refuted
    fewest = bisect_left(range(reach, m), True, key=lambda count: at_least(reach, count, s, n + 1 - s) > tail) + reach
    beyond = bisect_left(range(reach, m + 1), True, key=lambda count: at_most(reach, count, s, n + 1 - s) <= tail / 2)
    most = min(max(reach + beyond - 1, reach), most_id(p_values(calibration, values), tail / 2))
    fewest = min(fewest, most)  # images far below and far above the middle: the assumption of the upper limit is wrong
    out = (m * s - reach * (n + 1)) / (m * s)  # whole numbers, rounded once
    return Share(m, min(max(out, (m - most) / m), (m - fewest) / m), (m - most) / m, (m - fewest) / m)


def most_id(p: NDArray[np.float64], error: float) -> int:
    """Return how many of these images may be ID at most: with a probability of at least 1 - `error`, no more are.

    Closed testing with Simes' test, which holds for conformal p-values: i images may be ID unless, of their p-values in
    order, the j-th is at most j error / i for some j. Of all sets of i images that with the largest p-values is refuted
    last. With p_(k) the k-th smallest of all m, the largest such i is the largest below
    (m - k) error / (error - p_(k)) for every k with p_(k) < error.

    Parameters
    ----------
    p : (m,) float64
    error : float

    References
    ----------
    Hommel, A stagewise rejective multiple test procedure, Biometrika 1988; Goeman and Solari, Multiple testing for
    exploratory research, Statistical Science 2011; Bates et al., Annals of Statistics 2023, arXiv 2104.08279, theorem 2
    (conformal p-values of ID images are positively dependent, so that Simes' test is valid).
    """
    m = len(p)
    small = np.sort(p[p < error])
    if not len(small):
        return m
    bound = float(((m - np.arange(1, len(small) + 1)) * error / (error - small)).min())
    return max(min(m, math.ceil(bound) - 1), 0)


def at_most(reach: int, count: int, s: float, t: float) -> float:
    """Return the probability of at most `reach` successes in `count` trials, beta-binomial (s, t)."""
    from scipy.special import betaln, gammaln

    if reach >= count:
        return 1.0
    j = np.arange(reach + 1)
    choose = gammaln(count + 1) - gammaln(j + 1) - gammaln(count - j + 1)
    return float(np.exp(choose + betaln(j + s, count - j + t) - betaln(s, t)).sum())


def at_least(reach: int, count: int, s: float, t: float) -> float:
    """Return the probability of at least `reach` successes."""
    return 1.0 if reach == 0 else 1 - at_most(reach - 1, count, s, t)
