"""``moodbench download``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.choices import Link
from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Run, with_progress, with_run


@app.command()
@with_run
@with_progress
def download(
    *,
    dataset: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATASET",
            help="Datasets from the catalogue.",
            show_default=False,
            autocompletion=completion.datasets,
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK",
            help="All datasets of this benchmark. Repeatable.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="The weights of this model. Repeatable.", autocompletion=completion.models),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All datasets that the catalogue's benchmarks use.")] = False,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Your own copy of the one dataset named: an archive, a folder of its archives, or a folder of its "
            "images. It is left unchanged.",
        ),
    ] = None,
    link: Annotated[
        Link | None,
        typer.Option(help="Link to the images of --from instead of copying them."),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(metavar="N", help="How many images to fetch at a time, for datasets that come image by image."),
    ] = 8,
    keep_archives: Annotated[
        bool,
        typer.Option(
            "--keep-archives/--no-keep-archives",
            help="Keep the archives in DATA_DIR/.moodbench/archives after unpacking, or delete them.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, with sizes, without doing it.")
    ] = False,
    run: Run,
) -> None:
    """Fetch datasets and weights, and check them.

    Puts them in their place when they are whole. Resumes what was interrupted and skips what is there. What has to be
    done by hand is explained step by step. Bundled datasets need no download.

    Example: moodbench download digits_faces
    """
    from moodbench.cli.output import write
    from moodbench.commands.download import download as work

    if dry_run:
        _show_plan(dataset or [], benchmark or [], all_, from_, model or [], run)
        return
    work(
        dataset or (),
        benchmark=benchmark or (),
        model=model or (),
        everything=all_,
        source=from_,
        link=link,
        jobs=jobs,
        keep_archives=keep_archives,
        workspace=run.workspace,
        report=run.output.say,
        instruct=write,
        progress=run.output.progress,
    )


def _show_plan(
    dataset: list[str], benchmark: list[str], everything: bool, source: Path | None, model: list[str], run: Run
) -> None:
    from moodbench.cli.listing import as_text
    from moodbench.cli.output import write
    from moodbench.commands.download import plan_download
    from moodbench.errors import UsageError
    from moodbench.obtain.room import free_bytes
    from moodbench.sizes import human_bytes

    if source is not None or model:
        option = "--model" if model else "--from"
        raise UsageError(f"--dry-run shows what a download of datasets would do; it knows nothing of {option}")
    if not (dataset or benchmark or everything):
        raise UsageError("--dry-run shows what would be done for datasets: name some, or --benchmark or --all")
    plans = plan_download(dataset, benchmark=benchmark, everything=everything, workspace=run.workspace)
    write(as_text([row for plan in plans for row in plan.records]))
    free = human_bytes(free_bytes(run.workspace.data_dir))
    run.output.say(f"{free} are free on the disk of '{run.workspace.data_dir}'")
