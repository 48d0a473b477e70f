"""``moodbench run``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Json, Run, with_progress, with_run_into
from moodbench.cli.output import write
from moodbench.errors import UsageError


@app.command()
@with_run_into
@with_progress
def run(
    *,
    file: Annotated[Path | None, typer.Argument(metavar="[STUDY]", help="The study: a YAML file.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder for all but the caches.  [default: called as the file, without suffix]"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and what it costs; do nothing.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="With --dry-run: try models whose speed is not known here on a few images each."
        ),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove tables, pictures, rankings and reports that earlier runs wrote into the folder and the study "
            "no longer asks for.",
        ),
    ] = False,
    example: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Print the study of an example: demo, or paper for that of MOODv2.",
            autocompletion=completion.example_studies,
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of studies, for editors that complete YAML.")
    ] = False,
    json_: Json = False,
    run: Run,
) -> None:
    """Run a whole study from a file, and what of it is missing.

    Extracts, trains heads, scores, and writes tables, pictures, rankings and the report, in order. What caches and
    results have already is not done again. The folder holds what a colleague needs to run the same.

    Example: moodbench run study.yaml --dry-run
    """
    from moodbench.commands.run import cost_study, example_study, run_study, study_schema

    asked = [name for name, one in (("STUDY", file), ("--example", example), ("--schema", schema or None)) if one]
    if len(asked) != 1:
        what = f"{' and '.join(asked)} cannot be asked for at once" if asked else "no study is named"
        raise UsageError(what, fix="moodbench run study.yaml; --example demo prints one to begin with")
    if prune and (dry_run or file is None):
        raise UsageError("--prune belongs to a run", fix="leave it out: what would be removed is named without it")
    if (measure or json_) and not dry_run:
        raise UsageError(f"{'--measure' if measure else '--json'} belongs to --dry-run", fix="add --dry-run")
    if example is not None:
        write(example_study(example))
    elif file is None:
        write(study_schema())
    elif dry_run:
        costs = cost_study(file, out=out, workspace=run.workspace, measure=measure, report=run.output.say)
        if json_:
            write(json.dumps([asdict(one) for one in costs], indent=1, ensure_ascii=False) + "\n")
        else:
            from moodbench.studies.words import costs_in_words

            write(costs_in_words(costs))
    else:
        say, progress = run.output.say, run.output.progress
        done = run_study(file, out=out, workspace=run.workspace, prune=prune, report=say, progress=progress)
        write(done.text + "\n")
