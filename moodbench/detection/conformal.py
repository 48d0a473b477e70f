"""What a score says about one image: its rank among the ID test images, and what to make of many such ranks.

The ID test images took no part in the fit. So the score of one more ID image is as likely to stand at any place among
theirs, whatever the score is, and its p-value is at most alpha with a probability of at most alpha.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def p_values(calibration: Array, values: Array) -> Array:
    """Return the conformal p-values of images: small where few ID test images score as low.

    p = (1 + #{ID test images that score no higher}) / (n + 1).

    Parameters
    ----------
    calibration : (n,) float64
        Scores of the ID test images, higher = more in-distribution, in any order.
    values : (m,) float64
        Not NaN.

    Returns
    -------
    (m,) float64, in [1 / (n + 1), 1]

    References
    ----------
    Vovk et al., Algorithmic Learning in a Random World, 2005; Bates et al., Testing for Outliers with Conformal
    p-values, Annals of Statistics 2023, arXiv 2104.08279, equation 2.
    """
    lower = np.searchsorted(np.sort(calibration), values, side="right")
    return np.asarray((1 + lower) / (len(calibration) + 1))


def discoveries(p: Array, fdr: float) -> NDArray[np.bool_]:
    """Say which images are OOD so that at most a share `fdr` of those is ID, in the mean.

    Benjamini and Hochberg's procedure: the k smallest p-values, for the largest k with p_(k) <= k fdr / m. It holds for
    conformal p-values too, though they share the ID test images and so are not independent.

    Parameters
    ----------
    p : (m,) float64
    fdr : float

    References
    ----------
    Benjamini and Hochberg, Journal of the Royal Statistical Society B 1995; Bates et al., Annals of Statistics 2023,
    arXiv 2104.08279, theorem 2 (conformal p-values are positively dependent, for which the procedure is valid).
    """
    order = np.sort(p)
    good = np.flatnonzero(order <= fdr * np.arange(1, len(p) + 1) / max(len(p), 1))
    limit = order[good[-1]] if len(good) else -1.0
    return np.asarray(p <= limit)
