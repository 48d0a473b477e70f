"""``moodbench rank``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import terminal_width
from moodbench.cli.shown import Models, Scores, format_for, put
from moodbench.errors import UsageError


@app.command()
@with_run
def rank(
    *,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Benchmark to rank on; may be omitted if only one has results.",
            autocompletion=completion.scored_benchmarks,
        ),
    ] = None,
    model: Models = None,
    score: Scores = None,
    group: Annotated[
        str, typer.Option(metavar="GROUP", help="OOD group whose mean counts.", autocompletion=completion.groups)
    ] = "all",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write to this file (.md, .txt, .tex, .html, .json) instead of to standard output."
        ),
    ] = None,
    run: Run,
) -> None:
    """Rank pairs of model and score, and tell differences from luck.

    The pairs in order of their mean AUROC, each with its 95 % interval and its difference to the best, on the same
    images: what `score` kept of every row is read, nothing is scored. A pair counts as worse only where its difference
    is more than the luck of these images.

    Example: moodbench rank --benchmark digits --group near
    """
    from moodbench.commands.rank import rank as work

    suffix = "" if out is None else out.suffix.lower()
    if out is not None and suffix not in (".md", ".txt", ".tex", ".html", ".json"):
        raise UsageError(f"the name '{out.name}' says no format", fix="end it in .md, .txt, .tex, .html or .json")
    ranked = work(benchmark=benchmark, model=model or (), score=score or (), group=group, workspace=run.workspace)
    width = terminal_width() if out is None else None
    if json_ or suffix == ".json":
        text = ranked.json()
    else:
        text = ranked.text(format_for(None, out, width), width)
    put(text, out, run)
