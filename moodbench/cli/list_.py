"""``moodbench list {models,datasets,benchmarks,scores}``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args

import typer

from moodbench.choices import Needs, PretextTask, check_choices
from moodbench.cli import completion
from moodbench.cli.app import Commands, app
from moodbench.cli.listing import as_json, as_text
from moodbench.cli.options import Json, Run, with_run
from moodbench.cli.output import write
from moodbench.errors import UsageError
from moodbench.types import Family

listing = Commands(
    no_args_is_help=True, help="Show the models, datasets, benchmarks or scores there are.", rich_markup_mode=None
)
app.add_typer(listing, name="list")

Record = dict[str, Any]


def _show(
    records: list[Record],
    json_: bool,
    columns: Callable[[Record], Record],
    run: Run,
    text: str = "",
    every: Callable[[], list[Record]] = list,
) -> None:
    """Print every field as JSON, or `columns` of each record as text; of nothing, say what may be meant.

    Parameters
    ----------
    text : str
        What was looked for. Titles are shown where it stands in one and not in the name.
    every : callable
        Returns all records that there are.
    """
    if records or json_:
        titled = any(text.casefold() not in record["name"].casefold() for record in records)
        shown = [_with_title(columns(record), record) if titled else columns(record) for record in records]
        write(as_json(records) if json_ else as_text(shown))
    else:
        run.output.say(nothing(text, every()))


def views_said(views: Record | None) -> str | None:
    """Return which models have the layers and views that a score reads, or how these are made."""
    if views is None:
        return None
    if views["cached_of"]:
        return "cached of " + ", ".join(views["cached_of"])
    return f"not cached: extract {views['made_by']}" if views["made_by"] else "not cached"


def _with_title(shown: Record, record: Record) -> Record:
    """Return the columns of a record with its title behind its name."""
    return {"name": shown["name"], "title": record["title"], **shown}


MOST_NAMED = 5


def nothing(text: str, records: Sequence[Record]) -> str:
    """Return that nothing matches, and what nearly does, by name or a word of the title."""
    from moodbench.commands.list_ import has

    if not text:
        return NONE
    there = [record["name"] for record in records if has(record, text)]
    if there:
        some = ", ".join(there[:MOST_NAMED]) + (", …" if len(there) > MOST_NAMED else "")
        return f"{NONE}: '{text}' is in {some}, but the other options leave that out"
    words = dict.fromkeys(
        word.casefold() for record in records for word in (record["name"], *record["title"].split()) if len(word) > 3
    )
    near = difflib.get_close_matches(text.casefold(), words, n=3, cutoff=0.7)
    return f"{NONE} '{text}'" + (". Did you mean " + " or ".join(f"'{word}'" for word in near) + "?" if near else "")


def _listed(choice: Any) -> str:
    """Return the words of a choice as a sentence has them."""
    *words, last = get_args(choice)
    return f"{', '.join(words)} or {last}"


NONE = "nothing matches"

Text = Annotated[
    str, typer.Argument(metavar="[TEXT]", help="Only those with this in their name or title.", show_default=False)
]


@listing.command()
@with_run
def models(
    *,
    text: Text = "",
    pretext: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK",
            help=f"Only models of this pretext task: {_listed(PretextTask)}. Repeatable.",
            autocompletion=completion.pretexts,
        ),
    ] = None,
    cached: Annotated[bool, typer.Option("--cached", help="Only models that have caches.")] = False,
    fair: Annotated[
        bool,
        typer.Option("--fair", help="Group them by size and by what they have seen: labels, data, image-text pairs."),
    ] = False,
    json_: Json = False,
    run: Run,
) -> None:
    """Show the models: pretext task, weights, variants, caches.

    Says where the weights come from, and whether they are on this disk. Sizes marked ≈ are estimated from the number of
    parameters. The digest is what the weights are checked against: that of the whole file, its first digits (prefix,
    from the name of the file), what the hub says, or none.

    Example: moodbench list models vit --fair
    """
    from moodbench.cli.models import fair_text, model_columns
    from moodbench.commands.list_ import check_pretexts, list_fair, list_models

    check_pretexts("--pretext", pretext or (), run.workspace)
    if fair and cached:
        raise UsageError("--fair groups the models of the catalogue, and --cached lists those with caches")
    if not fair:
        found = list_models(run.workspace, text, pretext=pretext or (), cached=cached)
        _show(found, json_, model_columns, run, text, lambda: list_models(run.workspace))
        return
    groups = list_fair(run.workspace, text, pretext=pretext or ())
    if groups or json_:
        write(as_json(groups) if json_ else fair_text(groups))
    else:
        run.output.say(nothing(text, list_models(run.workspace)))


@listing.command()
@with_run
def datasets(
    *,
    text: Text = "",
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Only datasets that this benchmark uses. Repeatable.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    present: Annotated[
        bool | None,
        typer.Option("--present/--absent", help="Only datasets that are on this disk, or only those that are not."),
    ] = None,
    json_: Json = False,
    run: Run,
) -> None:
    """Show the datasets: state on this disk, images, size, source.

    Of images, how many there are and should be. The state is judged by notes and file names alone; moodbench verify
    looks at the images themselves. --json shows everything that the catalogue says.

    Example: moodbench list datasets --benchmark imagenet --absent
    """
    from moodbench.commands.list_ import list_datasets
    from moodbench.sizes import human_bytes

    _show(
        list_datasets(run.workspace, text, benchmark=benchmark or (), present=present),
        json_,
        lambda r: {
            "name": r["name"],
            "state": r["state"] if r["verified"] is None else f"{r['state']} {r['verified'][:10]}",
            "images": _images(r),
            "size": None if r["bytes"] is None else human_bytes(r["bytes"]),
            "source": _source(r),
            "models": len(r["cached_by"]) or None,
        },
        run,
        text,
        lambda: list_datasets(run.workspace),
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
def benchmarks(
    *,
    text: Text = "",
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET",
            help="Only benchmarks that use this dataset. Repeatable.",
            autocompletion=completion.datasets,
        ),
    ] = None,
    json_: Json = False,
    run: Run,
) -> None:
    """Show the benchmarks: ID train, ID test, OOD datasets.

    Example: moodbench list benchmarks
    """
    from moodbench.commands.list_ import list_benchmarks

    _show(
        list_benchmarks(run.workspace, text, dataset=dataset or ()),
        json_,
        lambda r: {
            "name": r["name"],
            "ID train": r["id_train"],
            "ID test": ", ".join(r["id_test"]),
            "OOD": "; ".join(f"{group}: {', '.join(names)}" for group, names in r["ood"].items() if names),
            "models ready": len(r["models_ready"]) or None,
        },
        run,
        text,
        lambda: list_benchmarks(run.workspace),
    )


@listing.command()
@with_run
def scores(
    *,
    text: Text = "",
    family: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAMILY",
            help=f"Only scores of this family: {_listed(Family)}. Repeatable.",
            autocompletion=completion.families,
        ),
    ] = None,
    needs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help=f"Only scores that need this besides features: {_listed(Needs)}. Repeatable.",
            autocompletion=completion.needs,
        ),
    ] = None,
    json_: Json = False,
    run: Run,
) -> None:
    """Show the scores: family, needs, parameters, paper.

    Column views: of scores that read layers or views (docs/views.md), which models have them on this disk.

    Example: moodbench list scores --family feature --needs labels
    """
    from moodbench.commands.list_ import list_scores

    check_choices("--family", family or (), Family)
    check_choices("--needs", needs or (), Needs)

    _show(
        list_scores(text, family=family or (), needs=needs or (), workspace=run.workspace),
        json_,
        lambda r: {
            "name": r["name"],
            "title": r["title"],
            "family": r["family"],
            "needs": ", ".join(r["needs"]) or None,
            "views": views_said(r["views"]),
            "assumes": r["assumes"],
            "parameters": ", ".join(f"{k}={v}" for k, v in r["params"].items()) or None,
            "paper": r["note"] if "imported" in r else r["paper"],
        },
        run,
        text,
        lambda: list_scores(workspace=run.workspace),
    )
