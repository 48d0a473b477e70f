"""Results that were made from other caches than are there now, told from the others. Without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from moodbench.errors import CacheError, ResultsError
from moodbench.results import read_provenance
from moodbench.results.made import ITS_HEAD, ViewContents, row_name, used_by
from moodbench.results.merge import PULLED
from moodbench.tables.footnotes import STALE
from moodbench.types import Result
from moodbench.workspace import ModelName, Workspace

State = Literal["same", "changed", "gone", "unreadable"]
"""Of a cache or head, beside what results say they were made from."""

MOST_NAMED = 3


def states_of(space: Workspace, name: ModelName, inputs: Mapping[str, Any]) -> dict[str, State]:
    """Return the state of each cache that `inputs` of results name, and of `ITS_HEAD` where they name a head."""
    there = [dataset for dataset in inputs.get("contents", {}) if space.cache_file(name, dataset).exists()]
    head = "head" in inputs and space.head_file(name).exists()
    states: dict[str, State] = dict.fromkeys(inputs.get("contents", {}), "gone")
    if "head" in inputs:
        states[ITS_HEAD] = "gone"
    if not there and not head:  # a folder of results alone: HDF5 is not even imported
        return states
    from moodbench.evaluation.inputs import changes_since

    for dataset in there:
        states[dataset] = _state_of(space, name, dataset, inputs["contents"][dataset])
    if head:
        states[ITS_HEAD] = "unreadable"
        with suppress(CacheError):
            changed_ones = list(changes_since(space, name, {**inputs, "contents": {}}))
            states[ITS_HEAD] = "changed" if changed_ones else "same"
    return states


def _state_of(space: Workspace, name: ModelName, dataset: str, contents: str) -> State:
    if not space.cache_file(name, dataset).exists():
        return "gone"
    from moodbench.evaluation.inputs import has_changed

    try:
        return "changed" if has_changed(space, name, dataset, contents) else "same"
    except CacheError:  # what it holds now nobody can say; `cache verify` says what is wrong with it
        return "unreadable"


def view_states(space: Workspace, name: ModelName, read: ViewContents) -> dict[str, dict[str, State]]:
    """Return view → dataset → state of the caches beside a model's own that a row was made from."""
    found = {}
    for view, of in read.items():
        model = name.beside(view)
        found[view] = {dataset: _state_of(space, model, dataset, digest) for dataset, digest in of.items()}
    return found


def imported_anew(space: Workspace, name: ModelName, noted: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return imported score → datasets whose numbers are others now than a provenance of results says.

    What was removed, or cannot be read, contradicts nobody.
    """
    found: dict[str, set[str]] = {}
    for place, said in noted.get("imported", {}).items():
        score, _, dataset = place.partition("/")
        file = space.imported_file(name, score, dataset)
        if file.exists():
            from moodbench.features.imported import read_imported

            with suppress(CacheError):
                if read_imported(file).contents != said.get("contents"):
                    found.setdefault(score, set()).add(dataset)
    return found


def marked_stale(space: Workspace, benchmark: str, rows: Sequence[Result]) -> list[Result]:
    """Return results of a benchmark, with a remark on those that were made from caches that are others now.

    Removed caches contradict nobody, and neither do removed views. What cannot be read is no reason to doubt a number:
    it was made before that.
    """
    found: list[Result] = []
    of: dict[str, list[Result]] = {}
    for row in rows:
        of.setdefault(row.model, []).append(row)
    for model, its in of.items():
        name = ModelName.parse(model)
        noted: Mapping[str, Any] = {}
        with suppress(ResultsError):  # under another name than theirs: nobody knows what they were made from
            noted = read_provenance(space.results_file(benchmark, name))
        if PULLED in noted:  # made of other people's caches
            found += its
            continue
        inputs = noted.get("inputs", {})
        changed = {what for what, state in states_of(space, name, inputs).items() if state == "changed"}
        views = changed_views(space, name, noted)
        its = [_marked(row, changed, inputs, views.get(row_name(row), [])) for row in its]
        anew = imported_anew(space, name, noted)
        found += [_marked_anew(row, anew.get(row.score, set()), inputs) for row in its] if anew else its
    return found


def changed_views(space: Workspace, name: ModelName, noted: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the rows of scores that were made from layers or views some of which are others now → which."""
    contents: Mapping[str, ViewContents] = noted.get("views", {})
    known: dict[tuple[str, str, str], bool] = {}

    def changed(view: str, dataset: str, digest: str) -> bool:
        key = view, dataset, digest
        if key not in known:
            known[key] = _state_of(space, name.beside(view), dataset, digest) == "changed"
        return known[key]

    found: dict[str, list[str]] = {}
    for row, its in contents.items():
        others = [v for v, of in its.items() if any(changed(v, dataset, digest) for dataset, digest in of.items())]
        if others:
            found[row] = others
    return found


def remark_of(row: Result, changed: Sequence[str]) -> str:
    """Return what is said of a result some of whose caches have changed."""
    named = [f"the cache of {what}" if what != ITS_HEAD else ITS_HEAD for what in changed]
    shown = ", ".join(named[:MOST_NAMED]) + (f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else "")
    again = f"moodbench score --benchmark {row.benchmark} --model {row.model}"
    return f"{STALE}: {shown} changed since ({again})"


def _marked(row: Result, changed: set[str], inputs: Mapping[str, Any], views: Sequence[str]) -> Result:
    if ITS_HEAD not in changed and not changed & used_by(inputs, row) and not views:
        return row
    # all that changed, not only what this row depends on: so a model has one remark
    named = [*sorted(changed - {ITS_HEAD}), *views, *([ITS_HEAD] if ITS_HEAD in changed else [])]
    return replace(row, remarks=(*row.remarks, remark_of(row, named)))


def _marked_anew(row: Result, datasets: set[str], inputs: Mapping[str, Any]) -> Result:
    if not datasets & used_by(inputs, row):
        return row
    again = f"moodbench score --benchmark {row.benchmark} --model {row.model} --score {row.score}"
    return replace(row, remarks=(*row.remarks, f"{STALE}: its numbers were imported anew since ({again})"))
