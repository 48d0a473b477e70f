"""The typer application, the error boundary, and the commands in the order in which people use them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from moodbench.cli.output import of_the_system, say_interrupted, show_error, write
from moodbench.cli.usage import Command, WrongUsage, in_our_words
from moodbench.errors import MoodbenchError
from moodbench.interrupts import watching
from moodbench.release import __version__

F = TypeVar("F", bound=Callable[..., Any])

ORDER = (
    "demo",
    "run",
    "list",
    "show",
    "download",
    "verify",
    "extract",
    "import",
    "import-scores",
    "cache",
    "probe",
    "head",
    "score",
    "table",
    "rank",
    "compare",
    "detect",
    "plot",
    "report",
    "results",
    "doctor",
)
"""The commands in the order in which people use them; others follow."""


class Boundary(TyperGroup):
    """Turns every expected failure into one message and its exit code. Bugs keep their traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of `ORDER`."""
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Parse what comes before the command."""
        try:
            return super().make_context(*args, **options)
        except WrongUsage as error:
            raise _refusal(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with watching() as watch:
            try:
                return super().invoke(ctx)
            except typer.Exit:
                raise
            except WrongUsage as error:
                raise _refusal(error) from None
            except KeyboardInterrupt as error:
                say_interrupted()
                raise typer.Exit(getattr(error, "exit_code", 130)) from None
            except Exception as error:
                if watch.exit_code is not None:  # what a library made of the interruption
                    say_interrupted()
                    raise typer.Exit(watch.exit_code) from None
                known = error if isinstance(error, MoodbenchError) else of_the_system(error)
                if known is None:
                    raise
                if "--debug" in sys.argv:
                    traceback.print_exc()
                show_error(known)
                raise typer.Exit(known.exit_code) from None


def _refusal(error: Exception) -> Exception:
    """Say what is wrong with the command line, and return what ends the program."""
    known = in_our_words(error)
    if known is None:
        return error
    show_error(known)
    return typer.Exit(known.exit_code)


class Commands(typer.Typer):
    """A typer application, or a group of one, whose commands are `Command`."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[F], F]:
        """Return the decorator that adds a command."""
        return super().command(name, **{"cls": Command, **options})


app = Commands(
    cls=Boundary,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        write(f"moodbench {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Benchmark out-of-distribution (OOD) detection with pretrained vision models.

    Extract once. Score everything. Print the table.

    Start with: moodbench demo
    """
