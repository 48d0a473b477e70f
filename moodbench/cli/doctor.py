"""``moodbench doctor``."""

from __future__ import annotations

import typer

from moodbench.cli.app import app
from moodbench.cli.options import Json, Run, with_run
from moodbench.cli.output import write


@app.command()
@with_run
def doctor(*, json_: Json = False, run: Run) -> None:
    """Print what a bug report needs, and what here will hurt.

    Versions, devices, memory, limits, disks, catalogues, where weights come from; and below, with how to mend it, what
    will hurt (! in front): a tiny /dev/shm, few open files, little disk, locks on a network, names without case, a
    torch that is too old or finds no device. No token, password or user name is shown. Exit 1 only if something is
    broken (x in front): a package or catalogue that cannot be read, a folder that cannot be written or locked.

    Example: moodbench doctor --cache-dir /scratch/cache
    """
    from moodbench.commands.doctor import doctor as work

    found = work(workspace=run.workspace)
    write(found.json() if json_ else found.text())
    if not found.ok:
        raise typer.Exit(1)
