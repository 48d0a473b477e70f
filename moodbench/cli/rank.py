"""``moodbench rank``."""

from __future__ import annotations

from typing import Annotated

import typer

from moodbench.choices import By, RankMetric
from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import terminal_width
from moodbench.cli.shown import Format, Models, Out, Scores, format_asked, put


@app.command()
@with_run
def rank(
    *,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Rank on this benchmark. Repeatable; several count alike.  [default: all that have results]",
            autocompletion=completion.scored_benchmarks,
        ),
    ] = None,
    model: Models = None,
    score: Scores = None,
    group: Annotated[
        str, typer.Option(metavar="GROUP", help="OOD group whose mean counts.", autocompletion=completion.groups)
    ] = "all",
    by: Annotated[
        By,
        typer.Option(
            help="pair: each model with each score; model: by the mean over the scores that all models have; score: by "
            "the mean over the models that all scores have."
        ),
    ] = "pair",
    metric: Annotated[
        RankMetric,
        typer.Option(help="auroc, with DeLong's intervals; or fpr95, with a bootstrap of the images."),
    ] = "auroc",
    format: Format = None,
    json_: Annotated[bool, typer.Option("--json", help="The same as --format json; numbers are fractions.")] = False,
    out: Out = None,
    run: Run,
) -> None:
    """Rank pairs of model and score; tell differences from luck.

    In order of their mean AUROC, each with its 95 % interval and its difference to the best, on the same images: what
    `score` kept of every row is read, nothing is scored. A pair counts as worse only where its difference is more than
    the luck of these images. Over several OOD datasets there are average ranks too.

    Example: moodbench rank --benchmark digits --group near
    """
    from moodbench.commands.rank import rank as work

    width = terminal_width() if out is None else None
    wanted = format_asked(json_, format, out, width)
    ranked = work(
        benchmark=benchmark or (),
        model=model or (),
        score=score or (),
        group=group,
        by=by,
        metric=metric,
        workspace=run.workspace,
    )
    put(ranked.text(wanted, width), out, run)
