"""Plain definitions of scores whose numbers are made at extraction."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Case
from tests.views import changed_of, numbers_of


def rankfeat(w, b, train, labels, rows):
    changed = changed_of(rows.astype(np.float32))["rankfeat-published"].astype(np.float64)
    logits = [w @ x + b for x in changed]
    return np.array([row.max() + np.log(np.exp(row - row.max()).sum()) for row in logits])


def gaia(w, b, train, labels, rows):
    return np.array([-sum(row) for row in numbers_of(rows.astype(np.float32))["gaia_a"].astype(np.float64)])


CASES = {
    "rankfeat": Case(rankfeat),
    "gaia_a": Case(gaia),
    "gaia_z": Case(gaia),
}
