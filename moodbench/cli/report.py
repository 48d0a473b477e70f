"""``moodbench report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run


@app.command()
@with_run
def report(
    *,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Only this benchmark. Repeatable.  [default: all that have results]",
            autocompletion=completion.scored_benchmarks,
        ),
    ] = None,
    images: Annotated[
        int, typer.Option(metavar="N", help="Images of each dataset: the most ID-like, or the most OOD-like ones.")
    ] = 12,
    leaderboard: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Instead a leaderboard of what people shared in this folder, or hf:ORG/NAME (results push).",
            autocompletion=completion.folders,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write, .html.  [default: report.html, or leaderboard.html]"),
    ] = None,
    run: Run,
) -> None:
    """Write one HTML page that shows everything.

    The answer in words, the grid as a table that sorts and filters, every picture, the images that deceive the best
    pair, and where each number comes from. One file for a browser, on a phone too, and for paper: it fetches nothing
    from anywhere. Row scores or images that are missing leave a note on the page that says what to run.

    Example: moodbench report --benchmark digits --out report.html
    """
    from moodbench.sizes import human_bytes

    if leaderboard is not None:
        from moodbench.commands.leaderboard import leaderboard as work_on_shared

        file = work_on_shared(leaderboard, benchmark=benchmark or (), out=out or "leaderboard.html")
    else:
        from moodbench.commands.report import report as work

        file = work(benchmark=benchmark or (), out=out or "report.html", images=images, workspace=run.workspace)
    run.output.say(f"wrote {file} ({human_bytes(file.stat().st_size)})")
