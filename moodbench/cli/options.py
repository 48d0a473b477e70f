"""Options that several commands have, declared once, and the decorator that adds those that every command has.

A command function takes one parameter `run: Run`; in its place the command line shows ``--data-dir``, ``--cache-dir``,
``--results-dir``, ``--catalog``, ``--quiet``, ``--verbose`` and ``--debug``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from moodbench.cli import completion
from moodbench.cli.output import Level, Output
from moodbench.errors import UsageError
from moodbench.progress import MINUTE, say_every
from moodbench.workspace import Workspace

_PANEL = "Common options"

DataDir = Annotated[
    Path,
    typer.Option(envvar="MOODBENCH_DATA_DIR", help="Folder that holds the datasets.", rich_help_panel=_PANEL),
]
CacheDir = Annotated[
    Path, typer.Option(envvar="MOODBENCH_CACHE_DIR", help="Folder of the feature caches.", rich_help_panel=_PANEL)
]
ResultsDir = Annotated[
    Path, typer.Option(envvar="MOODBENCH_RESULTS_DIR", help="Folder of the results.", rich_help_panel=_PANEL)
]
CatalogFiles = Annotated[
    list[Path] | None,
    typer.Option(
        envvar="MOODBENCH_CATALOG",
        metavar="FILE",
        help="More datasets, benchmarks and models (YAML), merged over the built-in ones. Repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Report errors only.", rich_help_panel=_PANEL)]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Also report which folders and catalogues are used.", rich_help_panel=_PANEL),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_PANEL)]

Json = Annotated[bool, typer.Option("--json", help="Print JSON with every field.")]

Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="auto (CUDA if there is one, else CPU), cpu, cuda or cuda:N.",
        autocompletion=completion.devices,
    ),
]
"""Of the commands that compute; not of all."""


ProgressSeconds = Annotated[
    float,
    typer.Option(
        "--progress",
        envvar="MOODBENCH_PROGRESS",
        metavar="SECONDS",
        min=0,
        help="Where there is no terminal for a bar, say how far it is every so many seconds, on stderr; 0: never.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Run:
    """What a command works in, and how it speaks."""

    workspace: Workspace
    output: Output


def _run(
    data_dir: DataDir = Path("data"),
    cache_dir: CacheDir = Path("cache"),
    results_dir: ResultsDir = Path("results"),
    catalog: CatalogFiles = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> Run:
    if quiet and (verbose or debug):
        raise UsageError("--quiet and --verbose or --debug contradict each other")
    level: Level = "debug" if debug else "verbose" if verbose else "quiet" if quiet else "normal"
    return Run(Workspace(data_dir, cache_dir, results_dir, tuple(catalog or ())), Output(level))


F = TypeVar("F", bound=Callable[..., None])


FOLDERS = ("data_dir", "cache_dir", "results_dir")


def with_run(command: F) -> F:
    """Replace the parameter `run` of a command by the common options."""
    return _with(command, tuple(inspect.signature(_run).parameters))


def with_run_elsewhere(command: F) -> F:
    """The same without the folders, for a command that has one of its own."""
    return _with(command, tuple(name for name in inspect.signature(_run).parameters if name not in FOLDERS))


def with_run_into(command: F) -> F:
    """The same but for the results, for a command that has a folder for them and more."""
    return _with(command, tuple(name for name in inspect.signature(_run).parameters if name != "results_dir"))


def with_progress(command: F) -> F:
    """Add ``--progress`` to a command that takes long, below the decorator that adds the common options."""
    hints = get_type_hints(command, include_extras=True)

    @wraps(command)
    def wrapped(*, progress: float = MINUTE, **values: Any) -> None:
        say_every(progress)
        command(**values)

    seconds = inspect.signature(wrapped, follow_wrapped=False).parameters["progress"]
    own = [one.replace(annotation=hints[name]) for name, one in inspect.signature(command).parameters.items()]
    parameters = [*own, seconds.replace(annotation=ProgressSeconds)]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in parameters}
    return wrapped  # type: ignore[return-value]


def _with(command: F, names: tuple[str, ...]) -> F:
    hints = get_type_hints(command, include_extras=True)
    common_hints = get_type_hints(_run, include_extras=True)
    parameters = inspect.signature(_run).parameters
    common = [parameters[name].replace(annotation=common_hints[name]) for name in names]
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "run"
    ]

    @wraps(command)
    def wrapped(**values: Any) -> None:
        given = {name: values.pop(name) for name in names}
        run = _run(**given)
        for name in ("catalog", *FOLDERS):
            if given.get(name):
                run.output.detail(f"{name}: {given[name]}")
        command(run=run, **values)

    keyword = inspect.Parameter.KEYWORD_ONLY
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=keyword) for parameter in (*own, *common)]
    )
    wrapped.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
    return wrapped  # type: ignore[return-value]
