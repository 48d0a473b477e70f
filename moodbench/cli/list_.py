"""``moodbench list {models,datasets,benchmarks,scores}``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from moodbench.cli.app import Commands, app
from moodbench.cli.listing import as_json, as_text
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import write

listing = Commands(
    no_args_is_help=True, help="Show the models, datasets, benchmarks or scores there are.", rich_markup_mode=None
)
app.add_typer(listing, name="list")

Record = dict[str, Any]


def _show(records: list[Record], json_: bool, columns: Callable[[Record], Record]) -> None:
    """Print every field as JSON, or `columns` of each record as text."""
    write(as_json(records) if json_ else as_text([columns(record) for record in records]))


Json = Annotated[bool, typer.Option("--json", help="Print JSON with every field.")]


@listing.command()
@with_run
def models(
    *,
    fair: Annotated[
        bool,
        typer.Option("--fair", help="Group them by size and by what they have seen: labels, data, image-text pairs."),
    ] = False,
    json_: Json = False,
    run: Run,
) -> None:
    """Show the models: pretext task, weights, variants, caches.

    Says where the weights come from, and whether they are on this disk. Sizes marked ≈ are estimated from the number of parameters. The digest is what the weights are checked against: that
    of the whole file, its first digits (prefix, from the name of the file), what the hub says, or none.

    Example: moodbench list models --fair
    """
    from moodbench.cli.models import fair_text, model_columns
    from moodbench.commands.list_ import list_fair, list_models

    if fair:
        groups = list_fair(run.workspace)
        write(as_json(groups) if json_ else fair_text(groups))
    else:
        _show(list_models(run.workspace), json_, model_columns)


@listing.command()
@with_run
def datasets(*, json_: Json = False, run: Run) -> None:
    """Show the datasets: state on this disk, images, size, source.

    Of images, how many there are and should be. The state is judged by notes and file names alone; moodbench verify looks at the images themselves. --json shows
    everything that the catalogue says.

    Example: moodbench list datasets --json
    """
    from moodbench.commands.list_ import list_datasets
    from moodbench.sizes import human_bytes

    _show(
        list_datasets(run.workspace),
        json_,
        lambda r: {
            "name": r["name"],
            "state": r["state"] if r["verified"] is None else f"{r['state']} {r['verified'][:10]}",
            "images": _images(r),
            "size": None if r["bytes"] is None else human_bytes(r["bytes"]),
            "source": _source(r),
            "models": len(r["cached_by"]) or None,
        },
    )


def _source(record: Record) -> str:
    """Return where the images come from by the catalogue, and how these came here where that is another way."""
    origin = record["origin"]
    same = origin is None or origin["dataset"] != record["name"] or origin["how"] in ("downloaded", "generated")
    return record["source"] if same else f"{record['source']} ({origin['how']})"


def _images(record: Record) -> str:
    expected = "?" if record["images"] is None else f"{record['images']}"
    return expected if record["images_here"] is None else f"{record['images_here']} / {expected}"


@listing.command()
@with_run
def benchmarks(*, json_: Json = False, run: Run) -> None:
    """Show the benchmarks: ID train, ID test, OOD datasets.

    Example: moodbench list benchmarks
    """
    from moodbench.commands.list_ import list_benchmarks

    _show(
        list_benchmarks(run.workspace),
        json_,
        lambda r: {
            "name": r["name"],
            "ID train": r["id_train"],
            "ID test": ", ".join(r["id_test"]),
            "OOD": "; ".join(f"{group}: {', '.join(names)}" for group, names in r["ood"].items() if names),
            "models ready": len(r["models_ready"]) or None,
        },
    )


@listing.command()
@with_run
def scores(*, json_: Json = False, run: Run) -> None:
    """Show the scores: family, needs, parameters, paper.

    Example: moodbench list scores
    """
    from moodbench.commands.list_ import list_scores

    _show(
        list_scores(),
        json_,
        lambda r: {
            "name": r["name"],
            "title": r["title"],
            "family": r["family"],
            "needs": ", ".join(r["needs"]) or None,
            "assumes": r["assumes"],
            "parameters": ", ".join(f"{k}={v}" for k, v in r["params"].items()) or None,
            "paper": r["paper"],
        },
    )
