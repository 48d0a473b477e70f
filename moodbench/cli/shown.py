"""Options that several commands about results have: which rows they show, in which form, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion

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
