"""``moodbench score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.engines import Address, Engine, Workers
from moodbench.cli.options import Device, Run, with_progress, with_run
from moodbench.cli.output import terminal_width
from moodbench.cli.params import parse_params, parse_shares
from moodbench.errors import UsageError


@app.command()
@with_run
@with_progress
def score(
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="Score everything that is cached; the options below narrow it down.")
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Score this model. Repeatable.", autocompletion=completion.cached_models),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(metavar="SCORE", help="Run this score. Repeatable.", autocompletion=completion.scores),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK", help="Score this benchmark. Repeatable.", autocompletion=completion.benchmarks
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCORE.NAME=VALUE[,VALUE]",
            help="Change a parameter, as in vim.dim=256; several values run side by side, as in knn.k=1,10,100, and "
            "of several parameters every combination. Repeatable.",
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use this head instead of the models' own. By itself: of every model that has it.",
            autocompletion=completion.cached_heads,
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also score the cached layers of the models (extract --layers).")
    ] = False,
    device: Device = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="CPU threads. By default all cores; of each worker with --engine ray, there one."
        ),
    ] = None,
    bank_rows: Annotated[
        int | None,
        typer.Option(metavar="N", help="Memory-bank scores compare with N ID train rows. By default with all of them."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", help="Run scores with a random part with N seeds: means over them, and how far they spread."
        ),
    ] = 1,
    label_noise: Annotated[
        str | None,
        typer.Option(
            metavar="P[,P]",
            help="Also run with this share of the labels of ID train wrong, as in 0.1, or with several: what do the "
            "scores lose that learn from labels?",
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Choose parameters on the benchmark's validation sets, out of values that --param lists or the scores "
            "name themselves.",
        ),
    ] = False,
    scores_from: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.py", help="Also run the scores that this Python file registers. Repeatable."),
    ] = None,
    save_scores: Annotated[
        bool,
        typer.Option(
            "--save-scores",
            help="Also export the score of every image to <model>.scores.h5 beside the results, in float32.",
        ),
    ] = False,
    no_row_scores: Annotated[
        bool,
        typer.Option(
            "--no-row-scores",
            help="Do not keep the score of every test image among the caches (8 bytes an image and score).",
        ),
    ] = False,
    by_class: Annotated[
        bool,
        typer.Option(
            "--by-class", help="Also write the results of each class of the OOD datasets (table --layout classes)."
        ),
    ] = False,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing", help="Run only what results lack; what is there from the same caches and versions stays."
        ),
    ] = False,
    engine: Engine = "local",
    address: Address = None,
    workers: Workers = None,
    run: Run,
) -> None:
    """Fit and run scores over the caches, and write the results.

    An option that is left out means all of its kind; with --param alone, the scores that it names. A score that lacks
    something it needs (a head, labels) leaves an empty cell and a note; where scores are named and no cell gets a
    number, the exit code is 1. With --label-noise, what each score loses is printed.

    Example: moodbench score --all
    """
    from moodbench.cli.shown import format_for, put
    from moodbench.commands.losses import losses
    from moodbench.commands.score import all_empty
    from moodbench.commands.score import score as work
    from moodbench.scores.base import load_scores

    params = parse_params(param or [])
    if not (all_ or model or score or benchmark or head or layers or tune or by_class or label_noise):
        if not params:
            raise UsageError(
                "nothing is asked for",
                fix="moodbench score --all, or any of --model M, --score S, --benchmark B, --head H",
            )
        score = list(params)
    for file in scores_from or []:
        load_scores(file)
    rows = work(
        model=model or (),
        score=score or (),
        benchmark=benchmark or (),
        params=params,
        head=head,
        layers=layers,
        device=device,
        threads=threads,
        bank_rows=bank_rows,
        seeds=seeds,
        label_noise=parse_shares(label_noise),
        tune=tune,
        save_scores=save_scores,
        row_scores=not no_row_scores,
        by_class=by_class,
        missing=missing,
        engine=engine,
        address=address,
        workers=workers,
        workspace=run.workspace,
        report=run.output.say,
        progress=run.output.progress,
    )
    if score and (fault := all_empty(rows)):
        raise fault
    if label_noise is not None:
        width = terminal_width()
        put(losses(rows, format=format_for(None, None, width), width=width, workspace=run.workspace), None, run)
