"""What ``moodbench results show``, ``merge`` and ``diff`` do: where a number is from, runs joined, runs compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from moodbench.arguments import as_path, as_paths, check_real
from moodbench.comparison.changes import Changes, changes
from moodbench.comparison.folder import no_results_in, provenance_in
from moodbench.errors import CacheError, ResultsError, UnknownNameError, UsageError
from moodbench.evaluation.stale import imported_anew, states_of, view_states
from moodbench.metrics import METRICS
from moodbench.results import (
    benchmarks_with_results,
    provenance_file,
    read_all,
    read_provenance,
    read_results,
    result_files,
)
from moodbench.results.made import ITS_HEAD, made_with_of, roles_of, used_by, views_read
from moodbench.results.merge import PULLED, Source
from moodbench.sharing.joining import Key, join_into, sources_in
from moodbench.tables.selection import chosen_benchmarks
from moodbench.types import ALL_GROUPS, MEAN, Report, Result
from moodbench.workspace import ModelName, Workspace, as_workspace

Record = dict[str, Any]

CELL = "MODEL/SCORE[/OOD]"

ELSEWHERE = "elsewhere"
"""The state of caches of who shared the results: those of the same name on this machine are others."""


def show_result(
    cell: str, *, benchmark: str | None = None, params: str | None = None, workspace: Workspace | None = None
) -> Record:
    """Return one number with all that it was made from and with.

    Parameters
    ----------
    cell : str
        ``MODEL/SCORE/OOD``, as results name them; OOD is a dataset, ``mean`` or ``all`` (the default), or a group
        for its mean.
    benchmark : str, optional
        May be omitted where the cell has results on one alone.
    params : str, optional
        Parameters of the score, as results write them; may be omitted where it was run with one set.

    Raises
    ------
    UnknownNameError, UsageError
        There is no such cell, or several are called so.
    ResultsError
        There are no results, or they cannot be read.
    """
    space = as_workspace(workspace)
    row = _row(space, cell, chosen_benchmarks(space, [benchmark] if benchmark else []), params)
    name = ModelName.parse(row.model)
    file = _file_of(space.results_dir, row)
    noted = read_provenance(file)
    inputs = noted.get("inputs", {})
    used, pulled = used_by(inputs, row), sorted(noted.get(PULLED, {}))
    states: Mapping[str, str] = states_of(space, name, inputs)
    if pulled:  # made of other people's caches: those of this machine prove nothing
        states = dict.fromkeys(states, ELSEWHERE)
    changed = sorted(what for what, state in states.items() if state == "changed" and what in {*used, ITS_HEAD})
    views: Mapping[str, Mapping[str, str]] = view_states(space, name, views_read(noted, row))
    if pulled:
        views = {view: dict.fromkeys(of, ELSEWHERE) for view, of in views.items()}
    changed += [f"the view {view}" for view, of in views.items() if "changed" in of.values()]
    anew = set() if pulled else imported_anew(space, name, noted).get(row.score, set())
    changed += [f"the imported numbers of {dataset}" for dataset in sorted(anew & used)]
    return {
        **{key: getattr(row, key) for key in ("benchmark", "model", "pretext", "score", "params", "family")},
        **{key: getattr(row, key) for key in ("ood", "group", "n_id", "n_ood", "seeds", "control", "note")},
        "remarks": list(row.remarks),
        "auroc_low": row.auroc_low,
        "auroc_high": row.auroc_high,
        "metrics": {metric: getattr(row, metric) for metric in METRICS},
        "title": noted.get("scores", {}).get(row.score, {}).get("title", row.score),
        "paper": noted.get("scores", {}).get(row.score, {}).get("paper", ""),
        "file": str(file),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "provenance": str(provenance_file(file)),
        "made_with": made_with_of(noted, row),
        "shared_by": pulled,
        "changed": changed,
        "row_scores": _row_scores(space, row, shared=bool(pulled)),
        "imported": _imported(noted, row, used),
        "views": views,
        "head": {"sha256": inputs["head"], "state": states.get(ITS_HEAD)} if "head" in inputs else None,
        "inputs": [_input(space, name, one, noted, states) for one in roles_of(inputs) if one in used],
    }


def _row(space: Workspace, cell: str, benchmarks: Sequence[str], params: str | None) -> Result:
    """Return the only row that a cell names."""
    rows = [row for name in benchmarks for row in read_all(space.results_dir, name)]
    # names of open_clip have a slash themselves
    named = (row.model for row in rows if cell.startswith(f"{row.model}/"))
    model = max(named, key=len, default=cell.partition("/")[0])
    score, _, ood = cell[len(model) + 1 :].partition("/")
    if not model or not score:
        raise UsageError(f"'{cell}' names no cell of results", fix=f"write {CELL}, as in vit/msp/texture or vit/msp")
    for kind, wanted in (("model", model), ("score", score)):
        known = {getattr(row, kind) for row in rows}
        if wanted not in known:
            what = "model with results" if kind == "model" else f"result of '{model}' with the score"
            raise UnknownNameError(what, wanted, known, plural=f"{kind}s with results")
        rows = [row for row in rows if getattr(row, kind) == wanted]
    names = {_name(row) for row in rows}
    datasets = [row for row in rows if row.ood == ood != MEAN]
    found = datasets or [row for row in rows if _name(row) == (MEAN if ood in ("", ALL_GROUPS) else ood)]
    if not found:
        what = f"result of '{model}/{score}' on the OOD dataset or group"
        raise UnknownNameError(what, ood or MEAN, names, plural="OOD datasets and groups of it")
    if params is not None:
        known = {row.params for row in found}
        found = [row for row in found if row.params == params]
        if not found:
            what = f"result of '{model}/{score}' with the parameters"
            raise UnknownNameError(what, params, known, plural="parameters of it")
    if len(found) > 1:
        for key, option in (("benchmark", "--benchmark"), ("params", "--params")):
            values = sorted({getattr(row, key) for row in found})
            if len(values) > 1:
                listing = ", ".join(f"'{value}'" for value in values)
                raise UsageError(f"several results are called '{cell}'", fix=f"name one with {option}: {listing}")
        raise UsageError(f"several results are called '{cell}'", fix="an OOD dataset in two groups has two rows")
    return found[0]


def _imported(noted: Mapping[str, Any], row: Result, used: set[str]) -> list[Record]:
    """Return what imported numbers a result was made from: of each dataset file, digest, orientation."""
    said = {place.partition("/"): about for place, about in noted.get("imported", {}).items()}
    return [
        {"dataset": dataset, **about}
        for (score, _, dataset), about in said.items()
        if score == row.score and dataset in used
    ]


def _name(row: Result) -> str:
    """Return what a cell calls the OOD dataset or mean of a row; a dataset comes before the group of its name."""
    if row.ood != MEAN:
        return row.ood
    return MEAN if row.group == ALL_GROUPS else row.group


def _file_of(results_dir: Path, row: Result) -> Path:
    """Return the file that a row is in, whatever it is called."""
    for file in result_files(results_dir / row.benchmark):
        if any(other.model == row.model for other in read_results(file)[:1]):
            return file
    raise AssertionError(row)


def _row_scores(space: Workspace, row: Result, *, shared: bool) -> Record:
    """Return where the scores of the test rows lie, and what is wrong with them."""
    from moodbench.evaluation.kept import LackingError, kept_rows

    file, fault = space.kept_scores_file(ModelName.parse(row.model), row.benchmark), None
    try:
        kept_rows(space, row.benchmark, row.model)
    except LackingError as error:
        fault = str(error)
    except (CacheError, ResultsError) as error:
        fault = error.what
    if fault is not None and shared:
        fault = "nobody shares them"
    return {"file": str(file), "fault": fault}


def _input(
    space: Workspace, name: ModelName, dataset: str, noted: Mapping[str, Any], states: Mapping[str, str]
) -> Record:
    """Return what is noted of the features of one dataset, and whether they are there still."""
    entry = noted.get("datasets", {}).get(dataset, {})
    return {
        "dataset": dataset,
        "role": roles_of(noted["inputs"])[dataset],
        "rows": entry.get("rows"),
        "skipped": entry.get("skipped"),
        "contents": noted["inputs"]["contents"][dataset],
        "cache": None if states[dataset] == ELSEWHERE else str(space.cache_file(name, dataset)),
        "state": states[dataset],
        **entry.get("provenance", {}),
    }


def merge_results(
    folders: str | Path | Iterable[str | Path],
    *,
    into: str | Path | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
) -> list[Path]:
    """Join folders of results, of several machines, and return the files that were written.

    What is in `into` already takes part. Everything is read and compared before the first file is written; where
    anything contradicts, nothing is. A folder that is new appears whole or not at all; in one that is there each file
    changes whole. Results by class are joined too, but for those that were made from something else than the results
    beside them. Rows of a model that were scored on different OOD datasets are joined; a mean over all of them needs
    their rows, and comes with the next `score` where the caches are.

    Parameters
    ----------
    folders : paths
        Each as ``--results-dir`` is.
    into : path, optional
        By default the results folder of the workspace.
    report : callable
        Is told what is joined.

    Raises
    ------
    ResultsError
        A folder holds no results; something cannot be read, was made from other inputs, or contradicts.
    """
    space = as_workspace(workspace)
    target = as_path(into) or space.results_dir
    plan: dict[Key, list[Source]] = {}
    met: set[Path] = {target.resolve()}
    for folder in as_paths(folders):
        if not benchmarks_with_results(folder):
            raise no_results_in(folder)
        if folder.resolve() in met:
            which = "the folder itself" if folder.resolve() == target.resolve() else "named twice"
            report(f"{folder}: nothing to join, it is {which}")
            continue
        met.add(folder.resolve())
        for key, source in sources_in(folder, report):
            plan.setdefault(key, []).append(source)
    return join_into(target, plan, report)


def diff_results(
    a: str | Path, b: str | Path, *, tolerance: float = 0.0, workspace: Workspace | None = None
) -> Changes:
    """Return what differs between two folders of results: every metric, count and note of every row.

    Parameters
    ----------
    a, b : path
        Each as ``--results-dir`` is.
    tolerance : float
        Points of a percentage by which metrics may differ. Counts and words may not.

    Raises
    ------
    UsageError
        The tolerance is no number of points.
    ResultsError
        A folder holds no results, or they cannot be read.
    """
    check_real(tolerance=tolerance)
    if not 0 <= tolerance <= 100:
        raise UsageError(f"the tolerance cannot be {tolerance:g}", fix="give points of a percentage, from 0 to 100")
    one, other = (as_path(folder) for folder in (a, b))
    for folder in (one, other):
        if not benchmarks_with_results(folder):
            raise no_results_in(folder)
    rows_a, rows_b = (
        [row for name in benchmarks_with_results(folder) for row in read_all(folder, name)] for folder in (one, other)
    )
    space = replace(as_workspace(workspace), results_dir=other)
    from moodbench.commands.compare import titles_for

    return changes(
        (str(one), rows_a, provenance_in(one)),
        (str(other), rows_b, provenance_in(other)),
        tolerance / 100,
        titles_for(space),
    )
