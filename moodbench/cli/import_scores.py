"""``moodbench import-scores``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from moodbench.choices import Positive, check_choice
from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run
from moodbench.types import Family


@app.command("import-scores")
@with_run
def import_scores(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            help=".csv with columns id and score, .npz, .h5 or .pkl with arrays 'ids' and 'scores', or .npy of scores."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Beside whose caches the scores are kept, and in whose column they stand.",
            autocompletion=completion.cached_models,
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(
            metavar="DATASET", help="The dataset of the images.", autocompletion=completion.datasets_with_images
        ),
    ],
    score: Annotated[
        str,
        typer.Option(metavar="NAME", help="What to call the score.", autocompletion=completion.imported_scores),
    ],
    orientation: Annotated[
        str,
        typer.Option(
            metavar="id|ood",
            help="What higher numbers mean: more in-distribution, or more out of it.",
            autocompletion=completion.positives,
        ),
    ] = "id",
    family: Annotated[
        str,
        typer.Option(
            metavar="FAMILY",
            help=f"What the method reads: {', '.join(get_args(Family))}.",
            autocompletion=completion.families,
        ),
    ] = "imported",
    by_order: Annotated[
        bool,
        typer.Option("--by-order", help="Rows of the file are those of the cache, in its order."),
    ] = False,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="For a method without features: its images are those that this model has caches of.",
            autocompletion=completion.cached_models,
        ),
    ] = None,
    pretext: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="With --like, the pretext task to show.", autocompletion=completion.pretexts),
    ] = None,
    run: Run,
) -> None:
    """Take the scores that another method gave images.

    They become a score like any other, marked as imported: score, table, plot, rank, compare and report take it.
    Numbers imported before under the same names are replaced.

    Example: moodbench import-scores --model digits_mim --dataset digits_test --score mine mine.csv
    """
    from moodbench.commands.import_scores import import_scores as work

    check_choice("--orientation", orientation, Positive)
    check_choice("--family", family, Family)
    done = work(
        model,
        dataset,
        score,
        file,
        orientation=cast(Positive, orientation),
        family=cast(Family, family),
        by_order=by_order,
        like=like,
        pretext=pretext,
        workspace=run.workspace,
        report=run.output.say,
    )
    word = {"same": "skip", "other": "replaced"}.get(done.before, "imported")
    there = " (already there)" if done.before == "same" else ""
    on = ", ".join(done.stale)
    turned = "more ID; --orientation ood turns them" if orientation == "id" else "more OOD: turned for every result"
    behind = f"; results of it on {on} are stale until moodbench score --score {score} runs again" if on else ""
    run.output.say(f"{word} {score} of {model} on {dataset}: {done.rows} rows{there} (higher = {turned}){behind}")
