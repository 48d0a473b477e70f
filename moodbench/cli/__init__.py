"""The command line: it parses, calls `moodbench.commands`, and prints."""

from __future__ import annotations

import sys

from moodbench.cli import (  # noqa: F401 (imported for their commands)
    cache,
    compare,
    demo,
    detect,
    doctor,
    download,
    extract,
    head,
    import_,
    import_scores,
    list_,
    plot,
    probe,
    rank,
    report,
    results,
    run,
    score,
    show,
    table,
    verify,
)
from moodbench.cli.app import app
from moodbench.cli.output import be_lenient, close_stdout, is_of_names, is_of_stdout, say_interrupted, show_error
from moodbench.errors import MoodbenchError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line."""
    be_lenient()
    try:
        app()
    except KeyboardInterrupt:  # before the command began
        say_interrupted()
        sys.exit(130)
    except UnicodeEncodeError as error:
        if not is_of_names(error):
            raise
        what = f"a name cannot be written in this system's encoding, {error.encoding}: '{error.object}'"
        show_error(MoodbenchError(what, fix="set PYTHONUTF8=1, or LC_ALL to a locale with UTF-8"))
        sys.exit(1)
    except BrokenPipeError:
        # the reader of a pipe has seen enough (moodbench table | head): no traceback, and no second one at exit
        close_stdout()
        sys.exit(1)
    except OSError as error:
        if not is_of_stdout(error):
            raise  # of something else: a bug
        close_stdout()
        reason = error.strerror or str(error)
        show_error(MoodbenchError(f"standard output cannot be written: {reason}", fix="free space, or write elsewhere"))
        sys.exit(1)
