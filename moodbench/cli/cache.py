"""``moodbench cache list``, ``verify`` and ``remove``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import Commands, app
from moodbench.cli.listing import as_json, as_text
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import show_error, write

cache = Commands(no_args_is_help=True, help="Look after the feature caches.", rich_markup_mode=None)
app.add_typer(cache, name="cache")

Model = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL", help="Only this model. Repeatable.", autocompletion=completion.cached_models),
]
DatasetOption = Annotated[
    list[str] | None,
    typer.Option(metavar="DATASET", help="Only this dataset. Repeatable.", autocompletion=completion.cached_datasets),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@cache.command("list")
@with_run
def list_(*, model: Model = None, dataset: DatasetOption = None, json_: Json = False, run: Run) -> None:
    """Show every cache: rows, widths, size, and whether it is complete.

    Example: moodbench cache list
    """
    from moodbench.commands.cache import list_caches
    from moodbench.sizes import human_bytes

    infos = list_caches(run.workspace, model or (), dataset or ())
    if json_:
        write(as_json([{"name": f"{i.model}/{i.dataset}", **asdict(i), "file": str(i.file)} for i in infos]))
        return
    rows = [
        {
            "model": i.model,
            "dataset": i.dataset,
            "rows": i.rows,
            "dim": i.dim,
            "classes": i.classes,
            "size": human_bytes(i.bytes),
            "state": _state(i.fault, i.complete, i.done, i.rows, i.skipped, i.limit),
        }
        for i in infos
    ]
    write(as_text(rows) if rows else "")
    if not rows:
        run.output.say(f"no caches below '{run.workspace.cache_dir}'")


def _state(
    fault: str | None, complete: bool, done: int | None, rows: int | None, skipped: int | None, limit: int | None
) -> str:
    if fault is not None:
        return f"unreadable: {fault}"
    words = ["complete" if complete else f"incomplete ({done} of {rows})"]
    words += [f"{skipped} skipped"] if skipped else []
    words += [f"trial (--limit {limit})"] if limit else []
    return ", ".join(words)


@cache.command()
@with_run
def verify(*, model: Model = None, dataset: DatasetOption = None, json_: Json = False, run: Run) -> None:
    """Read caches and heads and compare every byte with the checksums; exit 1 if anything is wrong.

    Example: moodbench cache verify
    """
    from moodbench.commands.cache import verify_caches
    from moodbench.errors import CacheError

    faults, report = 0, []
    for one in verify_caches(run.workspace, model or (), dataset or ()):
        report.append({"name": one.name, "ok": one.fault is None, "fault": one.fault and one.fault.what})
        if one.fault is None:
            run.output.say(f"ok {one.what}")
        else:
            faults += 1
            show_error(one.fault)
    if json_:
        write(json.dumps(report, indent=2) + "\n")
    if not report:
        raise CacheError("there are no caches", file=run.workspace.cache_dir, fix="run moodbench extract first")
    if faults:
        raise typer.Exit(1)


@cache.command()
@with_run
def remove(
    *,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="The model whose caches are removed.", autocompletion=completion.cached_models
        ),
    ],
    dataset: DatasetOption = None,
    run: Run,
) -> None:
    """Delete the caches of a model, all of them or those of some datasets. Images, results and trained heads stay.

    Example: moodbench cache remove --model digits_mim --dataset digits_noise
    """
    from moodbench.commands.cache import remove_caches
    from moodbench.workspace import ModelName

    for file in remove_caches(run.workspace, model, dataset or ()):
        run.output.say(f"removed {file}")
    heads = run.workspace.other_heads(ModelName.parse(model))
    if heads and not run.workspace.cached_datasets(ModelName.parse(model)):
        names = ", ".join(file.stem for file in heads)
        run.output.say(
            f"note: heads of '{model}' stay ({names}); to remove them, delete the folder '{heads[0].parent}'"
        )
