"""``moodbench cache list``, ``verify``, ``pack``, ``push``, ``pull`` and ``remove``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import Commands, app
from moodbench.cli.listing import as_json, as_text
from moodbench.cli.options import Run, with_progress, with_run
from moodbench.cli.output import ask, can_ask, show_error, write
from moodbench.sizes import many

if TYPE_CHECKING:
    from moodbench.commands.cache import CacheInfo

cache = Commands(no_args_is_help=True, help="Look after the feature caches.", rich_markup_mode=None)
app.add_typer(cache, name="cache")

Model = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL", help="Only this model. Repeatable.", autocompletion=completion.begun_models),
]
DatasetOption = Annotated[
    list[str] | None,
    typer.Option(metavar="DATASET", help="Only this dataset. Repeatable.", autocompletion=completion.begun_datasets),
]
PulledModel = Annotated[list[str] | None, typer.Option("--model", metavar="MODEL", help="Only this model. Repeatable.")]
PulledDataset = Annotated[
    list[str] | None, typer.Option("--dataset", metavar="DATASET", help="Only this dataset. Repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@cache.command("list")
@with_run
def list_(*, model: Model = None, dataset: DatasetOption = None, json_: Json = False, run: Run) -> None:
    """Show every cache: rows, widths, size, and whether it is complete.

    Example: moodbench cache list
    """
    from moodbench.commands.cache import list_caches
    from moodbench.commands.imported import list_imported
    from moodbench.sizes import human_bytes

    imported = list_imported(run.workspace, model or (), dataset or ())
    without = {one.model for one in imported} - {str(name) for name in run.workspace.cached_models()}
    cached = [name for name in model or () if name not in without]
    infos = list_caches(run.workspace, cached, dataset or ()) if cached or not model else []
    if json_:
        records = [{"name": f"{i.model}/{i.dataset}", **asdict(i), "file": str(i.file)} for i in infos]
        records += [
            {"name": f"{i.model}/imported/{i.score}/{i.dataset}", **asdict(i), "file": str(i.file)} for i in imported
        ]
        write(as_json(records))
        return
    rows = [
        {
            "model": i.model,
            "dataset": i.dataset,
            "rows": i.rows,
            "dim": i.dim,
            "classes": i.classes,
            "size": human_bytes(i.bytes),
            "state": _state(i),
        }
        for i in infos
    ]
    write(as_text(rows) if rows else "")
    if imported:
        told = [
            {
                "model": i.model,
                "imported score": i.score,
                "dataset": i.dataset,
                "rows": i.rows,
                "size": human_bytes(i.bytes),
                "from": i.source,
                "sha256": i.sha256 and i.sha256[:8],
                "state": f"unreadable: {i.fault}" if i.fault else f"higher is {i.orientation}",
            }
            for i in imported
        ]
        write(("\n" if rows else "") + as_text(told))
    if not rows and not imported:
        run.output.say(f"no caches below '{run.workspace.cache_dir}'")


def _state(info: CacheInfo) -> str:
    if info.fault is not None:
        return f"unreadable: {info.fault}"
    words = ["complete" if info.complete else f"incomplete ({info.done} of {info.rows})"]
    if info.shards is not None:
        part = "in" if info.complete else f"{info.shards_done} of"
        words += [f"{part} {many(info.shards, 'shard')}"]
    words += [f"{info.skipped} skipped"] if info.skipped else []
    words += [f"trial (--limit {info.limit})"] if info.limit else []
    return ", ".join(words)


@cache.command()
@with_run
def verify(*, model: Model = None, dataset: DatasetOption = None, json_: Json = False, run: Run) -> None:
    """Compare caches, and what belongs to them, with their checksums.

    Heads, row scores, imported scores and detectors too; every byte is read. Exit 1 if anything is wrong.

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
@with_progress
def pack(*, model: Model = None, dataset: DatasetOption = None, run: Run) -> None:
    """Make one file of each cache that lies in shards.

    The file takes the place of the manifest; only then the shards go. What is one file already stays as it is.

    Example: moodbench cache pack --model digits_mim
    """
    from moodbench.commands.pack import pack_caches
    from moodbench.progress import Progress

    progress = Progress(shown=run.output.progress)
    pack_caches(run.workspace, model or (), dataset or (), report=run.output.say, progress=progress)


Place = Annotated[
    str,
    typer.Argument(metavar="PLACE", help="A folder, or an address: s3://BUCKET/CACHES.", show_default=False),
]


@cache.command()
@with_run
@with_progress
def push(*, place: Place, model: Model = None, dataset: DatasetOption = None, run: Run) -> None:
    """Bring caches to an object store or folder.

    For machines without a common disk: complete caches and shards go, with the heads of their models, and a SHA-256
    beside each file. What is there already stays; another cache of the same name is refused.

    Example: moodbench cache push s3://bucket/caches --model digits_mim
    """
    from moodbench.commands.carry import push_caches
    from moodbench.errors import UsageError
    from moodbench.progress import Progress

    if place.startswith("memory:"):  # in Python a place, until the process ends
        raise UsageError(
            f"what lies at '{place}' is gone with this command", fix="a folder, or an address: s3://BUCKET/CACHES"
        )
    progress = Progress(shown=run.output.progress)
    push_caches(run.workspace, place, model or (), dataset or (), report=run.output.say, progress=progress)


@cache.command()
@with_run
@with_progress
def pull(*, place: Place, model: PulledModel = None, dataset: PulledDataset = None, run: Run) -> None:
    """Fetch caches from an object store or folder, and join shards.

    What is here already stays. Every file is compared with its SHA-256; a cache in shards is joined once all of them
    are here.

    Example: moodbench cache pull s3://bucket/caches --dataset digits_train
    """
    from moodbench.commands.carry import pull_caches
    from moodbench.progress import Progress

    progress = Progress(shown=run.output.progress)
    pull_caches(run.workspace, place, model or (), dataset or (), report=run.output.say, progress=progress)


@cache.command()
@with_run
def remove(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            metavar="MODEL",
            help="A model whose caches are removed. Repeatable.",
            autocompletion=completion.begun_models,
        ),
    ],
    dataset: DatasetOption = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Remove the imported scores of this name instead. Repeatable.",
            autocompletion=completion.imported_scores,
        ),
    ] = None,
    views: Annotated[
        bool, typer.Option("--views", help="Remove the caches of the models' layers and other views too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    run: Run,
) -> None:
    """Delete caches of models, after asking.

    All of them, or those of some datasets. Images, results, trained heads and imported scores stay; the row scores and
    detectors of a model go with its last cache. Its layers and other views stay too, unless --views. Where nobody can
    be asked (in a script), nothing is removed without --yes.

    Example: moodbench cache remove --model digits_mim --dataset digits_noise
    """
    from moodbench.commands.cache import list_caches, remove_listed, views_left, with_views
    from moodbench.commands.imported import list_imported, remove_imported
    from moodbench.sizes import human_bytes

    if score:
        imported = list_imported(run.workspace, model, dataset or (), score)
        size = human_bytes(sum(one.bytes for one in imported))
        if not (
            yes
            or not imported
            or _asked(many(len(imported), "file of imported scores", "files of imported scores"), size, "")
        ):
            run.output.say("nothing was removed")
            raise typer.Exit(1)
        remove_imported(run.workspace, imported, run.output.say)
        return
    names = with_views(run.workspace, model) if views else model
    infos = list_caches(run.workspace, names, dataset or ())
    if not (yes or _agreed(run, infos)):
        run.output.say("nothing was removed")
        raise typer.Exit(1)
    remove_listed(run.workspace, infos, run.output.say)
    for name in dict.fromkeys(info.model for info in infos):
        _say_heads(run, name)
    for name, left in views_left(run.workspace, infos).items():
        run.output.say(
            f"note: left of '{name}': {many(len(left), 'view')} ({', '.join(left)}); --views removes those as well"
        )


def _agreed(run: Run, infos: Sequence[CacheInfo]) -> bool:
    """Show what would be removed, and ask. Raise a `UsageError` where there is nobody to ask."""
    from moodbench.commands.cache import goes_with
    from moodbench.sizes import human_bytes

    others = goes_with(run.workspace, infos)
    caches = f"{len(infos)} caches" if len(infos) > 1 else "a cache"
    size = human_bytes(sum(info.bytes for info in infos) + sum(file.lstat().st_size for file in others))
    rows = [{"model": i.model, "dataset": i.dataset, "rows": i.rows, "size": human_bytes(i.bytes)} for i in infos]
    lines = as_text(rows)
    for what, its in (("its head", ""), ("its row scores", "scores"), ("its detectors", "detectors")):
        files = ", ".join(str(file) for file in others if _kind(file) == its)
        lines += f"with the last cache of a model, {what}: {files}\n" if files else ""
    return _asked(caches, size, lines)


def _asked(what: str, size: str, lines: str) -> bool:
    """Ask on the terminal, below `lines`. Raise a `UsageError` where there is nobody to ask."""
    from moodbench.errors import UsageError

    if not can_ask():
        raise UsageError(
            f"cache remove would delete {what} ({size}), and there is no terminal to ask on: nothing was removed",
            fix="--yes removes without asking",
        )
    return ask(f"{lines}remove {what} ({size})?")


def _kind(file: Path) -> str:
    """Return what a file beside the caches of a model holds."""
    return next((name for name in ("scores", "detectors") if name in (file.parent.name, file.parents[1].name)), "")


def _say_heads(run: Run, model: str) -> None:
    """Say which heads stay where no cache does."""
    from moodbench.workspace import ModelName

    name = ModelName.parse(model)
    imported = run.workspace.imported_scores(name)
    if imported and not run.workspace.cached_datasets(name):
        run.output.say(
            f"note: imported scores of '{model}' stay ({', '.join(imported)}); to remove them: "
            f"moodbench cache remove --model {model} --score NAME"
        )
    heads = run.workspace.other_heads(name)
    if heads and not run.workspace.cached_datasets(name):
        names = ", ".join(file.stem for file in heads)
        run.output.say(
            f"note: heads of '{model}' stay ({names}); to remove them, delete the folder '{heads[0].parent}'"
        )
