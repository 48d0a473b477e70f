"""What other libraries say while they fit: on the score's note, never on the user's screen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import TypeVar

V = TypeVar("V")

LONGEST = 100
"""Characters of a warning that a note takes."""


def heard(work: Callable[[], V], *, known: Collection[str] = ()) -> tuple[V, str | None]:
    """Return what `work` gives, and in one line what it warned of; None if nothing.

    Warnings are caught for the whole process: to be called where no other thread is at work, as in a fit.

    Parameters
    ----------
    work : callable
        Calls another library.
    known : collection of str
        Beginnings of warnings that say nothing new.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = work()
    texts = [" ".join(str(warning.message).split()) for warning in caught]
    said = {text[:LONGEST]: None for text in texts if not text.startswith(tuple(known))}  # each once, in order
    return value, "; ".join(said) or None
