"""The log of a study's folder: what was done when, also what a kill cut off, and which files were written.

While a step is at work, a hidden file beside the log names it; its lock ends with the process, so that whoever finds
the file without one knows that the step was cut off.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from moodbench.errors import MoodbenchError
from moodbench.lock import exclusive
from moodbench.studies.own_files import LOG

_WROTE = re.compile(r"\S+  (?:done   |skipped) (?:table|plot|rank|report) (.+) \([\d.]+ s\)")
_STEP = f".{LOG}.step"


@dataclass(frozen=True)
class Log:
    """The log of a folder; one that cannot be written costs nothing else.

    Attributes
    ----------
    root : Path
        The folder.
    alone : bool
        No other run of this folder is at work, hence the file that names the step is this one's.
    """

    root: Path
    alone: bool = False

    def add(self, line: str) -> None:
        """Add a line."""
        with suppress(OSError):
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / LOG).open("a", encoding="utf-8") as stream:
                stream.write(f"{_now()}  {line}\n")

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Hold a step to be at work for the duration of the block; what ends it, other than a fault, is noted."""
        self._note(f"{_now()}  {title}\n")
        try:
            yield
        except MoodbenchError:
            raise
        except BaseException as error:
            self.add(f"stopped {title}: {type(error).__name__}")
            raise
        finally:
            self._note(None)

    def note_cut_off(self) -> None:
        """Add a line on the step that an earlier run began and did not end, if there is one."""
        if not self.alone:
            return
        with suppress(OSError, ValueError):
            began, title = (self.root / _STEP).read_text(encoding="utf-8").strip().split("  ", 1)
            self.add(f"cut off {title}: the run that began it at {began} was killed")
        self._note(None)

    def _note(self, text: str | None) -> None:
        if self.alone:
            with suppress(OSError):
                file = self.root / _STEP
                file.unlink(missing_ok=True) if text is None else file.write_text(text, encoding="utf-8")


@contextmanager
def running(root: Path) -> Iterator[Log]:
    """Yield the log of a folder for the duration of a run."""
    with ExitStack() as stack:
        alone = False
        with suppress(OSError):  # another run is at work, or the disk knows no locks
            stack.enter_context(exclusive(root / LOG, tidy=True))
            alone = True
        log = Log(root, alone)
        log.note_cut_off()
        yield log


def files_written(root: Path) -> list[str]:
    """Return every table, picture, ranking and report that runs into this folder have written, by its log."""
    try:
        lines = (root / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return sorted({found[1] for line in lines if (found := _WROTE.fullmatch(line))})


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
