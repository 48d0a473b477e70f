"""A folder to call commands in, empty or with a benchmark that is extracted and scored."""

from __future__ import annotations

import pytest

from tests.commands import SCORES, call


@pytest.fixture
def home(tmp_path, monkeypatch, catalog):
    """An empty folder to work in, with the tiny catalogue in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", str(catalog))
    return tmp_path


@pytest.fixture
def scored(home):
    """The tiny benchmark, extracted and scored."""
    assert call("extract", "--model", "tiny", "--benchmark", "tiny", "--quiet").exit_code == 0
    result = call("score", "--benchmark", "tiny", *SCORES)
    assert result.exit_code == 0, result.stderr
    return home
