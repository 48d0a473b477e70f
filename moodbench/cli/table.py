"""``moodbench table``."""

from __future__ import annotations

from typing import Annotated

import typer

from moodbench.choices import Axis, Layout, Positive
from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import terminal_width
from moodbench.cli.shown import Format, Models, Out, Scores, format_for, put


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
    model: Models = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only models with this head, as in --head probe; own: with their own head.",
            autocompletion=completion.scored_heads,
        ),
    ] = None,
    score: Scores = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET",
            help="Only this OOD dataset, in the layout of datasets, and averages only over what is shown. Repeatable.",
            autocompletion=completion.scored_datasets,
        ),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(
            help="grid: pretext tasks × scores; datasets: every OOD dataset; all: both; paper: the two tables of the "
            "MOODv2 paper; classes: every class of the OOD datasets; depth: scores × layers of each model.  "
            "[default: datasets if one --model or a --dataset is named, else grid]",
        ),
    ] = None,
    format: Format = None,
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
    significance: Annotated[
        bool,
        typer.Option(
            "--significance",
            help="Mark each AUROC and FPR95 that is not significantly worse than the best of its column, by the kept "
            "row scores.",
        ),
    ] = False,
    rows: Annotated[
        Axis | None,
        typer.Option(
            help="What the rows are, instead of a --layout. What is neither rows nor columns has blocks of rows; of "
            "datasets the mean is shown."
        ),
    ] = None,
    cols: Annotated[Axis | None, typer.Option(help="What the columns are.")] = None,
    transpose: Annotated[
        bool, typer.Option("--transpose", help="Exchange rows and columns; metrics stay side by side.")
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort the rows, best first: by the column of this model, score, OOD dataset or group, or mean; best: "
            "by the best number of each row; title: by name. COLUMN:METRIC for another metric than the first.",
            autocompletion=completion.table_columns,
        ),
    ] = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="Show the 95 % interval behind each AUROC.")] = False,
    decimals: Annotated[
        int, typer.Option(metavar="N", help="Of percentages, 0 to 8; JSON has all digits, as fractions.")
    ] = 2,
    caption: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Title of the table, where it is the only one.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What LaTeX (\\ref) and HTML (#NAME) call it, as tab:main."),
    ] = None,
    runs: Annotated[
        bool,
        typer.Option("--runs", help="Show the training runs of one recipe as one model: mean ± standard deviation."),
    ] = False,
    out: Out = None,
    run: Run,
) -> None:
    """Print the pretext task × score grid, or per-dataset tables.

    Of every benchmark that has results, unless some are named. Numbers are percentages; the best in each column, among
    what is shown, is bold, the second best underlined. Numbers that print alike share their place, as in a competition:
    two best ones leave no second. A mean over an incomplete group is left empty, and a footnote names what it lacks.

    Example: moodbench table --transpose --sort mahalanobis --intervals --out table.tex --label tab:main
    """
    from moodbench.commands.table import table as work
    from moodbench.commands.table import unverified_results

    width = terminal_width() if out is None else None
    text = work(
        benchmark=benchmark or (),
        model=model or (),
        head=head,
        score=score or (),
        dataset=dataset or (),
        format=format_for(format, out, width),
        layout=layout,
        metric=metric or ("auroc", "fpr95"),
        positive=positive,
        group=group,
        significance=significance,
        rows=rows,
        cols=cols,
        transpose=transpose,
        sort=sort,
        intervals=intervals,
        decimals=decimals,
        caption=caption,
        label=label,
        width=width,
        runs=runs,
        workspace=run.workspace,
    )
    for file in unverified_results(run.workspace, benchmark or ()):
        run.output.detail(
            f"{file}: written before results had checksums, unverified; the next moodbench score adds one"
        )
    put(text, out, run)
