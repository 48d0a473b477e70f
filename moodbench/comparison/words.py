"""A comparison in words: the answer in one sentence, and what could not be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from moodbench.comparison.causes import UNKNOWN
from moodbench.comparison.reference import Compared, Comparison
from moodbench.metrics import METRICS
from moodbench.tables.marks import signed
from moodbench.tables.order import NO_TITLES, Titles

MOST_CAUSES = 3
"""Inputs that the answer names; the table names all."""


def answer(comparison: Comparison, titles: Titles = NO_TITLES) -> str:
    """Return the outcome in one or two sentences."""
    rows, name = comparison.rows, comparison.reference.name
    both = [row for row in rows if row.both]
    worst = comparison.worst
    if not rows:
        return f"Nothing can be compared: {name} have none of that benchmark, model or score; left out, all are shown."
    if worst is None:
        return f"Nothing can be compared: none of {name} ({len(rows)}) has one of ours beside it."
    lacking = _lacking(rows)
    if comparison.reference.kind == "folder":
        return _changes(both, name, worst, titles) + lacking
    mean = sum(abs(row.points) for row in both) / len(both)
    text = (
        f"{_counted(len(both), 'number')} of ours beside {name}: "
        f"largest difference {_difference(worst, titles)}, {mean:.2f} on average."
        if worst.differs
        else f"{_counted(len(both), 'number')} of ours beside {name}: all agree to two decimals."
    )
    judged = [row for row in both if row.inside is not None]
    if judged:
        text += f" {sum(bool(row.inside) for row in judged)} of {len(judged)} lie in our 95 % interval of the AUROC."
    return text + lacking


def _changes(both: Sequence[Compared], name: str, worst: Compared, titles: Titles) -> str:
    changed = [row for row in both if row.difference]
    if not changed:
        return f"Nothing changed: all {_counted(len(both), 'number')} equal {name}."
    seen = [row for row in changed if row.differs]
    many = f"{len(seen)} of {_counted(len(both), 'number')} differ from {name}"
    if not seen:
        return f"No number differs from {name} in two decimals; {len(changed)} of {len(both)} do in later ones."
    text = f"{many}, by up to {_difference(worst, titles)}."
    # the unknown is no input
    of = Counter(cause for row in seen for cause in row.note.split("; ") if cause and cause != UNKNOWN)
    named = [cause for cause, _ in of.most_common(MOST_CAUSES)]
    if named:
        text += f" Inputs that differ (theirs → ours): {'; '.join(named)}"
        text += f"; and {len(of) - len(named)} more." if len(of) > len(named) else "."
    elif of.total() == 0:
        text += " No input that was noted differs."
    return text


def _lacking(rows: Sequence[Compared]) -> str:
    theirs = sum(row.ours is None and row.theirs is not None for row in rows)
    ours = sum(row.theirs is None and row.ours is not None for row in rows)
    text = f" {_counted(theirs, 'number')} there {_have(theirs)} none of ours beside it." if theirs else ""
    return text + (f" {_counted(ours, 'number')} of ours {_have(ours)} none there." if ours else "")


def missing(comparison: Comparison) -> list[str]:
    """Return what has no number on one side, a line for each reason, with how many numbers it concerns."""
    reasons = Counter(row.note for row in comparison.rows if not row.both and (row.ours, row.theirs) != (None, None))
    return [f"{_counted(many, 'number')}: {reason or 'no number'}" for reason, many in reasons.items()]


def place(row: Compared, titles: Titles = NO_TITLES) -> str:
    """Return which number a row is of: score, model, benchmark, OOD dataset, metric."""
    score, ood = titles.scores.get(row.score, row.score), titles.datasets.get(row.ood, row.ood)
    return f"{score} on {titles.model(row.model)}, {row.benchmark}, {ood}, {METRICS[row.metric].label}"


def _difference(row: Compared, titles: Titles) -> str:
    return f"{signed(row.difference or 0.0)} points ({place(row, titles)})"


def _counted(many: int, what: str) -> str:
    return f"{many} {what}" if many == 1 else f"{many} {what}s"


def _have(many: int) -> str:
    return "has" if many == 1 else "have"
