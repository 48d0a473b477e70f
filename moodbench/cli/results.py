"""``moodbench results show``, ``merge``, ``diff``, ``push`` and ``pull``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from moodbench.cli import completion
from moodbench.cli.app import Commands, app
from moodbench.cli.listing import as_facts, as_text
from moodbench.cli.options import Json, Run, with_run, with_run_elsewhere
from moodbench.cli.output import terminal_width, write
from moodbench.cli.shown import Models
from moodbench.errors import MoodbenchError

results = Commands(no_args_is_help=True, help="Trace, join, compare and share results.", rich_markup_mode=None)
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


_Submitters = Annotated[
    list[str] | None,
    typer.Option(
        "--submitter", metavar="NAME", help="Only what NAME shared. Repeatable.", autocompletion=completion.submitters
    ),
]
_Revision = Annotated[str | None, typer.Option(metavar="NAME", help="hf: the branch (to pull, a tag or commit too).")]


@results.command()
@with_run
def push(
    *,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A folder, in git or not, or hf:ORG/NAME.", show_default=False)
    ],
    submitter: Annotated[
        str | None,
        typer.Option(
            envvar="MOODBENCH_SUBMITTER",
            metavar="NAME",
            help="Whose submission it is; people see it.  [hf default: the account's name]",
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK", help="Only this benchmark. Repeatable.", autocompletion=completion.scored_benchmarks
        ),
    ] = None,
    model: Models = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of what NAME shared of these models before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and say what would be shared.")] = False,
    commit: Annotated[
        bool, typer.Option("--commit", help="Folder in git: commit the files, and push nothing.")
    ] = False,
    create: Annotated[bool, typer.Option("--create", help="hf: make the repository, private, if need be.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="hf: open a pull request.")] = False,
    revision: _Revision = None,
    run: Run,
) -> None:
    """Share results in a folder, git, or the Hugging Face hub.

    Every row is checked first. Rows that contradict what others shared from the same inputs are named, and nothing is
    written. A submitter has files of their own, without folders of this machine in them. Scores of single images are
    not shared.

    Example: moodbench results push ../lab-results --submitter ann --commit
    """
    from moodbench.commands.sharing import push_results
    from moodbench.sizes import many

    done = push_results(
        target,
        submitter=submitter,
        benchmark=benchmark or (),
        model=model or (),
        replace=replace,
        commit=commit,
        create=create,
        create_pr=create_pr,
        revision=revision,
        dry_run=dry_run,
        workspace=run.workspace,
        report=run.output.say,
    )
    if done.files:
        run.output.say(f"shared {many(len(done.files), 'file')}: {done.place}")
    if done.advice:
        run.output.say(f"to commit them: {done.advice}")


@results.command()
@with_run
def pull(
    *,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A shared folder, or hf:ORG/NAME.", show_default=False)
    ],
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to put them.  [default: --results-dir]")
    ] = None,
    submitter: _Submitters = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK", help="Only this one. Repeatable.", autocompletion=completion.shared_benchmarks
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Only this one. Repeatable.", autocompletion=completion.shared_models),
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Where results of a model do not fit together: take those of NAME. Repeatable, the first one first.",
            autocompletion=completion.submitters,
        ),
    ] = None,
    revision: _Revision = None,
    run: Run,
) -> None:
    """Join what others shared into a folder of results.

    By the rules of results merge: rows that contradict each other, or were made from other inputs, are refused by
    name, and nothing is written, unless --prefer says whose to take. Tables, pictures and comparisons then read them
    as any results.

    Example: moodbench results pull hf:lab/ood-results --into theirs
    """
    from moodbench.commands.sharing import pull_results

    pull_results(
        source,
        into=into,
        submitter=submitter or (),
        benchmark=benchmark or (),
        model=model or (),
        prefer=prefer or (),
        revision=revision,
        workspace=run.workspace,
        report=run.output.say,
    )


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
    said = as_facts([*numbers, *_facts(record)])
    return f"{title}\n\n{said}\n" + (as_text([_column(one) for one in record["inputs"]]) if record["inputs"] else "")


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "rows", f"{record['n_id']} ID test, {record['n_ood']} OOD"
    paper = f"({record['paper']})" if record["paper"] else ""
    yield "score", " ".join(filter(None, [record["score"], record["params"], paper]))
    if record["seeds"]:
        yield "seeds", str(record["seeds"])
    for remark in filter(None, [record["note"], *record["remarks"]]):
        yield "note", remark
    yield "state", _state(record)
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


def _state(record: Record) -> str:
    """Return in words whether a number would come out the same now, as far as its caches tell."""
    if record["shared_by"]:
        return f"shared by {', '.join(record['shared_by'])}: not compared with the caches of this machine"
    if record["changed"]:
        return f"stale: other than when it was made are now {', '.join(record['changed'])}"
    states = {one["state"] for one in record["inputs"]}
    if states == {"gone"}:
        return "its caches are not here, so nothing says whether they have changed since"
    return "its caches have not changed since" + ("" if states <= {"same"} else ", as far as they can be read here")


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
