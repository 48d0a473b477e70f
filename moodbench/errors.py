"""Every failure a user can cause or mend, as one tree.

::

    MoodbenchError            the work failed or found a fault          exit 1
    ├── UsageError            the command or call itself is wrong       exit 2
    │   └── UnknownNameError  a name that no registry or catalogue has  exit 2
    ├── CatalogError          datasets.yaml, models.yaml or --catalog
    ├── DataError             images and datasets on disk
    │   └── DownloadError     a file that cannot be fetched, or is not what was expected
    ├── ModelError            weights, heads, architectures
    ├── CacheError            a feature cache that cannot be used
    │   └── CacheMismatchError   made from other weights, transform or images
    ├── ScoreError            a score that cannot be fitted here (leaves an empty cell)
    └── ResultsError          files below results/

Anything else that escapes is a bug and keeps its traceback.
Standard library only: every module may import this one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

_ADDRESS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
"""Where a path was made of an address, and two slashes became one."""


class MoodbenchError(Exception):
    """A failure with one message: what is wrong, where, and how to mend it.

    Parameters
    ----------
    what : str
        What happened, one sentence, values quoted.
    file : path, optional
        The file or folder it happened to.
    fix : str, optional
        What to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, file: str | Path | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.file = None if file is None else Path(file)
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.file is not None:
            lines.append("  file: " + _ADDRESS.sub(r"\1://", str(self.file)))
        if self.fix is not None:
            lines.append("  fix:  " + self.fix.replace("\n", "\n        "))
        return "\n".join(lines)


def listed(failed: Mapping[str, MoodbenchError]) -> str:
    """Return all errors for one message, each on lines of its own, indented below the names that it concerns."""
    return "".join(_blocks(failed))


def _blocks(failed: Mapping[str, MoodbenchError]) -> Iterator[str]:
    for error in dict.fromkeys(failed.values()):
        names = ", ".join(name for name, own in failed.items() if own is error)
        yield f"\n{names}: {error}".replace("\n", "\n    ")


class UsageError(MoodbenchError):
    """The command line, or an argument of a library call, makes no sense."""

    exit_code = 2


_SHOWN_BY = {
    **{kind: f"moodbench list {kind}s" for kind in ("model", "dataset", "benchmark", "score")},
    "cached model": "moodbench list models --cached",
    "cached dataset": "moodbench cache list",
}
"""Kind of name → the command that shows all there are. What no command shows is listed, however much it is."""

MOST_LISTED = 30
"""A message that names more would bury what it says."""


MOST_NEAR = 3
"""A message that suggests more guesses."""

FURTHER = 0.1
"""How much less alike than the nearest name another may be. Names of a family (``digits_…``) are all alike."""


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Return the names that are most likely meant: those that hold the whole of it, else the most alike."""
    parts = [one for one in known if len(name) >= MOST_NEAR and name in one.lower()]
    if parts:
        return sorted(parts, key=lambda one: (not one.startswith(name), len(one), one))[:MOST_NEAR]
    near = difflib.get_close_matches(name, known, n=MOST_NEAR, cutoff=0.65)
    alike = [difflib.SequenceMatcher(None, one, name).ratio() for one in near]
    return [one for one, ratio in zip(near, alike, strict=True) if ratio >= alike[0] - FURTHER]


class UnknownNameError(UsageError):
    """A name that nothing is registered under; the message offers the nearest and lists the known ones.

    `plural` is that of `kind` where an s at its end will not do.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, plural: str | None = None, fix: str | None = None
    ) -> None:
        known = sorted(known)
        near = _nearest(name.lower(), known)
        hint = " Did you mean " + " or ".join(f"'{n}'" for n in near) + "?" if near else ""
        parts = [part.strip() for part in name.split(",")]
        if len(parts) > 1 and set(parts) <= set(known):
            near, hint = parts, " All of them are known: give each by itself (an option can be repeated)."
        many = plural or kind + "s"
        listing = f"known {many}: " + (", ".join(known) if known else "none")
        if len(known) > MOST_LISTED and kind in _SHOWN_BY:
            listing = f"{len(known)} {many} are known: {_SHOWN_BY[kind]}"
        super().__init__(f"there is no {kind} '{name}'.{hint}", fix=f"{fix}\n{listing}" if fix else listing)
        self.name = name
        self.near = near


def refuse_unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise an `UnknownNameError` unless all names are known ones."""
    there = set(known)
    for name in names:
        if name not in there:
            raise UnknownNameError(kind, name, there)


class CatalogError(MoodbenchError):
    """A catalogue file says something that cannot be used."""


class DataError(MoodbenchError):
    """Images are missing, unreadable, or not what the catalogue says."""


class DownloadError(DataError):
    """A file cannot be fetched, or what came is not what was expected."""


class ModelError(MoodbenchError):
    """Weights cannot be had or do not fit, or a head is not linear."""


class CacheError(MoodbenchError):
    """A feature cache is missing, damaged, foreign, locked or not finite."""


class CacheMismatchError(CacheError):
    """A cache exists, but it was made from something else."""


class ScoreError(MoodbenchError):
    """A score cannot be fitted on this model; the message says why, in few words."""


class ResultsError(MoodbenchError):
    """Results are missing or cannot be read."""
