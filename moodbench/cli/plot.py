"""``moodbench plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.cli.shown import Models, Scores

Width = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTH",
        help="column or text (a column, or the whole width, of a paper with two columns), or inches.  [default: what "
        "suits the kind]",
        autocompletion=completion.widths,
    ),
]


@app.command()
@with_run
def plot(
    *,
    kind: Annotated[
        str,
        typer.Argument(
            help="grid: pretext tasks on x, mean AUROC on y, a marker for each score. bars, heatmap: AUROC on each OOD "
            "dataset with its interval. distributions, roc, pr: of ID and OOD test rows. correlation: how alike scores "
            "order test rows. accuracy: ID accuracy against mean AUROC, over models. cost: mean AUROC against the time "
            "of a score. embedding: features in the plane of two principal components. "
            "ranks: average ranks of models and of scores, with Nemenyi's critical difference. sweep: mean AUROC "
            "against a parameter. depth: mean AUROC against the layers of models (extract --layers).",
            autocompletion=completion.plots,
        ),
    ] = "grid",
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Benchmark to draw; may be omitted if only one has results. Most kinds take one.",
            autocompletion=completion.scored_benchmarks,
        ),
    ] = None,
    model: Models = None,
    score: Scores = None,
    ood: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET", help="Only this OOD dataset. Repeatable.", autocompletion=completion.scored_datasets
        ),
    ] = None,
    group: Annotated[
        str,
        typer.Option(
            metavar="GROUP", help="OOD group that is drawn, or whose mean is.", autocompletion=completion.groups
        ),
    ] = "all",
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only models with this head, as in --head probe; own: with their own head.",
            autocompletion=completion.scored_heads,
        ),
    ] = None,
    param: Annotated[
        str | None,
        typer.Option(
            metavar="[SCORE.]NAME", help="Of a sweep: the parameter, where several were swept, or label_noise."
        ),
    ] = None,
    width: Width = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help=".png, .svg or .pdf.  [default: <benchmark>_<kind>.png]")
    ] = None,
    run: Run,
) -> None:
    """Draw a picture of the results.

    Kinds that show a few pairs of model and score take the best pair, or the best of each named model or score.

    Example: moodbench plot grid --benchmark digits --out grid.svg
    """
    from moodbench.commands.plot import plot as work

    chosen = {"benchmark": benchmark or (), "model": model or (), "score": score or (), "ood": ood or ()}
    file = work(kind, **chosen, group=group, head=head, param=param, width=width, out=out, workspace=run.workspace)
    run.output.say(f"wrote {file}")
