"""Results from several places joined into one folder of results: all of them, or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from moodbench.atomic import sweep, sync_folder, temporary_file, writing
from moodbench.lock import exclusive
from moodbench.results import benchmarks_with_results, changing, read_all, read_provenance, read_results, result_files
from moodbench.results.made import is_part_of
from moodbench.results.merge import Source, joined
from moodbench.sizes import many
from moodbench.types import Report
from moodbench.workspace import CLASSES, ModelName, Workspace


class Key(NamedTuple):
    """Which results are joined with one another."""

    benchmark: str
    model: str
    by_class: bool = False


def join_into(target: Path, plan: Mapping[Key, Sequence[Source]], report: Report) -> list[Path]:
    """Join results into a folder of results, and return the files that were written.

    What is there already is compared with them before the first file is written.

    Parameters
    ----------
    target : Path
        New, it appears whole or not at all; in one that is there each file changes whole.
    plan : mapping of Key to sequence of Source
    report : callable
        Is told what is joined.

    Raises
    ------
    ResultsError
        Something contradicts, and nothing was written; or the folder cannot be written.
    """
    there = dict(sources_in(target, report))
    for key, sources in plan.items():
        joined([*([there[key]] if key in there else []), *sources])
    if not plan or target.exists():
        return [file for key, sources in plan.items() for file in _write(target, key, sources, report)]
    with ExitStack() as stack:
        with writing(target):
            waits = f"{target}: another process is writing it: waiting"
            stack.enter_context(exclusive(target, waiting=lambda: report(waits), tidy=True))
        sweep(target)
        if target.exists():  # by the one that was waited for
            return [file for key, sources in plan.items() for file in _write(target, key, sources, report)]
        building = temporary_file(target)
        try:
            written = [
                file for key, sources in plan.items() for file in _write(building, key, sources, report, str(target))
            ]
            with writing(target):
                building.replace(target)
                sync_folder(target.parent)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return [target / file.relative_to(building) for file in written]


def _write(target: Path, key: Key, sources: Sequence[Source], report: Report, called: str | None = None) -> list[Path]:
    """Join the results of one model on one benchmark into a folder; return the file, if anything is new in it."""
    space, of = Workspace(results_dir=target), ModelName.parse(key.model)
    file = (space.class_results_file if key.by_class else space.results_file)(key.benchmark, of)
    name = called or str(target)
    whole = f"{key.model} on {key.benchmark}" + (", by class" if key.by_class else "")
    with changing(file, waiting=lambda: report(f"{file}: another process is writing it: waiting")) as there:
        mine = [Source(name, there.rows, there.provenance or {})] if there.rows else []
        rows, provenance = joined([*mine, *sources])
        new = len(rows) - len(there.rows)
        if there.rows and not new and provenance.get("inputs") == (there.provenance or {}).get("inputs"):
            report(f"{whole}: nothing new")
            return []
        there.write(rows, provenance, keep=False)
    report(f"{whole}: {many(len(rows), 'row')}, {new} of them new, from {', '.join(one.name for one in sources)}")
    return [file]


def sources_in(folder: Path, report: Report) -> Iterable[tuple[Key, Source]]:
    """Yield the results of each benchmark and model in a folder; one that holds anything else is refused.

    Those by class come with them where they were made from the same.
    """
    for name in benchmarks_with_results(folder):
        read_all(folder, name)
        made_from = {}
        for file in result_files(folder / name):
            rows = read_results(file)
            if rows:
                noted = read_provenance(file)
                made_from[rows[0].model] = noted.get("inputs", {})
                yield Key(name, rows[0].model), Source(str(folder), rows, noted)
        for file in result_files(folder / name / CLASSES):
            rows, noted = read_results(file), read_provenance(file)
            if not rows:
                continue
            if is_part_of(noted.get("inputs", {}), made_from.get(rows[0].model, {})):
                yield Key(name, rows[0].model, by_class=True), Source(str(folder), rows, noted)
            else:
                report(f"{file}: left out, made from something else than the results beside it")
