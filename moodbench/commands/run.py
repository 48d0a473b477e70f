"""What ``moodbench run`` does: a study file → everything that it asks for and that is missing, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moodbench.errors import MoodbenchError, listed
from moodbench.sizes import many
from moodbench.studies.leftovers import about, leftovers, remove
from moodbench.studies.log import Log, running
from moodbench.studies.plan import Cost
from moodbench.studies.prepare import Prepared, prepare
from moodbench.types import Report
from moodbench.workspace import Workspace

if TYPE_CHECKING:
    from moodbench.commands.steps import Execution


@dataclass(frozen=True)
class StudyRun:
    """What was done.

    Attributes
    ----------
    folder : Path
    done, skipped : tuple of str
        Steps that did something, and those of which nothing was to do.
    left : tuple of str
        Files that earlier runs wrote into the folder, and that the study no longer asks for.
    """

    folder: Path
    done: tuple[str, ...]
    skipped: tuple[str, ...]
    left: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In one line."""
        if not self.done:
            return (
                f"nothing was to do: all {many(len(self.skipped), 'step')} of the study are up to date in {self.folder}"
            )
        there = f", {len(self.skipped)} were up to date" if self.skipped else ""
        return f"done: {many(len(self.done), 'step')}{there}; everything is in {self.folder}"


def run_study(
    file: str | Path,
    *,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
    prune: bool = False,
    report: Report = lambda line: None,
    progress: bool = False,
) -> StudyRun:
    """Do all that a study file asks for and that is missing.

    What is done is found by caches and results themselves, so that a study that was killed goes on, whenever.

    Parameters
    ----------
    file : Path
        The study (docs/studies.md).
    out : Path, optional
        Folder for everything but the caches: results, tables, pictures, and what a colleague needs to run it again. By
        default one that is called as the file, here.
    workspace : Workspace, optional
        Where images and caches lie, and more catalogue files; its results are not used.
    prune : bool
        If no step fails, remove tables, pictures, rankings and reports that earlier runs wrote into the folder and the
        study no longer asks for; else they are only named.
    report : callable
        Is told, line by line, what is done, skipped and left out.
    progress : bool
        Show bars on stderr if that is a terminal.

    Raises
    ------
    UsageError
        The study says something that makes no sense, or names what there is not; nothing is begun.
    DataError
        Images are not on this disk, and are not cached either; nothing is begun.
    MoodbenchError
        Steps failed; with ``on_error: continue`` all others were done before this is raised.
    """
    from moodbench.commands.steps import Execution

    made = prepare(file, out=out, workspace=workspace, report=report)
    for dataset in made.gone:
        report(f"note: the images of {dataset} are not on this disk, and all caches of it are complete: they are used")
    made.folder.begin(made.known.study, report)
    work = Execution(made.known, made.sets, made.space, made.folder, report, progress)
    with running(made.folder.root) as log:
        done, skipped, failed = _steps(made, work, log, report)
        made.folder.finish(work.resolved(), work.commands)
        left = _left(made)
        if left and prune and not failed:
            remove(made.folder.root, left)
            for name in left:
                log.add(f"removed {name}")
                report(f"removed {made.folder.root / name}: the study no longer asks for it")
        elif left:
            report(about(made.folder.root, left))
    if failed:
        stopped = made.known.study["on_error"] == "stop"
        raise _all_of(failed, len(made.steps), Path(file), stopped=stopped)
    return StudyRun(made.folder.root, tuple(done), tuple(skipped), () if prune else tuple(left))


def _steps(
    made: Prepared, work: Execution, log: Log, report: Report
) -> tuple[list[str], list[str], dict[str, MoodbenchError]]:
    """Do one step after the other; return which did something, which had nothing to do, and which failed."""
    done: list[str] = []
    skipped: list[str] = []
    failed: dict[str, MoodbenchError] = {}
    stop = made.known.study["on_error"] == "stop"
    for step in made.steps:
        if work.waits_for_failed(step, failed):
            report(f"left out: {step.title}: what it needs has failed")
            continue
        began = time.monotonic()
        try:
            with log.step(step.title):
                changed = work.run(step)
        except MoodbenchError as error:
            failed[step.title] = error
            log.add(f"failed  {step.title}: {error.what}")
            report(f"failed: {step.title}: {error.what}")
            if stop:
                break
            continue
        (done if changed else skipped).append(step.title)
        log.add(f"{'done   ' if changed else 'skipped'} {step.title} ({time.monotonic() - began:.1f} s)")
        for note in work.notes:
            log.add(f"note    {note}")
    return done, skipped, failed


def _left(made: Prepared) -> list[str]:
    return leftovers(made.folder.root, [step.output.file for step in made.steps if step.output is not None])


def _all_of(failed: Mapping[str, MoodbenchError], count: int, file: Path, *, stopped: bool) -> MoodbenchError:
    ended = " (on_error: stop)" if stopped else ""
    return MoodbenchError(
        f"{len(failed)} of {count} steps of the study failed{ended}:{listed(failed)}",
        fix=f"moodbench run {file}  again does only what is missing",
    )


def cost_study(
    file: str | Path,
    *,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
    measure: bool = False,
    report: Report = lambda line: None,
) -> list[Cost]:
    """Return what every step of a study costs, and do nothing.

    Parameters
    ----------
    file, out, workspace, report
        As those of `run_study`, which raises the same.
    measure : bool
        Extract a few images of each model whose speed nobody has measured here, into a folder that is removed again.
    """
    from moodbench.commands.trial import device_name, measured
    from moodbench.scores.base import display_order
    from moodbench.scores.machinery.variants import make_variants
    from moodbench.studies.cost import costs_of
    from moodbench.studies.schema import ALL

    made = prepare(file, out=out, workspace=workspace, report=report)
    study, known = made.known.study, made.known
    from moodbench.scores.base import SCORES

    names = display_order(SCORES if study["scores"] == (ALL,) else known.scores)
    scores = make_variants(names, known.params)
    device = device_name(study["device"])
    costs = costs_of(known, made.steps, made.sets, made.space, made.folder, device, scores)
    left = _left(made)
    if left:
        report(about(made.folder.root, left))
    return measured(made, costs, report) if measure else costs


def example_study(name: str = "demo") -> str:
    """Return the study file of an example: ``demo``, which `moodbench demo` runs, or ``paper``, that of MOODv2.

    Raises
    ------
    UnknownNameError
        There is no such example.
    """
    from moodbench.studies.examples import read_example

    return read_example(name)


def study_schema() -> str:
    """Return the JSON schema of a study file, for editors that complete and check YAML by one."""
    from moodbench.studies.schema import json_schema

    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
