"""``moodbench results show``, ``merge`` and ``diff``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from moodbench.cli import completion
from moodbench.cli.app import Commands, app
from moodbench.cli.listing import as_text
from moodbench.cli.options import Json, Run, with_run, with_run_elsewhere
from moodbench.cli.output import terminal_width, write
from moodbench.errors import MoodbenchError

results = Commands(no_args_is_help=True, help="Trace, join and compare results.", rich_markup_mode=None)
app.add_typer(results, name="results")

Record = Mapping[str, Any]

SHORT = 8
"""Hexadecimal digits of a digest that people are shown."""


@results.command()
@with_run
def show(
    *,
    cell: Annotated[
        str,
        typer.Argument(
            metavar="MODEL/SCORE[/OOD]",
            help="OOD: a dataset, mean (the default), or a group for its mean.",
            show_default=False,
            autocompletion=completion.cells,
        ),
    ],
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="BENCHMARK",
            help="May be omitted if the cell has results on one alone.",
            autocompletion=completion.scored_benchmarks,
        ),
    ] = None,
    params: Annotated[
        str | None,
        typer.Option(metavar="PARAMS", help="Parameters of the score, if it was run with several, as in k=10."),
    ] = None,
    json_: Json = False,
    run: Run,
) -> None:
    """Trace a number: caches, weights, image lists, versions.

    All metrics of one cell, and of every dataset that it depends on the rows, the image list, the weights and the
    transform that its features are from, and whether that cache is the same still.

    Example: moodbench results show digits_mim/vim/digits_textures
    """
    from moodbench.commands.results import show_result

    record = show_result(cell, benchmark=benchmark, params=params, workspace=run.workspace)
    if json_:
        write(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        write(_shown(record, run))


@results.command()
@with_run
def merge(
    *,
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Folders of results, as --results-dir.", show_default=False)
    ],
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to put them.  [default: --results-dir]")
    ] = None,
    run: Run,
) -> None:
    """Join the results of several machines.

    Equal rows become one. Rows that contradict each other, and results that were made from other caches, heads or
    definitions of a benchmark, are refused by name, and then nothing is written. Row scores stay with the caches.

    Example: moodbench results merge node1/results node2/results --into results
    """
    from moodbench.commands.results import merge_results

    merge_results(folders, into=into, workspace=run.workspace, report=run.output.say)


@results.command()
@with_run_elsewhere
def diff(
    *,
    a: Annotated[Path, typer.Argument(metavar="A", help="A folder of results.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    tolerance: Annotated[
        float, typer.Option(metavar="POINTS", help="Points of a percentage by which metrics may differ.")
    ] = 0.0,
    json_: Json = False,
    run: Run,
) -> None:
    """Compare two folders of results, every number and note.

    Says what differs, by how much, and which inputs do: weights, transform, image list, versions. Exit 0: nothing
    differs; 1: something does; 2: trouble.

    Example: moodbench results diff last_month/results results --tolerance 0.01
    """
    from moodbench.commands.results import diff_results

    try:
        found = diff_results(a, b, tolerance=tolerance, workspace=run.workspace)
    except MoodbenchError as error:
        error.exit_code = 2  # as diff: 1 says that they differ
        raise
    write(found.json() if json_ else found.text(terminal_width()))
    if found:
        raise typer.Exit(1)


def _shown(record: Record, run: Run) -> str:
    """Return what `show_result` found as text."""
    from moodbench.metrics import METRICS
    from moodbench.tables.marks import printed
    from moodbench.types import MEAN

    name, group = record["ood"], record["group"]
    ood = f"{MEAN} over {group}" if name == MEAN else f"{name} ({group})"
    title = f"{record['title']} on {record['model']}, {record['benchmark']}: {ood}"
    numbers = []
    for metric, value in record["metrics"].items():
        if value is not None:
            known = metric == "auroc" and record["auroc_low"] is not None
            interval = f"  95 %: {printed(record['auroc_low'])} to {printed(record['auroc_high'])}" if known else ""
            numbers.append((METRICS[metric].label, printed(value) + interval))
    lines = [*numbers, *_facts(record)]
    wide = max(len(key) for key, _ in lines)
    parts = [title, "", *(f"{key:{wide}}  {value}".rstrip() for key, value in lines)]
    return "\n".join(parts) + "\n\n" + (as_text([_column(one) for one in record["inputs"]]) if record["inputs"] else "")


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "rows", f"{record['n_id']} ID test, {record['n_ood']} OOD"
    paper = f"({record['paper']})" if record["paper"] else ""
    yield "score", " ".join(filter(None, [record["score"], record["params"], paper]))
    if record["seeds"]:
        yield "seeds", str(record["seeds"])
    for remark in filter(None, [record["note"], *record["remarks"]]):
        yield "note", remark
    stale = f"stale: other than when it was made are now {', '.join(record['changed'])}"
    yield "state", stale if record["changed"] else "its caches have not changed since, as far as they are there"
    yield "file", f"{record['file']} (sha256 {record['sha256'][:SHORT]})"
    for one in record["imported"]:
        higher = "in-distribution" if one["orientation"] == "id" else "out-of-distribution"
        yield "imported", f"{one['dataset']}: {one['file']} (sha256 {one['sha256'][:SHORT]}), higher is {higher}"
    for view, of in record["views"].items():
        yield "view", f"{view} ({_together(of)})"
    for made in record["made_with"]:
        yield "made with", made
    yield from _common(record["inputs"]).items()
    if record["head"] is not None:
        yield "head", f"sha256 {record['head']['sha256'][:SHORT]} ({record['head']['state']})"
    rows = record["row_scores"]
    yield "row scores", rows["file"] if rows["fault"] is None else f"of no use: {rows['fault']}"


def _together(states: Mapping[str, str]) -> str:
    """Return the states of the caches of a view in words: one for all, or those of single datasets."""
    if len({*states.values()}) == 1:
        return next(iter(states.values()))
    return ", ".join(f"{dataset}: {state}" for dataset, state in states.items())


def _common(inputs: list[Record]) -> dict[str, str]:
    """Return what is said of the features of all datasets: weights, transform, how they were extracted."""
    found: dict[str, dict[str, None]] = {}
    for one in inputs:
        model = one.get("model") or {}
        digest = model.get("weights_sha256")
        weights = f"{model.get('weights', 'unknown')}" + (f" (sha256 {digest[:SHORT]})" if digest else "")
        transform = ", ".join(f"{key} {value}" for key, value in (one.get("transform") or {}).items())
        how = ", ".join(f"{k} {one[k]}" for k in ("source", "precision", "device", "limit") if one.get(k) is not None)
        versions = ", ".join(f"{package} {number}" for package, number in (one.get("versions") or {}).items())
        for key, value in (("weights", weights if model else ""), ("transform", transform), ("features", how)):
            found.setdefault(key, {})[value] = None
        found.setdefault("extracted with", {})[versions] = None
    return {key: "; ".join(filter(None, values)) for key, values in found.items() if any(values)}


def _column(one: Record) -> dict[str, object]:
    images = one.get("images") or {}
    return {
        "used as": one["role"],
        "dataset": one["dataset"],
        "rows": one["rows"],
        "skipped": one["skipped"] or None,
        "image list": str(images.get("fingerprint") or "")[:SHORT] or None,
        "contents": str(one["contents"])[:SHORT],
        "state": one["state"],
        "cache": one["cache"],
    }
