"""Who wins over several datasets: average ranks, Friedman's test, and Nemenyi's critical difference.

On each dataset the entrants are ranked, 1 for the best, the mean of their places for those that tie. That asks nothing
of the scale of the numbers, so datasets on which all differ by little count as much as those on which all differ by
much; and one dataset is one observation, however many images it has.

References
----------
Friedman, J. Am. Stat. Assoc. 32 (1937). Iman and Davenport, Commun. Stat. 9 (1980), the F statistic, which is less
conservative than Friedman's. Nemenyi, thesis, Princeton (1963). Demsar, JMLR 7 (2006), sections 3.2.2 and 3.2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike

from moodbench.ranking import Array

LEVEL = 0.05


@dataclass(frozen=True)
class AverageRanks:
    """How entrants rank over datasets.

    Attributes
    ----------
    ranks : (k,)
        The average rank of each entrant; 1 is the best.
    wins : (k,)
        Of all encounters with another entrant on a dataset the share that it wins, a tie being half a win:
        (k - rank) / (k - 1).
    datasets : int
    p : float
        Of Iman and Davenport's F: how often ranks differ as much where all entrants are alike.
    critical_difference : float
        Nemenyi's, at 5 %: two entrants whose average ranks differ by less are not told apart.
    """

    ranks: Array
    wins: Array
    datasets: int
    p: float
    critical_difference: float


def average_ranks(values: ArrayLike, *, higher: bool) -> AverageRanks:
    """Return the average ranks of k entrants over n datasets.

    Parameters
    ----------
    values : (n, k)
        n and k at least 2. Differences below 1e-12 are ties.
    higher : bool
        Whether a higher value is better.
    """
    from scipy.stats import f, rankdata, studentized_range

    given = np.round(np.asarray(values, dtype=np.float64), 12)
    n, k = given.shape
    each = np.asarray(rankdata(-given if higher else given, axis=1), dtype=np.float64)
    ranks = each.mean(axis=0)
    spread = float(np.sum((each - (k + 1) / 2) ** 2)) / (n * (k - 1))  # k (k + 1) / 12 where nothing ties
    between = n * float(np.sum((ranks - (k + 1) / 2) ** 2))
    chi_squared = between / spread if spread > 0 else 0.0
    most = n * (k - 1)
    statistic = (n - 1) * chi_squared / (most - chi_squared) if chi_squared < most * (1 - 1e-12) else inf
    p = float(f.sf(statistic, k - 1, (k - 1) * (n - 1)))
    critical = float(studentized_range.ppf(1 - LEVEL, k, inf)) / sqrt(2) * sqrt(k * (k + 1) / (6 * n))
    return AverageRanks(ranks, (k - ranks) / (k - 1), n, p, critical)
