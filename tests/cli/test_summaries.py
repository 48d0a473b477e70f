"""The first sentence of every command fits beside its name on a terminal of 80 columns."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

from moodbench.cli import app


def groups():
    """Yield the words that call every group of commands."""
    yield ()
    yield from ((name,) for name, one in typer.main.get_command(app).commands.items() if hasattr(one, "commands"))


@pytest.mark.parametrize("group", list(groups()), ids=lambda words: " ".join(words) or "moodbench")
def test_no_summary_is_cut(group):
    narrow = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    shown = CliRunner().invoke(app, [*group, "--help"], env=narrow).stdout
    lines = shown.partition("Commands:\n")[2].splitlines()
    assert len(lines) > 1
    assert all(line.endswith(".") and not line.endswith("...") for line in lines), shown
    assert max(map(len, lines)) <= 80
