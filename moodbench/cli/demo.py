"""``moodbench demo``."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli.app import app
from moodbench.cli.options import Run, with_progress, with_run_elsewhere
from moodbench.cli.output import terminal_width, write


@app.command()
@with_run_elsewhere
@with_progress
def demo(
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for everything the demo makes.")] = Path("demo"),
    run: Run,
) -> None:
    """Run the whole pipeline on the embedded benchmark.

    No network, no GPU, a minute or two. Real images and real checkpoints that come with moodbench; the same extract,
    score, table, plot, report and rank as everywhere.

    Example: moodbench demo --out demo
    """
    from moodbench.commands.demo import run_demo

    text = run_demo(
        out,
        program=_as_called(),
        catalogs=run.workspace.catalogs,
        report=run.output.say,
        progress=run.output.progress,
        width=terminal_width(),
    )
    write(text)


def _as_called() -> str:
    """Return how a shell finds this moodbench: by its name, or where that is another one or none, by its file."""
    called, found = Path(sys.argv[0]), shutil.which("moodbench")
    if called.name != "moodbench" or not called.exists():  # python -m moodbench
        return "moodbench" if found is not None else "python -m moodbench"
    return "moodbench" if found is not None and called.samefile(found) else shlex.quote(str(called))
