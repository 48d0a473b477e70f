"""Standings, and how they are said: the answer in words, a table in every format, records for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from moodbench.average_ranks import AverageRanks
from moodbench.choices import RankMetric
from moodbench.metrics import METRICS
from moodbench.resampling import REPLICATES, SEED
from moodbench.sheets import exact_line, shown_line
from moodbench.standings.judge import LEVEL
from moodbench.tables.entrants import Entrant, Field, Pair
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.formats.text import PLAIN, plain_within
from moodbench.tables.grid import Cell, Column, Row, Table
from moodbench.tables.marks import printed, signed, width_of
from moodbench.tables.notebooks import InNotebooks, frame_of
from moodbench.tables.order import Titles
from moodbench.types import ALL_GROUPS

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_NAMED = 5
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Standing:
    """One pair of model and score, or one model or score, whose other half is None. Numbers are fractions.

    `difference` is its mean minus that of the best: below 0 is worse for AUROC, above 0 for FPR95. `low` and `high` are
    None where no interval of a mean is known (AUROC of each class in turn). The best one has the difference 0 and the
    p-value 1. The last four are None for a single OOD dataset or a single entrant, see `moodbench.average_ranks`.
    """

    model: str | None
    score: str | None
    params: str | None
    mean: float
    low: float | None
    high: float | None
    difference: float
    difference_low: float
    difference_high: float
    p_adjusted: float
    not_worse: bool
    average_rank: float | None = None
    win_rate: float | None = None
    critical_difference: float | None = None
    friedman_p: float | None = None

    @property
    def entrant(self) -> Entrant:
        """What it is the standing of."""
        return Entrant(self.model, self.score, self.params)


@dataclass(frozen=True, repr=False)
class Ranked(InNotebooks):
    """The standings, best first, and how to show them. Printed: the table in Markdown; in a notebook it is a table.

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

    def readable(self) -> list[Table]:
        """Return the table."""
        return [self.table]

    def to_frame(self) -> DataFrame:
        """Return the standings in pandas, best first; numbers are fractions."""
        return frame_of(self.pairs)

    def text(self, format: str = PLAIN, width: int | None = None) -> str:
        """Return the answer and the table as text; `width`: letters of a line of the format "plain"."""
        if format == "json":
            return self.json()
        if format == "csv":
            return self.csv()
        return plain_within([self.table], width) if format == PLAIN else FORMATS.get(format)([self.table])

    def json(self) -> str:
        """Return the standings as a JSON array, best first; numbers are fractions."""
        return json.dumps([asdict(pair) for pair in self.pairs], indent=2, ensure_ascii=False) + "\n"

    def csv(self) -> str:
        """Return the standings as CSV, numbers in percent and differences in points, as in other tables."""
        percent = {"mean", "low", "high", "win_rate"}
        points = {"difference", "difference_low", "difference_high"}
        names = [field.name for field in fields(Standing)]
        ends = {**dict.fromkeys(percent, "_percent"), **dict.fromkeys(points, "_points")}
        lines = [exact_line(name + ends.get(name, "") for name in names)]
        for pair in self.pairs:
            line = asdict(pair) | {"not_worse": "yes" if pair.not_worse else "no"}
            cells = (
                f"{100 * line[name]:.4f}" if name in ends and line[name] is not None else line[name] for name in names
            )
            lines.append(shown_line(cells))
        return "".join(lines)


@dataclass(frozen=True)
class Setting:
    """What was ranked, as far as it must be said.

    Attributes
    ----------
    benchmarks : sequence of str
    group : str
    metric : {"auroc", "fpr95"}
    titles : Titles
    field : Field
    best : mapping of Entrant to (Pair, its mean)
        Of a model its best score, of a score its best model; empty where pairs are ranked.
    ranks : AverageRanks or None
    remarks : sequence of str
        More to say below the table.
    """

    benchmarks: Sequence[str]
    group: str
    metric: RankMetric
    titles: Titles
    field: Field
    best: Mapping[Entrant, tuple[Pair, float]]
    ranks: AverageRanks | None
    remarks: Sequence[str] = ()


def as_ranked(standings: Sequence[Standing], setting: Setting) -> Ranked:
    """Return standings, best first, with the answer in words and the table."""
    names = _Names(setting)
    answer = _answer(standings, setting, names)
    columns = [
        Column((METRICS[setting.metric].label,)),
        Column(("95 % interval",), kind="text"),
        Column(("difference",), kind="text"),
        Column(("95 % of it",), kind="text"),
        Column(("p",), kind="text"),
        Column(("not worse",), kind="text"),
    ]
    if setting.ranks is not None:
        columns += [Column(("rank",), kind="text"), Column(("wins",))]
    if setting.best:
        columns.append(Column(("best score" if setting.field.by == "model" else "best model",), kind="text"))
    rows = []
    for number, one in enumerate(standings, 1):
        cells = [*_cells(one, first=number == 1)]
        if setting.best:
            pair, value = setting.best[one.entrant]
            cells.append(Cell(f"{names.other(pair)} {printed(value)}"))
        rows.append(Row(str(number), names.of(one.entrant), tuple(cells)))
    notes = _notes(setting, len(standings), names)
    table = Table(answer, ("", setting.field.by), tuple(columns), tuple(rows), tuple(notes), blocks=False)
    return Ranked(answer, tuple(standings), table)


class _Names:
    """Titles of entrants; a score names its parameters where there are several."""

    def __init__(self, setting: Setting) -> None:
        self._titles = setting.titles
        self._by = setting.field.by
        scores = {(pair.score, pair.params) for pair in (*setting.field.pairs, *setting.field.lost)}
        self._variants = Counter(score for score, _ in scores)

    def score(self, score: str, params: str) -> str:
        title = self._titles.scores.get(score, score)
        return f"{title} ({params})" if self._variants[score] > 1 else title

    def of(self, entrant: Entrant | Pair) -> str:
        parts = []
        if entrant.score is not None:
            parts.append(self.score(entrant.score, entrant.params or ""))
        if entrant.model is not None:
            parts.append(self._titles.model(entrant.model))
        return " on ".join(parts)

    def other(self, pair: Pair) -> str:
        """Return the half of a pair that is not ranked."""
        return self.score(pair.score, pair.params) if self._by == "model" else self._titles.model(pair.model)


def _answer(standings: Sequence[Standing], setting: Setting, names: _Names) -> str:
    by = setting.field.by
    best, *others = standings
    near = [names.of(one.entrant) for one in others if one.not_worse]
    answer = names.of(best.entrant)
    over = []
    if by != "pair":
        (only, *more) = setting.field.entrants[best.entrant]
        if more:
            over.append(f"{len(more) + 1} {'scores' if by == 'model' else 'models'}")
        else:
            answer += f" {'with' if by == 'model' else 'on'} {names.other(only)}"
    if len(setting.benchmarks) > 1:
        over.append(f"{len(setting.benchmarks)} benchmarks")
    label = "" if setting.metric == "auroc" else f"{METRICS[setting.metric].label} "
    answer += f", {label}{printed(best.mean)}"
    if best.low is not None and best.high is not None:
        answer += f" ± {width_of((best.high - best.low) / 2)}"
    if over:
        answer += f" on average over {' and '.join(over)}"
    if not others:
        return f"{answer}; there is no other {by}"
    if not near:
        return f"{answer}; every other {by} is significantly worse"
    count = _WORDS[len(near)] if len(near) < len(_WORDS) else str(len(near))
    further = f", and {len(near) - MOST_NAMED} more" if len(near) > MOST_NAMED else ""
    those = f"{by} is" if len(near) == 1 else f"{by}s are"
    return f"{answer}; {count} {those} not significantly worse: {', '.join(near[:MOST_NAMED])}{further}"


def _cells(one: Standing, *, first: bool) -> Iterable[Cell]:
    yield Cell(one.mean, low=one.low, high=one.high)
    yield Cell("–" if one.low is None or one.high is None else f"{printed(one.low)} to {printed(one.high)}")
    yield Cell("" if first else _signed(one.difference))
    yield Cell("" if first else f"{_signed(one.difference_low)} to {_signed(one.difference_high)}")
    yield Cell("" if first else ("< 0.001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}"))
    yield Cell("best" if first else "yes" if one.not_worse else "")
    if one.average_rank is not None:
        yield Cell(f"{one.average_rank:.2f}")
        yield Cell(one.win_rate)


def _signed(value: float) -> str:
    return signed(value).replace("-", "−")


def _notes(setting: Setting, count: int, names: _Names) -> Iterable[str]:
    by = setting.field.by
    label = METRICS[setting.metric].label
    over = "all OOD datasets" if setting.group == ALL_GROUPS else f"the {setting.group} OOD datasets"
    if len(setting.benchmarks) == 1:
        yield f"{setting.benchmarks[0]}: mean {label} over {over}, in percent."
    else:
        yield (
            f"Mean {label} over {over} of each benchmark, then over the benchmarks, which count alike, in percent: "
            f"{', '.join(setting.benchmarks)}."
        )
    if METRICS[setting.metric].convention:
        yield f"{label}: {METRICS[setting.metric].convention}."
    if by != "pair":
        others = "scores" if by == "model" else "models"
        one = "score" if by == "model" else "model"
        yield (
            f"Each {by} is ranked by its mean over the {others} that all {by}s have. The best {one} beside it was "
            "chosen on these same images, which flatters it."
        )
    if count > 1:
        yield (
            f"The difference to the best has {_method(setting.metric)}. p is adjusted (Holm) for comparing all {count} "
            f"{by}s with one another, since the same rows chose the best; not worse: p ≥ {LEVEL}."
        )
    if setting.ranks is not None:
        p = "p < 0.001" if setting.ranks.p < 0.001 else f"p = {setting.ranks.p:.3f}"
        yield (
            f"rank, wins: average rank, and share of encounters won, over {setting.ranks.datasets} OOD datasets. "
            f"Friedman's test (Iman and Davenport's F) that all are alike: {p}; "
            f"Nemenyi's critical difference of average ranks: {setting.ranks.critical_difference:.2f}."
        )
    if setting.field.unshared:
        some = _listed([names.of(one) for one in setting.field.unshared])
        yield f"Not of every {by}, and left out of the means: {some}."
    if setting.field.lost:
        some = _listed([names.of(one) for one in setting.field.lost])
        yield f"Without results on every benchmark, and left out: {some}."
    yield from setting.remarks


def _method(metric: RankMetric) -> str:
    if metric == "auroc":
        return "DeLong's interval for paired rows"
    return (
        f"the interval of a paired bootstrap ({REPLICATES} draws of the images, seed {SEED}, each with its threshold)"
    )


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - 2 * MOST_NAMED} more" if len(names) > 2 * MOST_NAMED else ""
    return ", ".join(names[: 2 * MOST_NAMED]) + more
