"""``moodbench demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run_elsewhere
from moodbench.cli.output import write


@app.command()
@with_run_elsewhere
def demo(
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for everything the demo makes.")] = Path("demo"),
    run: Run,
) -> None:
    """Run the whole pipeline on the embedded benchmark: no network, no GPU, a minute or two.

    Real images and real checkpoints that come with moodbench; the same extract, score, table and plot as everywhere.

    Example: moodbench demo --out demo
    """
    from moodbench.commands.demo import run_demo

    write(run_demo(out, catalogs=run.workspace.catalogs, report=run.output.say, progress=run.output.progress))
