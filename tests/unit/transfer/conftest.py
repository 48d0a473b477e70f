"""A server, a place for what it sends, and no pause between attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from moodbench.transfer import mirror
from tests.server import server_fixture  # noqa: F401


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Nobody sleeps between attempts; for how long they would have is noted."""
    noted: list[float] = []
    monkeypatch.setattr(mirror, "sleep", noted.append)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return noted


@pytest.fixture
def target(tmp_path) -> Path:
    """A file in a folder that is not there yet."""
    return tmp_path / "data" / "a.bin"
