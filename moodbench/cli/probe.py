"""``moodbench probe``."""

from __future__ import annotations

from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Device, Run, with_progress, with_run
from moodbench.errors import UsageError


@app.command()
@with_run
@with_progress
def probe(
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Train a head for this cached model. Repeatable.",
            autocompletion=completion.cached_models,
        ),
    ] = None,
    all_models: Annotated[
        bool,
        typer.Option("--all-models", help="Train the same kind of head for every model with cached ID train rows."),
    ] = False,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Whose ID train rows to use. May be omitted if only one set is cached.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the head.")] = "probe",
    layers: Annotated[
        bool, typer.Option("--layers", help="Also train one for each cached layer of the models (extract --layers).")
    ] = False,
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="CPU threads. By default all cores, or one if there is little work.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a head of this name that was trained on something else.")
    ] = False,
    run: Run,
) -> None:
    """Train a linear head on cached ID train features.

    Logistic regression on standardised features. The penalty on its weights is chosen on held-out ID rows (ID
    validation, or every tenth ID train row), which the head never sees. `moodbench score --head probe` uses the head;
    the results are listed under the model MODEL+probe.

    Example: moodbench probe --all-models --benchmark digits
    """
    from moodbench.commands.probe import probe as work

    if bool(model) == all_models:
        raise UsageError(
            "--model and --all-models contradict each other" if model else "nothing is asked for",
            fix="moodbench probe --model M, or moodbench probe --all-models",
        )
    work(
        model or (),
        benchmark=benchmark,
        name=name,
        layers=layers,
        device=device,
        threads=threads,
        force=force,
        workspace=run.workspace,
        report=run.output.say,
        progress=run.output.progress,
    )
