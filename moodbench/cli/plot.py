"""``moodbench plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run


@app.command()
@with_run
def plot(
    *,
    kind: Annotated[
        str,
        typer.Argument(
            help="grid: pretext tasks on x, mean AUROC on y, a marker for each score.", autocompletion=completion.plots
        ),
    ] = "grid",
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Benchmark to draw; may be omitted if only one has results.",
            autocompletion=completion.scored_benchmarks,
        ),
    ] = None,
    group: Annotated[
        str, typer.Option(metavar="GROUP", help="OOD group whose mean is drawn.", autocompletion=completion.groups)
    ] = "all",
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only models with this head, as in --head probe; own: with their own head.",
            autocompletion=completion.scored_heads,
        ),
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
