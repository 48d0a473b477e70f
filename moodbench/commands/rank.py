"""What ``moodbench rank`` does: row scores → which pair, model or score is best, and is that luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from moodbench.arguments import as_names
from moodbench.choices import By, RankMetric, check_choice
from moodbench.errors import ResultsError, UnknownNameError
from moodbench.standings.ranked import Ranked, Setting, Standing, as_ranked
from moodbench.tables.entrants import Entrant, Field, Pair, field_of
from moodbench.tables.order import Titles
from moodbench.tables.selection import chosen_benchmarks, only, rows_of, titles_of
from moodbench.types import ALL_GROUPS, MEAN, Result
from moodbench.workspace import Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.paired import Measured


def rank(
    benchmark: str | Sequence[str] | None = None,
    *,
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    group: str = ALL_GROUPS,
    by: By = "pair",
    metric: RankMetric = "auroc",
    workspace: Workspace | None = None,
) -> Ranked:
    """Rank pairs (model, score), models or scores by their mean, each compared with the best on the same rows.

    Parameters
    ----------
    benchmark : str or sequence of str, optional
        By default every one that has results; several count alike.
    model, score : str or sequence of str
        Only these; by default all that have results. Controls, which know nothing, take part where they are named.
    group : str
        The OOD group whose mean counts.
    by : {"pair", "model", "score"}
        What is ranked. Models by the mean over the scores that all of them have, scores by the mean over the models
        that all of them have: a best score would be chosen on the same rows.
    metric : {"auroc", "fpr95"}

    Returns
    -------
    Ranked
        Intervals of differences are DeLong's for paired rows, or for FPR95 those of a bootstrap of the same images for
        all. p-values are adjusted by Holm's method for the comparison of all with one another, because the best was
        chosen by the same rows. With two OOD datasets or more also average ranks (`moodbench.average_ranks`).

    Raises
    ------
    ResultsError
        There are no results, row scores are missing or were made from other caches than the results or the caches that
        are there now, two models were tested on other images, or the models have no score in common.
    UnknownNameError, UsageError
        A benchmark, model, score, group, metric or kind of entrant is unknown.
    """
    from moodbench.standings.measuring import Wanted, measured, pair_of

    check_choice("by", by, By)
    check_choice("metric", metric, RankMetric)
    space = as_workspace(workspace)
    means, remarks = _means(space, as_names(benchmark or ()), as_names(model), as_names(score), group, metric)
    field = field_of([[pair_of(row) for row in rows] for rows in means.values()], by)
    found = measured(space, [Wanted(name, field.pairs, group) for name in means], metric)
    standings, setting = _standings(found, field, [*means], group, metric, _titles(space, [*means]), remarks)
    return as_ranked(standings, setting)


def _means(
    space: Workspace, names: Sequence[str], models: Sequence[str], scores: Sequence[str], group: str, metric: RankMetric
) -> tuple[dict[str, list[Result]], list[str]]:
    """Return the means that count, by benchmark, and what to say of those that do not."""
    chosen = chosen_benchmarks(space, names)
    found = [(name, rows_of(space, name, None, models=models)) for name in chosen]
    found = only(found, "model", models, lambda row: row.model)
    found = only(found, "score", scores, lambda row: row.score)
    found = [(name, [row for row in rows if row.score in scores or not row.control]) for name, rows in found]
    found, streamed = _without_streams(found)
    groups = {row.group for _, rows in found for row in rows} | {ALL_GROUPS}
    if group not in groups:
        raise UnknownNameError("OOD group", group, groups)
    means: dict[str, list[Result]] = {}
    remarks = [f"Transductive, and left out: {', '.join(streamed)}."] if streamed else []
    for name, rows in found:
        its = [row for row in rows if (row.ood, row.group) == (MEAN, group) and getattr(row, metric) is not None]
        if its:
            means[name] = its
            left_out = dict.fromkeys(row.model for row in rows if row.model not in {one.model for one in its})
            if left_out:
                on = f" of {name}" if len(found) > 1 else ""
                remarks.append(f"Without a mean over these datasets{on}, and left out: {', '.join(left_out)}.")
        kept = {(one.model, one.score) for one in its}
        remarks += _lacking([row for row in rows if row.score in scores and (row.model, row.score) not in kept], group)
    if not means:
        first = found[0][0] if found else chosen[0]
        raise ResultsError(
            f"no model has a mean over the OOD datasets of '{group}' on '{first}'",
            file=space.results_dir / first,
            fix=f"moodbench table --benchmark {first} says what is missing",
        )
    gone = [name for name in chosen if name not in means]
    if gone:
        remarks.append(f"Benchmarks that have none of this, and are left out: {', '.join(gone)}.")
    if any((row.seeds or 1) > 1 for rows in means.values() for row in rows):
        remarks.append("Of scores that were run with several seeds, the first one is ranked.")
    trials = dict.fromkeys(row.model for rows in means.values() for row in rows if row.is_trial)
    if trials:
        remarks.append(f"Trial runs, on a part of the images (--limit): {', '.join(trials)}.")
    return means, remarks


def _lacking(rows: Sequence[Result], group: str) -> list[str]:
    """Return what to say of scores that were named and have no mean, from their rows: which OOD datasets they lack."""
    without: dict[str, dict[str, None]] = {}
    models: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.ood != MEAN and row.auroc is None and group in (ALL_GROUPS, row.group):
            without.setdefault(row.score, {})[row.ood] = None
            models.setdefault(row.score, {})[row.model] = None
    return [
        f"Left out: {score} of {', '.join(models[score])} lacks {', '.join(datasets)}."
        for score, datasets in without.items()
    ]


def _without_streams(
    found: Sequence[tuple[str, list[Result]]],
) -> tuple[list[tuple[str, list[Result]]], list[str]]:
    """Return the results without those of transductive scores, and which these are; of nothing else: refuse."""
    streamed = list(dict.fromkeys(row.score for _, rows in found for row in rows if row.transductive))
    left = [(name, [row for row in rows if not row.transductive]) for name, rows in found]
    if streamed and not any(rows for _, rows in left):
        raise ResultsError(
            f"a transductive score is not ranked: {', '.join(streamed)}. It knows other test images, which no other "
            "score does, and its rows are not independent of one another, as every test of a difference assumes",
            fix="moodbench table shows its numbers; --seeds 5 how far they spread over the order of the images",
        )
    return left, streamed


def _standings(
    found: Sequence[Mapping[Pair, Measured]],
    field: Field,
    benchmarks: Sequence[str],
    group: str,
    metric: RankMetric,
    titles: Titles,
    remarks: Sequence[str],
) -> tuple[list[Standing], Setting]:
    from moodbench.average_ranks import average_ranks
    from moodbench.metrics import METRICS
    from moodbench.paired import mean_over, mean_over_benchmarks
    from moodbench.standings.judge import judged

    def of(pairs: Sequence[Pair]) -> Measured:
        return mean_over_benchmarks([mean_over([some[pair] for pair in pairs]) for some in found])

    better = METRICS[metric].better
    judgements = judged({entrant: of(pairs) for entrant, pairs in field.entrants.items()}, better)
    values = [one.measured.each for one in judgements.values()]
    ranks = None
    if len(values) > 1 and len(values[0]) > 1:
        ranks = average_ranks([*zip(*values, strict=True)], higher=better == "higher")
    standings = []
    for number, (entrant, one) in enumerate(judgements.items()):
        limits, diff = one.measured.interval, one.difference
        over_datasets = (
            ()
            if ranks is None
            else (float(ranks.ranks[number]), float(ranks.wins[number]), ranks.critical_difference, ranks.p)
        )
        standings.append(
            Standing(
                *entrant,
                one.measured.value,
                None if limits is None else limits.low,
                None if limits is None else limits.high,
                diff.value,
                diff.low,
                diff.high,
                one.p_adjusted,
                one.not_worse,
                *over_datasets,
            )
        )
    best: dict[Entrant, tuple[Pair, float]] = {}
    if field.by != "pair" and field.over > 1:
        pick = max if better == "higher" else min
        for entrant, pairs in field.entrants.items():
            best[entrant] = pick(((pair, of([pair]).value) for pair in pairs), key=lambda one: one[1])
    return standings, Setting(benchmarks, group, metric, titles, field, best, ranks, remarks)


def _titles(space: Workspace, names: Sequence[str]) -> Titles:
    """Return display names of what has results on any of some benchmarks."""
    each = [titles_of(space, name) for name in names]
    return Titles(each[0].models, {name: title for one in each for name, title in one.scores.items()}, each[0].datasets)
