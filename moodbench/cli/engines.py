"""Options of the commands that can work on a Ray cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from moodbench.choices import EngineName

_PANEL = "On a cluster"

Engine = Annotated[
    EngineName,
    typer.Option(help="Where to work: in this process, or on a Ray cluster (the extra 'ray').", rich_help_panel=_PANEL),
]

Address = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Join this Ray cluster. By default one is started on this machine, and ended.",
        rich_help_panel=_PANEL,
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Workers of the Ray cluster that run at once. By default as many as have room.",
        rich_help_panel=_PANEL,
    ),
]
