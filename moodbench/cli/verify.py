"""``moodbench verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.listing import as_json, as_text
from moodbench.cli.options import Run, with_progress, with_run
from moodbench.cli.output import write

if TYPE_CHECKING:
    from moodbench.commands.verify import Verification
    from moodbench.inspection.findings import Finding

SHOWN = 5
"""How many findings of a kind are shown before they are only counted."""


@app.command()
@with_run
@with_progress
def verify(
    *,
    datasets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATASET", help="Verify these datasets.", show_default=False, autocompletion=completion.datasets
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Verify the datasets of this benchmark. Repeatable.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also decode every image and compare its content with the manifest.")
    ] = False,
    near: Annotated[
        bool,
        typer.Option("--near", help="Also look for near-duplicates between ID and OOD images. Implies --deep."),
    ] = False,
    bits: Annotated[
        int, typer.Option(metavar="N", help="How many of the 64 bits of two perceptual hashes may differ for --near.")
    ] = 4,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Processes that decode images. By default one per core.")
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Decode images of up to N pixels; larger ones are a fault.  [default: 178956970]"
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON with every finding.")] = False,
    run: Run,
) -> None:
    """Check that datasets are all there and intact; exit 1 if not.

    Quick by default: lists, names, number and sizes of the images. Faults are images that are missing, empty,
    truncated, undecodable, changed or not in the manifest, and images that are both ID and OOD in the same benchmark.
    Duplicates within a dataset and near-duplicates are reported, but are no fault. Without DATASET and --benchmark,
    checks every dataset on this disk that a benchmark of the catalogue uses.

    Example: moodbench verify --benchmark imagenet --deep
    """
    from moodbench.commands.verify import verify as work
    from moodbench.datasets.images import MAX_PIXELS

    done = work(
        datasets or (),
        benchmark=benchmark or (),
        deep=deep,
        near=near,
        bits=bits,
        jobs=jobs,
        max_pixels=MAX_PIXELS if max_pixels is None else max_pixels,
        workspace=run.workspace,
        report=run.output.say,
        progress=run.output.progress,
    )
    write(as_json([made.record() for made in done]) if json_ else _report(done))
    if not all(made.ok for made in done):
        raise typer.Exit(1)


def _report(done: list[Verification]) -> str:
    rows = [
        {
            "dataset": made.name,
            "images": made.images,
            "expected": made.expected,
            "state": made.state,
            "compared": ", ".join(made.compared),
            "findings": _counted(made),
        }
        for made in done
    ]
    return as_text(rows) + "".join(_details(made) for made in done)


def _counted(made: Verification) -> str:
    whole = {finding.kind for finding in made.findings if finding.path is None}
    return ", ".join(kind if kind in whole else f"{number} {kind}" for kind, number in made.counts.items())


def _details(made: Verification) -> str:
    from moodbench.inspection.findings import FAULTS, KINDS

    lines: list[str] = []
    for kind in made.counts:
        found = [finding for finding in made.findings if finding.kind == kind]
        lines += ["", f"{made.name}: {KINDS[kind]}{'' if kind in FAULTS else ' (no fault)'}"]
        lines += [f"  {_line(finding)}" for finding in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"  and {len(found) - SHOWN} more; --json shows all")
    return "".join(f"{line}\n" for line in lines)


def _line(finding: Finding) -> str:
    path = "" if finding.path is None else _shown(finding.path)
    if finding.other_path is not None:
        path += f" = {finding.other_dataset + ': ' if finding.other_dataset else ''}{_shown(finding.other_path)}"
    parts = [path, finding.detail or "", f"in {', '.join(finding.benchmarks)}" if finding.benchmarks else ""]
    return "; ".join(part for part in parts if part)


def _shown(path: str) -> str:
    """Return a path that stays on its line."""
    return path if path.isprintable() else repr(path)
