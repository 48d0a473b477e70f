"""How many images of a folder are OOD: Storey's estimate on their p-values, with an interval.

An ID image has a p-value above 1/2 in half of all cases; an OOD image, where the score tells it from ID, in none. So
the images above 1/2 say how many ID images there are, without a verdict on any of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

    The interval is exact. How many of N further ID images reach t has a beta-binomial distribution with the parameters
    N, s and n + 1 - s, whatever the score is: both the ID test images and these are a sample. It has every N under
    which neither A or more nor A or fewer is less likely than (1 - level) / 2.

    The lower limit holds whatever the OOD images are. The upper one holds where they hardly ever score above the middle
    of ID: those that do count as ID.

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
    beyond = bisect_left(range(reach, m + 1), True, key=lambda count: at_most(reach, count, s, n + 1 - s) <= tail)
    most = max(reach + beyond - 1, fewest)
    out = 1 - reach / m / (s / (n + 1))
    return Share(m, min(max(out, 1 - most / m), 1 - fewest / m), 1 - most / m, 1 - fewest / m)


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
