"""Our rows beside the numbers of a reference, by benchmark, model, score, parameters, OOD dataset and metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodbench.catalog import Catalog
from moodbench.comparison.causes import causes
from moodbench.comparison.reasons import reasons
from moodbench.comparison.reference import Compared, Given, Reference, place_of
from moodbench.types import Result
from moodbench.workspace import ModelName

Provenances = Mapping[tuple[str, str], Mapping[str, Any]]
Place = tuple[str, str, str, str]
"""Benchmark, model, score, and OOD dataset or mean."""


@dataclass(frozen=True)
class Ours:
    """Our results, and what they were made from."""

    rows: Sequence[Result]
    provenance: Provenances
    catalog: Catalog


def base_of(model: str) -> str:
    """Return the model of the catalogue that a name in results is a variant of."""
    return ModelName.parse(model).base


def beside(reference: Reference, ours: Ours) -> tuple[Compared, ...]:
    """Return what is compared: every number of the reference at least once, in its order.

    One that nothing of ours stands beside has a `note` that says why. Of a folder, our rows that it lacks follow.
    """
    index: dict[Place, list[Result]] = {}
    for row in ours.rows:
        index.setdefault((row.benchmark, row.model, row.score, place_of(row)), []).append(row)
    theirs: dict[tuple[Place, str], int] = {}
    for given in reference.numbers:
        key = (_place(given, given.model), given.metric)
        theirs[key] = theirs.get(key, 0) + 1
    found: list[Compared] = []
    met: set[tuple[Place, str, str]] = set()
    for given in reference.numbers:
        places = [_place(given, model) for model in _models(reference, given, ours)]
        rows = [
            (place, row)
            for place in places
            for row in _fitting(given, index.get(place, []), theirs[_place(given, given.model), given.metric])
        ]
        found += [_compared(reference, given, row, ours) for _, row in rows]
        met |= {(place, row.params, given.metric) for place, row in rows}
        if not rows:
            found.append(_alone(given, _why_missing(reference, given, ours)))
    if reference.kind == "folder":
        found += _only_ours(index, met, {given.metric for given in reference.numbers})
    return tuple(found)


def _place(given: Given, model: str) -> Place:
    return (given.benchmark, model, given.score, given.ood)


def _models(reference: Reference, given: Given, ours: Ours) -> list[str]:
    """Return our models that a number is of: of a published one every variant."""
    if reference.kind != "published":
        return [given.model]
    names = dict.fromkeys(row.model for row in ours.rows if row.benchmark == given.benchmark)
    return [name for name in names if base_of(name) == given.model and ModelName.parse(name).view is None]


def _fitting(given: Given, rows: Sequence[Result], theirs: int) -> Sequence[Result]:
    """Return the rows with the parameters of a number; where each side has one row, that one."""
    same = [row for row in rows if given.params in (None, row.params)]
    return rows if not same and len(rows) == theirs == 1 else same


def _compared(reference: Reference, given: Given, row: Result, ours: Ours) -> Compared:
    value = getattr(row, given.metric)
    difference = None if value is None or given.value is None else round(value - given.value, 12)
    key = (row.benchmark, row.model)
    notes = [given.note]
    if value is None:
        notes.append(row.note or "ours has no number")
    elif given.value is None:
        notes.append("theirs has no number" + (f": {given.row.note}" if given.row and given.row.note else ""))
    if reference.kind == "folder":
        if difference and given.row is not None:
            notes.append(causes(reference.provenance.get(key, {}), ours.provenance.get(key, {}), given.row, row))
    else:
        notes += row.remarks
    if reference.kind == "published":
        notes += reasons(ours.catalog, row.model, ours.provenance.get(key, {}))
    return Compared(
        row.benchmark,
        row.model,
        row.score,
        given.ood,
        given.metric,
        value,
        given.value,
        difference,
        _inside(given, row) if difference is not None else None,
        "; ".join(dict.fromkeys(filter(None, notes))),
        row.params,
    )


def _inside(given: Given, row: Result) -> bool | None:
    """Say whether a number lies in our interval; None where what it may be off by decides that."""
    if given.metric != "auroc" or given.value is None or row.auroc_low is None or row.auroc_high is None:
        return None
    values = (given.value - given.reading, given.value, given.value + given.reading)
    low, middle, high = (row.auroc_low <= value <= row.auroc_high for value in values)
    apart = values[2] < row.auroc_low or values[0] > row.auroc_high
    return True if low and middle and high else False if apart else None


def _alone(given: Given, why: str) -> Compared:
    params = given.params or ""
    return Compared(
        given.benchmark, given.model, given.score, given.ood, given.metric, None, given.value, None, None, why, params
    )


def _only_ours(index: Mapping[Place, Sequence[Result]], met: set[Any], metrics: set[str]) -> Iterator[Compared]:
    for (benchmark, model, score, ood), rows in index.items():
        for row in rows:
            for metric in sorted(metrics):
                if ((benchmark, model, score, ood), row.params, metric) not in met:
                    value = getattr(row, metric)
                    note = "not in the reference"
                    yield Compared(benchmark, model, score, ood, metric, value, None, None, None, note, row.params)


def _why_missing(reference: Reference, given: Given, ours: Ours) -> str:
    """Return what of ours is missing beside a number, the largest first, and what to run."""
    rows = [row for row in ours.rows if row.benchmark == given.benchmark]
    models = set(_models(reference, given, ours)) & {row.model for row in rows}
    wanted = f"{given.model}@moodv2" if reference.kind == "published" else given.model
    score = f"moodbench score --benchmark {given.benchmark}"
    todo = f"moodbench extract --model {wanted} --benchmark {given.benchmark}, then {score}"
    if given.benchmark not in ours.catalog.benchmarks or base_of(wanted) not in ours.catalog.models:
        todo = ""
    run = f" ({todo})" if todo and reference.kind != "folder" else ""
    if not rows:
        return f"no results of ours on {given.benchmark}{run}"
    if not models:
        return f"no results of ours of {given.model} on {given.benchmark}{run}"
    of = [row for row in rows if row.model in models and row.score == given.score]
    if not of:
        run = f": {score} --score {given.score}" if reference.kind == "published" else ""
        return f"'{given.score}' was not run on {', '.join(sorted(models))} ({given.benchmark}){run}"
    if given.params is not None and not any(row.params == given.params for row in of):
        there = ", ".join(sorted({row.params or "none" for row in of}))
        return f"other parameters of {given.score}: theirs {given.params or 'none'}, ours {there}"
    return f"no number of ours on {given.ood} ({given.benchmark})"
