"""What stands below a table: why cells are empty, what was unusual, how sure the numbers are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from moodbench.catalog import Exposure
from moodbench.errors import ResultsError, UsageError
from moodbench.metrics import LABELS, METRICS
from moodbench.sizes import percent
from moodbench.tables.order import Model, Series
from moodbench.types import ALL_GROUPS, MEAN, TRANSDUCTIVE, Result

EMPTY = "—"
"""Stands in a cell without a number."""

FLAG = "†"
"""Follows the title of a model whose numbers all carry a remark (a trial run, imported numbers)."""

STALE_FLAG = "§"
"""Follows the title of a model some of whose numbers were made from caches which have changed since."""

NOT_WORSE = "‡"
"""Precedes a number that is not significantly worse than the best of its column; before it, so that numbers stay below
one another."""

STALE = "stale"
"""With what the remark of a result begins that was made from caches which have changed since."""

MOST_NAMED = 12
"""Scores or OOD datasets that a footnote names; it counts more of them."""

Place = tuple[Model, Series, str, str]
"""Where a number of a table comes from: model, score, OOD dataset (or `MEAN`), group."""


class Index:
    """The results of one benchmark, by place.

    A note or remark that every number of a model carries is said once, about the model.

    Raises
    ------
    ResultsError
        There are no results.
    UsageError
        They are of several benchmarks.
    """

    def __init__(self, results: Iterable[Result], expected: Mapping[str, Sequence[str]] | None = None) -> None:
        results = list(results)
        self._expected = expected or _groups(results)
        benchmarks = sorted({row.benchmark for row in results})
        if not benchmarks:
            raise ResultsError("there are no results to show", fix="run 'moodbench score --all' first")
        if len(benchmarks) > 1:
            names = ", ".join(benchmarks)
            raise UsageError(f"one table cannot hold several benchmarks: {names}", fix="make one table for each")
        self.benchmark = benchmarks[0]
        self._remarks = {remark for row in results for remark in row.remarks}
        self._rows: dict[tuple[str, str, str], dict[tuple[str, str], Result]] = {}
        for row in results:
            self._rows.setdefault((row.model, row.score, row.params), {})[row.ood, row.group] = row

    def rows(self, model: Model, series: Series) -> dict[tuple[str, str], Result]:
        """Return what is there of a model and score, by (OOD dataset, group)."""
        return self._rows.get((model.name, series.score, series.params), {})

    def find(self, place: Place) -> Result | None:
        """Return the row of a place, if there is one."""
        model, series, ood, group = place
        return self.rows(model, series).get((ood, group))

    def lacking(self, model: Model, group: str) -> tuple[str, ...]:
        """Return the OOD datasets of a group on which nothing of a model was scored."""
        of_model = (rows for (name, *_), rows in self._rows.items() if name == model.name)
        known = {ood for rows in of_model for ood, _ in rows}
        return tuple(name for name in self.members(group) if name not in known)

    def members(self, group: str) -> tuple[str, ...]:
        """Return the OOD datasets that a mean over a group is over."""
        names = chain.from_iterable(self._expected.values()) if group == ALL_GROUPS else self._expected.get(group, ())
        return tuple(names)

    def title(self, model: Model) -> str:
        """Return the title of a model, flagged if all its numbers carry a remark, and if any is stale."""
        flags = "".join(dict.fromkeys(_flag(part) for part in self._flagged(model)))
        return f"{model.title} {flags}" if flags else model.title

    def footnotes(self, places: Sequence[Place], metrics: Sequence[str]) -> list[str]:
        """Return the footnotes of a table that shows `metrics` of `places`."""
        models = list(dict.fromkeys(model for model, *_ in places))
        series = list(dict.fromkeys(series for _, series, *_ in places))
        lines = [*self.remarks(models), *self._score_remarks(models, series), *self._gaps(places, metrics)]
        intervals = self._intervals(places) if "auroc" in metrics else []
        spread = self._spread(places, metrics)
        return [*lines, *_conventions(metrics), *intervals, *spread, *self._accuracies(models)]

    def _valued(self, model: Model) -> list[Result]:
        of_model = (rows.values() for (name, *_), rows in self._rows.items() if name == model.name)
        return [row for row in chain.from_iterable(of_model) if row.auroc is not None]

    def _shared(self, model: Model) -> list[str]:
        rows = self._valued(model)
        parts = _parts(rows[0]) if rows else []
        return [part for part in parts if all(part in _parts(row) for row in rows)]

    def _flagged(self, model: Model) -> list[str]:
        parts = [part for row in self._valued(model) for part in row.remarks if part.startswith(STALE)]
        return list(dict.fromkeys([*self._shared(model), *parts]))

    def remarks(self, models: Sequence[Model]) -> list[str]:
        """Return the remarks that the flags stand for."""
        found: dict[str, list[str]] = {}
        for model in models:
            for part in self._flagged(model):
                found.setdefault(part, []).append(model.title)
        return [f"{_flag(part)} {part}: {', '.join(titles)}" for part, titles in found.items()]

    def _score_remarks(self, models: Sequence[Model], series: Sequence[Series]) -> list[str]:
        found: dict[str, dict[tuple[Model, Series], None]] = {}
        for one in series:
            for model in models:
                valued = (row for row in self.rows(model, one).values() if row.auroc is not None)
                parts = dict.fromkeys(part for row in valued for part in _parts(row))
                for part in parts:
                    if part not in self._flagged(model):
                        found.setdefault(part, {})[model, one] = None
        return [f"{part}: {self._reach(part, list(pairs), models, series)}" for part, pairs in found.items()]

    def _reach(
        self, part: str, pairs: Sequence[tuple[Model, Series]], models: Sequence[Model], series: Sequence[Series]
    ) -> str:
        """Return in words for which models and scores a note or remark holds; one about a head, for all on logits."""
        of = list(dict.fromkeys(model for model, _ in pairs))
        on_logits = {(model, one) for model in of for one in series if one.family not in ("feature", "imported")}
        on_logits = {(model, one) for model, one in on_logits if self._has_number(model, one)}
        if part not in self._remarks or part == TRANSDUCTIVE or set(pairs) != on_logits:
            return _scope(pairs, models, series)
        return "every score on logits" + ("" if len(of) == len(models) else f" of {', '.join(m.title for m in of)}")

    def _has_number(self, model: Model, series: Series) -> bool:
        return any(row.auroc is not None for row in self.rows(model, series).values())

    def _gaps(self, places: Sequence[Place], metrics: Sequence[str]) -> list[str]:
        models = list(dict.fromkeys(model for model, *_ in places))
        series = list(dict.fromkeys(series for _, series, *_ in places))
        found: dict[str, dict[tuple[Model, Series], None]] = {}
        absent: dict[tuple[str, ...], dict[Model, None]] = {}
        for place in places:
            if lacking := self._lacking_for(place):
                absent.setdefault(lacking, {})[place[0]] = None
                continue
            for metric in metrics:
                reason = self.why_empty(place, metric)
                if reason:
                    found.setdefault(reason, {})[place[0], place[1]] = None
        lines = [f"{EMPTY} {reason}: {_scope(pairs, models, series)}" for reason, pairs in found.items()]
        of_models = {names: ", ".join(model.title for model in of) for names, of in absent.items()}
        return [*lines, *(f"{EMPTY} {no_result_on(names)}: {titles}" for names, titles in of_models.items())]

    def _lacking_for(self, place: Place) -> tuple[str, ...]:
        """Return the OOD datasets that a place has no number for because nothing of its model was scored there."""
        model, _, ood, group = place
        if self.find(place) is not None:
            return ()
        lacking = self.lacking(model, group)
        return lacking if ood == MEAN else (ood,) if ood in lacking else ()

    def why_empty(self, place: Place, metric: str = "auroc") -> str:
        """Return why a place has no number, and nothing if it has one."""
        row = self.find(place)
        if row is not None and row.auroc is None:
            return row.note or "no number was recorded"
        if row is not None:
            known = METRICS[metric].needs != LABELS or not row.id_accuracy  # labels that gave an accuracy are there
            missing = (METRICS[metric].needs if known else "") or "was not recorded"
            return "" if getattr(row, metric) is not None else f"{METRICS[metric].label} {missing}"
        model, series, ood, group = place
        others = self.rows(model, series).values()
        if ood == MEAN and self._has_number(model, series):
            valued = {other.ood for other in others if other.auroc is not None}
            lacking = [name for name in self.members(group) if name not in valued]
            return no_result_on(lacking) if lacking else "not every OOD dataset has a result"
        reasons = dict.fromkeys(other.note for other in others if other.auroc is None and other.note)
        if reasons:
            return "; ".join(reasons)
        if others:
            return "not every OOD dataset has a result" if ood == MEAN else "this OOD dataset was not scored"
        return "not scored"

    def _intervals(self, places: Sequence[Place]) -> list[str]:
        widest = 0.0
        for row in filter(None, map(self.find, places)):
            if row.auroc is not None and row.auroc_low is not None and row.auroc_high is not None:
                widest = max(widest, row.auroc - row.auroc_low, row.auroc_high - row.auroc)
        if not widest:
            return []
        return [f"95 % intervals reach at most {100 * widest:.2f} points from the AUROC shown"]

    def _spread(self, places: Sequence[Place], metrics: Sequence[str]) -> list[str]:
        """Return what ± stands for, where a number has it."""
        rows = filter(None, map(self.find, places))
        with_spread = (row for row in rows for m in metrics if getattr(row, f"{m}_seed_sd", None) is not None)
        seeds = sorted({row.seeds for row in with_spread if row.seeds})
        if not seeds:
            return []
        many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        return [
            f"± is the sample standard deviation over {many} seeds; the number and its interval are means over them"
        ]

    def _accuracies(self, models: Sequence[Model]) -> list[str]:
        found = []
        for model in models:
            known = [row.id_accuracy for row in self._valued(model) if row.id_accuracy is not None]
            found += [f"{model.title} {percent(known[0])}"] if known else []
        return ["ID accuracy: " + ", ".join(found)] if found else []


def no_result_on(names: Sequence[str]) -> str:
    """Return which OOD datasets are missing, and what shows the others."""
    shown = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    return f"no result on {shown} yet, and no mean with it (--layout datasets shows the other OOD datasets)"


def _groups(results: Sequence[Result]) -> dict[str, list[str]]:
    """Return group → OOD datasets, as far as there are results of them."""
    found: dict[str, dict[str, None]] = {}
    for row in results:
        if row.ood != MEAN:
            found.setdefault(row.group, {})[row.ood] = None
    return {group: list(names) for group, names in found.items()}


def what_models_saw(models: Sequence[Model], seen: Mapping[str, Exposure]) -> list[str]:
    """Return in what the models of a table differ besides their pretext tasks; nothing where they are equal.

    Parameters
    ----------
    models : sequence of Model
    seen : mapping
        From the name of a model; what is not in it, nobody said anything about.
    """
    of = {model: seen.get(model.name, Exposure()) for model in models}
    lines = [
        *_grouped("Labels seen besides the head's", {model: one.labels for model, one in of.items()}),
        *_grouped("Pretraining data", {model: one.data for model, one in of.items()}),
        *_grouped("Size", {model: one.size for model, one in of.items()}),
    ]
    with_text = [model.title for model, one in of.items() if one.text]
    if 0 < len(with_text) < len(models):
        lines.append(f"Pairs of pictures and text had a part in: {', '.join(with_text)}")
    return lines


def _grouped(what: str, values: Mapping[Model, str | None]) -> list[str]:
    """Return one line that says which value belongs to which models, unless it is the same for all."""
    titles: dict[str, list[str]] = {}
    for model, value in values.items():
        titles.setdefault(value or "not said", []).append(model.title)
    if len(titles) < 2:
        return []
    common = max(titles, key=lambda value: len(titles[value]))
    rest = [f"{value} ({', '.join(names)})" for value, names in titles.items() if value != common]
    most = "the others" if len(titles[common]) > 1 else titles[common][0]
    return [f"{what}: " + "; ".join([*rest, f"{common} ({most})"])]


def _conventions(metrics: Sequence[str]) -> list[str]:
    return [f"{METRICS[name].label}: {METRICS[name].convention}" for name in metrics if METRICS[name].convention]


def _flag(part: str) -> str:
    """Return the sign of a remark that flags a model."""
    return STALE_FLAG if part.startswith(STALE) else FLAG


def _parts(row: Result) -> list[str]:
    return [*filter(None, [row.note]), *row.remarks]


def _scope(pairs: Iterable[tuple[Model, Series]], models: Sequence[Model], series: Sequence[Series]) -> str:
    """Return in words which models and scores are meant: models that share their scores are named together."""
    scores: dict[Model, list[Series]] = {}
    for model, one in pairs:
        scores.setdefault(model, []).append(one)
    shared: dict[tuple[Series, ...], list[Model]] = {}
    for model, found in scores.items():
        shared.setdefault(tuple(found), []).append(model)
    words = []
    for group, of in shared.items():
        if len(group) == len(series) > 1:
            titles = "all scores"
        elif len(group) > MOST_NAMED:
            titles = f"{len(group)} of {len(series)} scores"
        else:
            titles = ", ".join(one.title for one in group)
        names = ", ".join(model.title for model in of)
        words.append(titles if len(of) == len(models) else f"{names} ({titles})")
    return "; ".join(words)
