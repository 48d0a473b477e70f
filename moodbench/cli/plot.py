"""``moodbench plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run


@app.command()
@with_run
def plot(
    *,
    kind: Annotated[str, typer.Argument(help="grid: pretext tasks on x, mean AUROC on y, a marker for each score.")],
    benchmark: Annotated[
        str | None,
        typer.Option(metavar="BENCHMARK", help="Of this benchmark; may be omitted where only one has results."),
    ] = None,
    group: Annotated[str, typer.Option(metavar="GROUP", help="OOD group whose mean is drawn.")] = "all",
    head: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only the models with this head, as in --head probe; own: their own heads."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help=".png, .svg or .pdf.  [default: <benchmark>_<kind>.png]")
    ] = None,
    run: Run,
) -> None:
    """Draw a picture of the results.

    Example: moodbench plot grid --benchmark digits --out grid.svg
    """
    from moodbench.commands.plot import plot as work

    file = work(kind, benchmark=benchmark, out=out, group=group, head=head, workspace=run.workspace)
    run.output.say(f"wrote {file}")
