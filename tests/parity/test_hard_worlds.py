"""Every registered score against its plain definition where rounding shows (`tests.parity.hard_worlds`).

Saturated logits of two, five and ten classes, duplicated rows, features of scale 1e-3, 1 and 1e3, and, after a ReLU,
constant ones. How much may differ stands in `tests.parity.differences`.
"""

from __future__ import annotations

import pytest

from tests.parity.cases import CASES
from tests.parity.differences import differences


@pytest.mark.parametrize("name", sorted(CASES))
def test_rows_agree_with_the_plain_definition_where_rounding_shows(name):
    assert not differences(name)
