"""The command line called in this process, and the results that it wrote."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from moodbench.cli import app

SCORES = ["--score", "msp", "--score", "vim", "--score", "mahalanobis"]


def call(*args: Any) -> Any:
    """Return how a command ended: exit_code, stdout and stderr; what it does not expect is raised."""
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows of a result file, as texts."""
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
