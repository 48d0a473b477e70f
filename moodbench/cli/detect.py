"""``moodbench detect``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.options import Device, Run, with_progress, with_run
from moodbench.cli.output import terminal_width
from moodbench.cli.params import parse_params
from moodbench.cli.shown import Format, format_asked, put
from moodbench.errors import UsageError

_LINES = ".jsonl"
"""What the JSON of verdicts is, an object a line: a suffix that tables do not have."""


@app.command()
@with_run
@with_progress
def detect(
    *,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files, folders of images, or - for a list of both on stdin, one a line.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Model whose features and row scores are cached.",
            autocompletion=completion.cached_models,
        ),
    ],
    score: Annotated[
        str,
        typer.Option(metavar="SCORE", help="Score that was run on it.", autocompletion=completion.scored_scores),
    ],
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Benchmark that says what is ID; may be omitted if the model was scored on one only.",
            autocompletion=completion.scored_benchmarks,
        ),
    ] = None,
    fpr_id: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", help="Out is what has p <= RATE: so many ID images are called out.  [default: 0.05]"
        ),
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Instead: of all images that are called out, at most this share is ID (Benjamini-Hochberg).",
        ),
    ] = None,
    neighbours: Annotated[
        int, typer.Option(metavar="N", help="Name so many of the nearest ID train images.", min=0)
    ] = 3,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="SCORE.NAME=VALUE", help="Parameter that the score was run with. Repeatable."),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Head that the score was run with.", autocompletion=completion.cached_heads),
    ] = None,
    scores_from: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.py", help="Python file that registers the score. Repeatable."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights that the model was extracted with, where they were given there."),
    ] = None,
    checkpoint_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Which part of that file, as given there.")
    ] = None,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", help="CPU threads. By default all cores.")] = None,
    max_pixels: Annotated[
        int | None, typer.Option(metavar="N", help="Pictures with more pixels count as undecodable.", min=1)
    ] = None,
    format: Format = None,
    json_: Annotated[
        bool, typer.Option("--json", help="The same as --format json: an object a line, numbers in full.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="The same as --format csv.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write to this file (.md, .txt, .tex, .html, .csv, .json, .jsonl) instead of to standard output.",
        ),
    ] = None,
    run: Run,
) -> None:
    """Tell whether images are in- or out-of-distribution.

    Each gets its score, a p-value among the ID test images, a verdict, and the nearest ID train images as evidence; of
    a folder also the share of OOD is estimated. What is fitted is kept among the caches. A file that is no image has
    an error instead of a verdict and stops no other; the exit code is 1 if it was named itself, and 0 if it lies in a
    folder with images.

    Example: moodbench detect photo.jpg --model digits_mim --score mahalanobis
    """
    from moodbench.commands.detect import STDIN
    from moodbench.commands.detect import detect as work
    from moodbench.scores.base import load_scores

    if json_ and csv:
        raise UsageError("--json and --csv are two formats", fix="give one of them")
    if csv and format not in (None, "csv"):
        raise UsageError(f"--csv and --format {format} contradict each other", fix="give one of them")
    lines = out is not None and out.suffix.lower() == _LINES
    format = "csv" if csv else "json" if lines and format is None else format
    width = terminal_width() if out is None else None
    wanted = format_asked(json_, format, out, width)
    params = parse_params(param or [])
    if set(params) - {score}:
        raise UsageError(f"there are parameters for the score '{next(iter(params))}', and '{score}' is asked for")
    for file in scores_from or []:
        load_scores(file)
    found = work(
        images,
        model=model,
        score=score,
        benchmark=benchmark,
        params=params.get(score),
        head=head,
        fpr_id=fpr_id,
        fdr=fdr,
        neighbours=neighbours,
        checkpoint=checkpoint,
        checkpoint_key=checkpoint_key,
        device=device,
        threads=threads,
        max_pixels=max_pixels,
        listed=sys.stdin.buffer.read() if STDIN in images else b"",
        workspace=run.workspace,
        report=run.output.say,
        progress=run.output.progress,
    )
    put(found.text(wanted, width), out, run)
    if found.unread or all(verdict.verdict is None for verdict in found.verdicts):
        raise typer.Exit(1)
