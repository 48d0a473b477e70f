"""The command line called in this process, the results that it wrote, and what shells offer when Tab is pressed."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
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


SCRIPT = """
import json, sys
sys.argv = ["moodbench"]
from moodbench.__main__ import main
try:
    main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def offered(line: str, shell: str = "bash", **environment: str) -> tuple[list[str], set[str]]:
    """Return what the shell is given when Tab is pressed at the end of `line`, and the modules that it took."""
    words = line.split(" ")
    asked = {
        "_MOODBENCH_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    script = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(script, capture_output=True, text=True, check=True, env=os.environ | asked | environment)
    *said, modules = done.stderr.splitlines()
    assert said == []
    return [line for line in done.stdout.splitlines() if line], set(json.loads(modules))
