"""``moodbench import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run


@app.command("import")
@with_run
def import_(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            help=".npz with 'features' (and 'logits', 'labels', 'ids', 'classes'), .npy, or .pkl of NumPy arrays."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(metavar="MODEL", help="Name of the model; any name will do.", autocompletion=completion.models),
    ],
    dataset: Annotated[
        str, typer.Option(metavar="DATASET", help="Name of the dataset.", autocompletion=completion.datasets)
    ],
    head: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The linear head: .npz or .h5 with 'weight' and 'bias', or .pkl of [W, b]."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labels: .npy, .npz, or text with one integer per line.")
    ] = None,
    pretext: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="Pretext task to show for a model that is not in the catalogue.",
            autocompletion=completion.pretexts,
        ),
    ] = None,
    run: Run,
) -> None:
    """Put features of another program into the feature cache.

    Logits are computed from the head if the file has none. Importing the same arrays again is accepted; different ones
    are refused.

    Example: moodbench import --model beitv2 --dataset street street.npz --head fc.pkl
    """
    from moodbench.commands.import_ import import_features

    done = import_features(model, dataset, file, head=head, labels=labels, pretext=pretext, workspace=run.workspace)
    what = f"{done.rows} rows of {done.dim} features" + (f", {done.classes} logits" if done.classes else ", no logits")
    run.output.say(
        f"{'skip' if done.already else 'imported'} {model} on {dataset}: {what}"
        + (" (already there)" if done.already else "")
    )
