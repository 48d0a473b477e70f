"""Rows of equal inputs have equal numbers: which of those to be shared are there already, and which contradict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from moodbench.errors import ResultsError
from moodbench.results.made import made_with_of, row_name
from moodbench.results.table import FIELDS
from moodbench.sharing.layout import ROUNDING, Submission
from moodbench.sharing.signature import row_inputs
from moodbench.types import MEAN, Result

MOST_NAMED = 3

Key = tuple[str, ...]


def difference(mine: Result, theirs: Result) -> str | None:
    """Return the first number in which two rows differ by more than rounding; None if they agree.

    What only one of them has (a metric of a later version, a score that failed for want of memory) contradicts nothing.
    """
    for name in FIELDS:
        a, b = getattr(mine, name), getattr(theirs, name)
        if name in ("n_id", "n_ood", "control", "family") and a != b:
            return name
        if isinstance(a, float) and isinstance(b, float) and abs(a - b) > ROUNDING:
            return name
    return None


class Known:
    """The rows that others shared of one model on one benchmark, by key and inputs."""

    def __init__(self, others: Iterable[Submission]) -> None:
        self._rows: dict[tuple[Key, str], list[tuple[Result, Submission]]] = {}
        for one in others:
            for row in one.rows:
                self._rows.setdefault((row.key, row_inputs(one.provenance, row)), []).append((row, one))

    def of(self, row: Result, provenance: Mapping[str, Any]) -> Sequence[tuple[Result, Submission]]:
        """Return the rows of the same key that were made from the same inputs, and who shared them."""
        return self._rows.get((row.key, row_inputs(provenance, row)), [])


def new_rows(
    rows: Sequence[Result], provenance: Mapping[str, Any], known: Known
) -> tuple[list[Result], dict[str, int]]:
    """Return the rows that nobody else shared, and how many others did, by submitter.

    Raises
    ------
    ResultsError
        Somebody shared other numbers, made from the same inputs: each is named, with both values and versions.
    """
    fresh: list[Result] = []
    there: dict[str, int] = {}
    apart: list[str] = []
    for row in rows:
        same = known.of(row, provenance)
        apart += _contradictions(row, provenance, same)
        if not same:
            fresh.append(row)
        else:
            submitter = same[0][1].submitter
            there[submitter] = there.get(submitter, 0) + 1
    if apart:
        more = f"\n  and {len(apart) - MOST_NAMED} more" if len(apart) > MOST_NAMED else ""
        many = f"{len(apart)} numbers contradict" if len(apart) > 1 else "1 number contradicts"
        raise ResultsError(
            f"{many} what was made from the same inputs and shared before; nothing was written:\n  "
            + "\n  ".join(apart[:MOST_NAMED])
            + more,
            fix="find out which is right: score again, with equal versions; who is wrong shares again with --replace",
        )
    return fresh, there


def _contradictions(
    row: Result, provenance: Mapping[str, Any], same: Iterable[tuple[Result, Submission]]
) -> Iterator[str]:
    for theirs, one in same:
        name = difference(row, theirs)
        if name is not None:
            yield (
                f"{row.model} on {row.benchmark}: {place(row)}: {name} is {getattr(row, name)!r} here "
                f"({made_with_of(provenance, row)[0]}), {getattr(theirs, name)!r} from '{one.submitter}' "
                f"({made_with_of(one.provenance, theirs)[0]})"
            )


def place(row: Result) -> str:
    """Return what messages call a row within the results of a model."""
    return f"{row_name(row)} on {row.ood if row.ood != MEAN else f'{MEAN} ({row.group})'}"


def contradictory(submissions: Sequence[Submission]) -> dict[Submission, list[str]]:
    """Return the submissions that contradict others, of any model, and in what; those were written past the checks."""
    found: dict[int, list[str]] = {}
    seen: dict[tuple[str, str, Key, str], list[tuple[Result, int]]] = {}
    for number, one in enumerate(submissions):
        for row in one.rows:
            where = (one.benchmark, one.model, row.key, row_inputs(one.provenance, row))
            for theirs, other in seen.setdefault(where, []):
                name = difference(row, theirs)
                if name is not None:
                    a, b = submissions[other].submitter, one.submitter
                    mine, other_one = getattr(row, name), getattr(theirs, name)
                    words = f"{place(row)}: {name} is {other_one!r} from '{a}', {mine!r} from '{b}'"
                    for concerned in (number, other):
                        found.setdefault(concerned, []).append(words)
            seen[where].append((row, number))
    return {submissions[number]: lines for number, lines in sorted(found.items())}
