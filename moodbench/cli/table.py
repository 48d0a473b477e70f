"""``moodbench table``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import write


@app.command()
@with_run
def table(
    *,
    benchmark: Annotated[
        list[str] | None, typer.Option(metavar="BENCHMARK", help="Show this benchmark. Repeatable.")
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="FORMAT", help="markdown, latex, csv, html, json or plain.")
    ] = "markdown",
    layout: Annotated[
        str,
        typer.Option(
            metavar="LAYOUT",
            help="grid: pretext tasks × scores; datasets: every OOD dataset, as in the paper's table; all.",
        ),
    ] = "grid",
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Only this model, every OOD dataset.")] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only the models with this head, as in --head probe; own: their own heads."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="auroc, fpr95, aupr_in, aupr_out, fpr95_ood, detection_accuracy, autc, aurc or failure_auroc. "
            "Repeatable.  [default: auroc, fpr95]",
        ),
    ] = None,
    positive: Annotated[
        str,
        typer.Option(
            metavar="CLASS",
            help="What counts as positive in FPR95: id, as in MOODv2, or ood, as in OpenOOD (fpr95_ood).",
        ),
    ] = "id",
    group: Annotated[str, typer.Option(metavar="GROUP", help="OOD group whose mean the grid shows.")] = "all",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead of to standard output.")
    ] = None,
    run: Run,
) -> None:
    """Print the pretext task × score grid, or the per-dataset tables, of every benchmark that has results.

    Percent; the best number of each column is bold and the second best underlined. A mean that is incomplete is empty.

    Example: moodbench table --format latex
    """
    from moodbench.commands.table import table as work
    from moodbench.commands.table import unverified_results

    text = work(
        benchmark=benchmark or (),
        model=model,
        head=head,
        format=format,
        layout=layout,  # type: ignore[arg-type]
        metric=metric or ("auroc", "fpr95"),
        positive=positive,  # type: ignore[arg-type]
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
        from moodbench.results import write_atomic

        write_atomic(out, text.encode())
        run.output.say(f"wrote {out}")
