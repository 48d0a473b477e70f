"""``moodbench list {models,datasets,benchmarks,scores}``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from moodbench.cli.app import app
from moodbench.cli.listing import as_json, as_text
from moodbench.cli.options import Run, with_run
from moodbench.cli.output import write

listing = typer.Typer(
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
def models(*, json_: Json = False, run: Run) -> None:
    """Show the models: pretext task, architecture, where the weights come from, cached datasets.

    Example: moodbench list models
    """
    from moodbench.inventory import list_models

    _show(
        list_models(run.workspace),
        json_,
        lambda r: {
            "name": r["name"],
            "pretext task": r["pretext"],
            "timm": r.get("timm"),
            "weights": r["weights"],
            "head": r.get("head"),
            "top-1": r.get("top1"),
            "cached datasets": len(r["cached"]) or None,
        },
    )


@listing.command()
@with_run
def datasets(*, json_: Json = False, run: Run) -> None:
    """Show the datasets: where their images are, how many are expected, whether they are on this disk.

    Example: moodbench list datasets --json
    """
    from moodbench.inventory import list_datasets

    _show(
        list_datasets(run.workspace),
        json_,
        lambda r: {
            "name": r["name"],
            "images": r["images"],
            "on disk": "yes" if r["on_disk"] else "no",
            "where": r["folder"] or r["source"],
            "cached by": ", ".join(r["cached_by"]) or None,
            "title": r["title"],
        },
    )


@listing.command()
@with_run
def benchmarks(*, json_: Json = False, run: Run) -> None:
    """Show the benchmarks: ID train, ID test, groups of OOD datasets.

    Example: moodbench list benchmarks
    """
    from moodbench.inventory import list_benchmarks

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
    """Show the scores: family, what they need besides features, parameters, paper.

    Example: moodbench list scores
    """
    from moodbench.inventory import list_scores

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
