"""Two models that can be compared."""

from __future__ import annotations

import pytest

from tests.ranked import make_space


@pytest.fixture
def space(tmp_path):
    """The models plain and noisy, extracted and not yet scored."""
    return make_space(tmp_path)
