"""A small data directory to be damaged."""

from __future__ import annotations

import pytest

from tests.disks import Disk


@pytest.fixture
def disk(tmp_path):
    """A data directory with images, manifests and a catalogue."""
    return Disk(tmp_path)
