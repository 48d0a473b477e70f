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
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write, .html.")] = Path("report.html"),
    run: Run,
) -> None:
    """Write one HTML page that shows everything.

    The answer in words, the grid as a table that sorts and filters, every picture, the images that deceive the best
    pair, and where each number comes from. One file for a browser, on a phone too, and for paper: it fetches nothing
    from anywhere. Row scores or images that are missing leave a note on the page that says what to run.

    Example: moodbench report --benchmark digits --out report.html
    """
    from moodbench.commands.report import report as work
    from moodbench.sizes import human_bytes

    file = work(benchmark=benchmark or (), out=out, images=images, workspace=run.workspace)
    run.output.say(f"wrote {file} ({human_bytes(file.stat().st_size)})")
