"""Options that several commands about results have: which rows they show, in which form, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.options import Run
from moodbench.cli.output import write
from moodbench.errors import UsageError

Models = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL", help="Only this model. Repeatable.", autocompletion=completion.scored_models),
]
Scores = Annotated[
    list[str] | None,
    typer.Option(metavar="SCORE", help="Only this score. Repeatable.", autocompletion=completion.scored_scores),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="markdown, latex, csv, html, json or plain.  [default: by the suffix of --out; without it plain on a "
        "terminal, fitted to its width, and markdown elsewhere]",
        autocompletion=completion.table_formats,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write to this file (.md, .tex, .csv, .html, .json, .txt) instead of to standard output.",
    ),
]


def format_for(format: str | None, out: Path | None, width: int | None) -> str:
    """Return the format that was asked for, else that of the file's suffix, else what suits standard output."""
    from moodbench.tables.formats.base import format_of

    if out is not None:
        check_out(out)
    if format is not None:
        return format
    if out is not None:
        return format_of(out)
    return "markdown" if width is None else "plain"


def format_asked(json_: bool, format: str | None, out: Path | None, width: int | None) -> str:
    """The same, where there is ``--json`` too, which stands for ``--format json``."""
    from moodbench.tables.formats.base import FORMATS

    if json_ and format not in (None, "json"):
        raise UsageError(f"--json and --format {format} contradict each other", fix="give one of them")
    if out is not None:
        check_out(out)
    wanted = "json" if json_ else format_for(format, out, width)
    FORMATS.get(wanted)  # refused before any work
    return wanted


def check_out(out: Path) -> None:
    """Raise a `UsageError` where a folder is named and a file is meant: before the work, not after it."""
    if out.is_dir():
        raise UsageError(f"--out '{out}' is a folder", fix=f"name a file in it, as {out / 'table.md'}")


def put(text: str, out: Path | None, run: Run) -> None:
    """Write to the file that was named, and say so; else to standard output."""
    from moodbench.atomic import write_file

    if out is None:
        write(text)
    else:
        write_file(out, text.encode())
        run.output.say(f"wrote {out}")
