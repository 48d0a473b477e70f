"""What goes wrong with one of several things, while the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moodbench.errors import MoodbenchError
from moodbench.types import Report


class Faults:
    """Tells what cannot be done with each, and raises the first of it at the end.

    Parameters
    ----------
    verb : str
        What is done, in the infinitive.
    report : callable
    """

    def __init__(self, verb: str, report: Report) -> None:
        self._verb, self._report = verb, report
        self._first: MoodbenchError | None = None

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Take what the block raises: the others are not to blame."""
        try:
            yield
        except MoodbenchError as error:
            self._first = self._first or error
            self._report(f"cannot {self._verb} {name}: {error.what}")

    def end(self) -> None:
        """Raise the first one, if any."""
        if self._first is not None:
            raise self._first
