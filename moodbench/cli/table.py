"""``moodbench table``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.choices import Layout, Positive
from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import write


@app.command()
@with_run
def table(
    *,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK", help="Show this benchmark. Repeatable.", autocompletion=completion.scored_benchmarks
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            metavar="FORMAT", help="markdown, latex, csv, html, json or plain.", autocompletion=completion.table_formats
        ),
    ] = "markdown",
    layout: Annotated[
        Layout,
        typer.Option(
            help="grid: pretext tasks × scores; datasets: every OOD dataset, as in the paper's table; all: both.",
        ),
    ] = "grid",
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Only this model, on every OOD dataset.", autocompletion=completion.scored_models
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only models with this head, as in --head probe; own: with their own head.",
            autocompletion=completion.scored_heads,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help=f"{', '.join(completion.METRICS)}. Repeatable.  [default: auroc, fpr95]",
            autocompletion=completion.metrics,
        ),
    ] = None,
    positive: Annotated[
        Positive,
        typer.Option(help="What counts as positive in FPR95: id, as in MOODv2, or ood, as in OpenOOD (fpr95_ood)."),
    ] = "id",
    group: Annotated[
        str,
        typer.Option(metavar="GROUP", help="OOD group whose mean the grid shows.", autocompletion=completion.groups),
    ] = "all",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead of to standard output.")
    ] = None,
    run: Run,
) -> None:
    """Print the pretext task × score grid, or per-dataset tables.

    Of every benchmark that has results, unless some are named. Numbers are percentages; the best in each column is
    bold, the second best underlined. A mean over an incomplete group is left empty.

    Example: moodbench table --format latex
    """
    from moodbench.commands.table import table as work
    from moodbench.commands.table import unverified_results

    text = work(
        benchmark=benchmark or (),
        model=model,
        head=head,
        format=format,
        layout=layout,
        metric=metric or ("auroc", "fpr95"),
        positive=positive,
        group=group,
        workspace=run.workspace,
    )
    for file in unverified_results(run.workspace, benchmark or ()):
        run.output.detail(
            f"{file}: written before results had checksums, unverified; the next moodbench score adds one"
        )
    if out is None:
        write(text)
    else:
        from moodbench.atomic import write_file

        write_file(out, text.encode())
        run.output.say(f"wrote {out}")
