"""Every registered score against its plain definition, on the features of the golden files.

Cases are those of `tests.parity.cases`. Definitions are float64, a row at a time, and share nothing with the code under
test. Slow, and meant to be.
"""

from __future__ import annotations

import numpy as np
import pytest

from moodbench.scores.base import SCORES, create_score
from moodbench.scores.machinery.passes import fit_scores
from tests.parity.case import golden_world
from tests.parity.cases import CASES

ROWS = 12


def test_every_registered_score_has_a_case():
    assert set(CASES) == set(SCORES.names())


@pytest.mark.parametrize("file", ["relu48", "vit768"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_rows_agree_with_the_plain_definition(name, file):
    case = CASES[name]
    if file not in case.worlds:
        pytest.skip("the case is not for these features")
    world = golden_world(file)
    fitted, missing = fit_scores({name: create_score(name, case.params)}, world.facts(), lambda: world.blocks(257))
    assert not missing
    rows = np.concatenate([world.tests["val"][:ROWS], world.tests["blend_b"][:ROWS]])
    found = fitted[name].score(world.block(rows)).double().numpy()
    head = (world.weight.astype(np.float64), world.bias.astype(np.float64))
    expected = case.definition(
        *head, world.train.astype(np.float64), world.labels, rows.astype(np.float64), **case.params
    )
    assert found.shape == (len(rows),)
    np.testing.assert_allclose(found, expected, rtol=0, atol=case.tolerance * expected.std())
