"""``moodbench compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import terminal_width
from moodbench.cli.shown import Format, Out, Scores, format_asked, put
from moodbench.comparison.reference import METRICS


@app.command()
@with_run
def compare(
    *,
    reference: Annotated[
        str,
        typer.Option(
            metavar="moodv2|FILE.csv|FOLDER",
            help="moodv2: the published numbers; a CSV file: anybody's table; a folder: other results.",
            autocompletion=completion.references,
        ),
    ],
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK", help="Only this benchmark. Repeatable.", autocompletion=completion.scored_benchmarks
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Only this model; beside published numbers without @VARIANT all its variants. Repeatable.",
            autocompletion=completion.scored_models,
        ),
    ] = None,
    score: Scores = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="auroc|fpr95",
            help="What is compared. Repeatable.  [default: both]",
            autocompletion=completion.compared_metrics,
        ),
    ] = None,
    fail_over: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Exit with 1 if a difference is larger than this, or nothing is compared; for continuous integration.",
        ),
    ] = None,
    format: Format = None,
    json_: Annotated[bool, typer.Option("--json", help="The same as --format json; numbers are fractions.")] = False,
    out: Out = None,
    run: Run,
) -> None:
    """Put our results beside published or other ones.

    The answer in words comes first, then each pair of numbers with its difference in points, whether theirs lies in our
    95 % interval (AUROC), and why the two cannot agree: transform, weights, head, labels seen. Of a folder of results
    what changed is shown, and which inputs differ. A model's number on one side alone is counted below with its reason.

    Example: moodbench compare --reference last_month/results --metric auroc --fail-over 0.5
    """
    from moodbench.commands.compare import check_limit, refuse_beyond, titles_for
    from moodbench.commands.compare import compare as work
    from moodbench.comparison.text import as_text

    if fail_over is not None:
        check_limit(fail_over)
    width = terminal_width() if out is None else None
    wanted = format_asked(json_, format, out, width)
    made = work(
        reference,
        benchmark=benchmark or (),
        model=model or (),
        score=score or (),
        metric=metric or METRICS,
        workspace=run.workspace,
    )
    text = as_text(made, wanted, width=width, titles=titles_for(run.workspace))
    put(text, out, run)
    if fail_over is not None:
        refuse_beyond(made, fail_over)
