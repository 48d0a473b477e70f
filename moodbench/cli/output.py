"""What goes where: data to stdout, everything else to stderr."""

from __future__ import annotations

import codecs
import errno
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from textwrap import wrap
from traceback import walk_tb
from typing import Literal

from moodbench.errors import MoodbenchError

Level = Literal["quiet", "normal", "verbose", "debug"]


@dataclass(frozen=True)
class Output:
    """How much a command says on stderr.

    ``quiet`` says errors only, ``normal`` also what was done, skipped and left out (and shows progress bars on a
    terminal), ``verbose`` details, ``debug`` also the traceback of an error.
    """

    level: Level = "normal"

    def say(self, line: str) -> None:
        """Tell people something, on stderr. On a terminal the lines of a list, which are indented, fit its width."""
        if self.level != "quiet":
            print(_fitted(line), file=sys.stderr, flush=True)  # noqa: T201

    def detail(self, line: str) -> None:
        """Tell people who asked for more, on stderr."""
        if self.level in ("verbose", "debug"):
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    @property
    def progress(self) -> bool:
        """Whether progress bars may be shown."""
        return self.level != "quiet"


def _fitted(text: str) -> str:
    """Return what is said, with indented lines folded between words; others stay whole, and can be copied."""
    if "\n  " not in text or not sys.stderr.isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        folded = wrap(line, width, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False)
        lines += folded if indent and folded else [line]
    return "\n".join(lines)


def write(text: str) -> None:
    """Put data on stdout. What its encoding lacks becomes a question mark, which is said on stderr."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = text.encode(encoding, "replace").decode(encoding)
    if shown != text:
        line = f"standard output is {encoding}: other characters are shown as '?' (PYTHONIOENCODING=utf-8 keeps them)"
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    sys.stdout.write(shown)
    sys.stdout.flush()


def can_ask() -> bool:
    """Whether somebody sits at a terminal who would see a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """Ask on stderr, and return whether the answer is yes. No answer is none."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # the end of the input, and the cursor is still behind the question
        print(file=sys.stderr, flush=True)  # noqa: T201
    return answer.strip().lower() in ("y", "yes")


def terminal_width() -> int | None:
    """Return how many letters a line of stdout has if it is a terminal, and None if it is a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def be_lenient() -> None:
    """Let stdout replace the characters that its encoding lacks, also in the help; and do without what is closed.

    A closed stream (``>&-``) is replaced, lest the next file that is opened take its number.
    """
    for stream in ("stdin", "stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "r" if stream == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def is_of_stdout(error: OSError) -> bool:
    """Whether an error was raised where something is put on stdout: by `write`, or by ``echo`` for the help."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    module = frame.f_globals.get("__name__", "")
    return (frame.f_code.co_name, module) == ("write", __name__) or (
        frame.f_code.co_name == "echo" and module.endswith("click.utils")
    )


_OF_THE_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)


def of_the_system(error: Exception) -> MoodbenchError | None:
    """Return the message for what the system refuses at some file (no right to it, name too long, disk full), or None.

    A net below the messages of the single readers and writers, which say more; any other error is a bug.
    """
    if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):
        return None
    if not isinstance(error.filename, str | bytes) and error.errno not in _OF_THE_SYSTEM:
        return None
    if error.__traceback__ is not None and is_of_stdout(error):
        return None
    name = None if error.filename is None else os.fsdecode(error.filename)
    reason = (error.strerror or str(error)).lower()
    return MoodbenchError(f"the system refuses: {reason}", file=name, fix="--debug shows where that happened")


def is_of_names(error: UnicodeEncodeError) -> bool:
    """Whether a file name could not be written in the encoding of the file system (a locale without UTF-8)."""
    names = codecs.lookup(sys.getfilesystemencoding()).name
    return names != "utf-8" and codecs.lookup(error.encoding).name == names


def close_stdout() -> None:
    """Throw away what stdout could not take: Python would fail once more when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def show_error(error: MoodbenchError) -> None:
    """Put an error on stderr: what, where, how to mend it."""
    print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201


def say_interrupted() -> None:
    """Tell people on stderr that nothing is lost."""
    with suppress(OSError):  # the terminal may be gone
        print("interrupted; run the same command again to go on", file=sys.stderr, flush=True)  # noqa: T201
