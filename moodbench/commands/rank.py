"""What ``moodbench rank`` does: row scores → which pair of model and score is best, and is that luck."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from moodbench.arguments import as_names
from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.formats.text import PLAIN, plain_within
from moodbench.tables.grid import Cell, Column, Row, Table
from moodbench.tables.marks import printed, signed
from moodbench.tables.order import Titles
from moodbench.tables.selection import chosen_benchmarks, only, rows_of, titles_of
from moodbench.types import ALL_GROUPS, MEAN, Result
from moodbench.workspace import Workspace

LEVEL = 0.05
MOST_NAMED = 5
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Standing:
    """One pair of model and score. Numbers are fractions; `difference` is its mean AUROC minus that of the best.

    `low` and `high` are None where no interval of a mean is known (each class in turn is ID). The best one has the
    difference 0 and the p-value 1.
    """

    model: str
    score: str
    params: str
    mean: float
    low: float | None
    high: float | None
    difference: float
    difference_low: float
    difference_high: float
    p_adjusted: float
    not_worse: bool


@dataclass(frozen=True)
class Ranked:
    """The pairs, best first, and how to show them. Printed, it is the table in markdown.

    Attributes
    ----------
    answer : str
        In words: the best one, and what is not significantly worse.
    pairs : tuple of Standing
    table : Table
    """

    answer: str
    pairs: tuple[Standing, ...]
    table: Table

    def __str__(self) -> str:
        return self.text("markdown")

    def text(self, format: str = PLAIN, width: int | None = None) -> str:
        """Return the answer and the table as text; `width`: letters of a line of the format "plain"."""
        return plain_within([self.table], width) if format == PLAIN else FORMATS.get(format)([self.table])

    def json(self) -> str:
        """Return the pairs as a JSON array, best first."""
        return json.dumps([asdict(pair) for pair in self.pairs], indent=2, ensure_ascii=False) + "\n"


def rank(
    *,
    benchmark: str | None = None,
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    group: str = ALL_GROUPS,
    workspace: Workspace | None = None,
) -> Ranked:
    """Rank the pairs (model, score) of a benchmark by their mean AUROC, each compared with the best on the same rows.

    Parameters
    ----------
    benchmark : str, optional
        May be omitted where only one has results.
    model, score : str or sequence of str
        Only these; by default all that have results. Controls, which know nothing, take part where they are named.
    group : str
        The OOD group whose mean counts.

    Returns
    -------
    Ranked
        Intervals of differences are DeLong's for paired rows; p-values are adjusted by Holm's method for the comparison
        of all pairs with one another, because the best was chosen by the same rows (`moodbench.paired`).

    Raises
    ------
    ResultsError
        There are no results, row scores are missing or were made from other caches than the results or the caches that
        are there now, or two models were tested on other images.
    UnknownNameError, UsageError
        A benchmark, model, score or group is unknown, or several benchmarks have results and none is named.
    """
    space = workspace or Workspace()
    names = chosen_benchmarks(space, [benchmark] if benchmark else [])
    if len(names) > 1:
        raise UsageError(f"several benchmarks have results: {', '.join(names)}", fix="name one with --benchmark")
    (name,) = names
    found = [(name, rows_of(space, name, None))]
    scores = as_names(score)
    found = only(found, "model", as_names(model), lambda row: row.model)
    found = only(found, "score", scores, lambda row: row.score)
    rows = [row for _, some in found for row in some if row.score in scores or not row.control]
    groups = {row.group for row in rows} | {ALL_GROUPS}
    if group not in groups:
        raise UnknownNameError("OOD group", group, groups)
    means = [row for row in rows if (row.ood, row.group) == (MEAN, group) and row.auroc is not None]
    if not means:
        raise ResultsError(
            f"no model has a mean over the OOD datasets of '{group}' on '{name}'",
            file=space.results_dir / name,
            fix=f"moodbench table --benchmark {name} says what is missing",
        )
    standings = _standings(space, name, means, group)
    left_out = dict.fromkeys(row.model for row in rows if row.model not in {one.model for one in means})
    seeds = any((row.seeds or 1) > 1 for row in means)
    return _shown(standings, titles_of(space, name), name, group, [*left_out], seeds)


def _standings(space: Workspace, benchmark: str, means: Sequence[Result], group: str) -> list[Standing]:
    from moodbench.standings.judge import judged
    from moodbench.standings.measuring import Pair, Wanted, measured

    (found,) = measured(space, [Wanted(benchmark, [Pair.of(row) for row in means], group)], "auroc")
    standings = []
    for pair, one in judged(found, "higher").items():
        limits = one.measured.interval
        low, high = (None, None) if limits is None else (limits.low, limits.high)
        diff = one.difference
        standings.append(
            Standing(
                *pair, one.measured.value, low, high, diff.value, diff.low, diff.high, one.p_adjusted, one.not_worse
            )
        )
    return standings


def _shown(
    standings: Sequence[Standing], titles: Titles, benchmark: str, group: str, left_out: Sequence[str], seeds: bool
) -> Ranked:
    variants = Counter(score for score, _ in {(one.score, one.params) for one in standings})

    def title(one: Standing) -> str:
        params = f" ({one.params})" if variants[one.score] > 1 else ""
        return f"{titles.scores.get(one.score, one.score)}{params} on {titles.model(one.model)}"

    best, *others = standings
    near = [title(one) for one in others if one.not_worse]
    answer = f"{title(best)}, {printed(best.mean)}"
    if best.low is not None and best.high is not None:
        answer += f" ± {printed((best.high - best.low) / 2)}"
    if not others:
        answer += "; there is no other pair"
    elif not near:
        answer += "; every other pair is significantly worse"
    else:
        count = _WORDS[len(near)] if len(near) < len(_WORDS) else str(len(near))
        more = f", and {len(near) - MOST_NAMED} more" if len(near) > MOST_NAMED else ""
        pairs = "pair is" if len(near) == 1 else "pairs are"
        answer += f"; {count} {pairs} not significantly worse: {', '.join(near[:MOST_NAMED])}{more}"
    columns = (
        Column(("AUROC",)),
        Column(("95 % interval",), kind="text"),
        Column(("difference",), kind="text"),
        Column(("95 % of it",), kind="text"),
        Column(("p",), kind="text"),
        Column(("not worse",), kind="text"),
    )
    lines = tuple(
        Row(str(number), title(one), tuple(_cells(one, first=number == 1))) for number, one in enumerate(standings, 1)
    )
    over = "all OOD datasets" if group == ALL_GROUPS else f"the {group} OOD datasets"
    notes = _notes(f"{benchmark}: mean AUROC over {over}, in percent.", len(standings), left_out, seeds)
    return Ranked(answer, tuple(standings), Table(answer, ("", "pair"), columns, lines, tuple(notes)))


def _cells(one: Standing, *, first: bool) -> Iterable[Cell]:
    yield Cell(one.mean, low=one.low, high=one.high)
    yield Cell("–" if one.low is None or one.high is None else f"{printed(one.low)} to {printed(one.high)}")
    yield Cell("" if first else _signed(one.difference))
    yield Cell("" if first else f"{_signed(one.difference_low)} to {_signed(one.difference_high)}")
    yield Cell("" if first else ("< 0.001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}"))
    yield Cell("best" if first else "yes" if one.not_worse else "")


def _signed(value: float) -> str:
    return signed(value).replace("-", "−")


def _notes(over: str, count: int, left_out: Sequence[str], seeds: bool) -> Iterable[str]:
    yield over
    if count > 1:
        yield (
            "The difference to the best has DeLong's interval for paired rows. p is adjusted (Holm) for comparing all "
            f"{count} pairs with one another, since the same rows chose the best; not worse: p ≥ {LEVEL}."
        )
    if seeds:
        yield "Of scores that were run with several seeds, the first one is ranked."
    if left_out:
        yield f"Without a mean over these datasets, and left out: {', '.join(left_out)}."
