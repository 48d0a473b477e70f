"""What numbers were made from and with, as the JSON beside the results says it; and which rows need no other run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moodbench.catalog import BenchmarkSpec
from moodbench.catalog.benchmark import ONE_CLASS, STANDARD
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.engine import THINNED
from moodbench.evaluation.inputs import digest_of
from moodbench.metrics import METRICS
from moodbench.release import __version__, versions
from moodbench.results.made import ViewContents, row_name, versions_of, views_read
from moodbench.scores.base import Score
from moodbench.scores.machinery.variants import score_of
from moodbench.types import Result


def provenance_of(spec: BenchmarkSpec, model: str, caches: Caches) -> dict[str, Any]:
    """Return what the numbers depend on. No time and no device: equal inputs give equal bytes."""
    datasets = {
        reader.file.stem: {
            "contents": reader.fingerprint,
            "rows": reader.rows,
            "skipped": reader.skipped,
            "provenance": {k: v for k, v in reader.provenance.items() if k != "time"},
        }
        for reader in caches.readers.values()
    }
    roles: dict[str, Any] = {
        "id_train": spec.id_train,
        "id_val": spec.id_val,
        "id_test": list(spec.id_test),
        "ood": {g: list(d) for g, d in spec.ood.items()},
    }
    if spec.classes or spec.each:
        roles["classes"] = list(spec.classes) or dict(spec.each)
    if spec.aliases:
        roles["aliases"] = dict(spec.aliases)
    if spec.restrict_logits:
        roles["restrict_logits"] = True
    if spec.protocol != (ONE_CLASS if spec.each else STANDARD):
        roles["protocol"] = spec.protocol
    inputs: dict[str, Any] = {
        "benchmark": roles,
        "contents": {name: entry["contents"] for name, entry in datasets.items()},
    }
    if caches.head is not None:
        inputs["head"] = digest_of(caches.head)
    joined = caches.joined
    known = None if joined is None or joined.train.names is None else list(joined.train.names)
    return {
        "moodbench": __version__,
        "benchmark": spec.name,
        "model": model,
        "inputs": inputs,
        "classes": known,
        "datasets": datasets,
        "metrics": {name: metric.convention for name, metric in METRICS.items() if metric.convention},
        "intervals": "95 %, DeLong's variance and half an unseen row, inverted as Wilson does; ID rows are shared;"
        " over several seeds the means of the limits",
        "versions": versions("numpy", "scipy", "torch"),
    }


def described(scores: Mapping[str, Score], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return title, paper and year of every score in the file, so that tables need not load the scores themselves.

    `scores` are those that were run, by label; `before` is what is said of those that stay.
    """
    new = {score_of(label): {"title": one.title, "paper": one.paper, "year": one.year} for label, one in scores.items()}
    return {**before, **new}


def made_with(
    rows: Sequence[Result], provenance: Mapping[str, Any], kept: Sequence[Result], before: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the versions that rows were made with → which rows; those that are kept keep theirs."""
    noted = {name: made for made, names in before.get("made_with", {}).items() for name in names}
    unseeded = {f"{name};seed=0": made for name, made in noted.items()}  # as files before the schema of seeds say it
    noted = {**unseeded, **noted}
    made = {row_name(row): noted.get(row_name(row), versions_of(before)) for row in kept}
    made |= {row_name(row): versions_of(provenance) for row in rows}
    return {each: sorted(name for name, its in made.items() if its == each) for each in sorted({*made.values()})}


def views_noted(
    scores: Mapping[str, Score],
    contents: Mapping[str, ViewContents],
    kept: Sequence[Result],
    before: Mapping[str, Any],
    seeds: int = 1,
) -> dict[str, ViewContents]:
    """Return the rows of scores that read other vectors of the images → which caches; kept rows keep theirs.

    Parameters
    ----------
    scores : mapping of label to Score
        Those that were run.
    contents : mapping of label to ViewContents
        What they have read.
    kept : sequence of Result
        Rows that were there before.
    before : mapping
        The provenance of those.
    seeds : int
        With how many the scores were run.
    """
    names = {label: f"{score_of(label)} {one.describe(seeds)}".strip() for label, one in scores.items()}
    there: Mapping[str, ViewContents] = before.get("views", {})
    stay = {row_name(row) for row in kept} - {*names.values()}
    noted = {name: its for name, its in there.items() if name in stay}
    return noted | {names[label]: its for label, its in contents.items()}


def rows_to_keep(
    there: Sequence[Result],
    before: Mapping[str, Any],
    provenance: Mapping[str, Any],
    scores: Mapping[str, Score],
    bank_rows: int | None,
    views: Mapping[str, ViewContents] | None = None,
    *,
    seeds: int | None = None,
) -> list[Result]:
    """Return the rows of scores that another run would only repeat: without a random part, unless `seeds` says more.

    They are of moodbench's own scores (a user's may have changed) with these parameters, made from the same caches with
    the same versions, and have numbers, of all metrics.

    Parameters
    ----------
    there, before : sequence of Result, mapping
        Results, and their provenance.
    provenance : mapping
        That of the run.
    scores : mapping of label to Score
        Variants of one score under labels of their own.
    bank_rows : int or None
        To which the run thins out memory banks.
    views : mapping of label to ViewContents, optional
        What scores read besides the model's own caches.
    seeds : int, optional
        Also rows of scores with a random part, run with so many seeds; and empty cells that say why, for the same
        inputs leave them empty again (but where memory ran out: there may be more of it now).
    """
    if before.get("inputs") != provenance["inputs"]:
        return []
    every = seeds is not None
    called = {label: (score_of(label), score.describe(seeds or 1)) for label, score in scores.items()}
    wanted = {called[label]: score for label, score in scores.items() if every or not score.has_seed()}
    read = {called[label]: its for label, its in (views or {}).items()}
    of: dict[tuple[str, str], list[Result]] = {}
    for row in there:
        if (row.score, row.params) in wanted:
            of.setdefault((row.score, row.params), []).append(row)
    found = []
    for pair, rows in of.items():
        own = type(wanted[pair]).__module__.startswith("moodbench.")
        thinned = any(remark.startswith(THINNED) for row in rows for remark in row.remarks)
        same_bank = wanted[pair].cost != "memory bank" or (bank_rows is None and not thinned)
        same_views = views_read(before, rows[0]) == read.get(pair, {})
        if own and same_bank and same_views and all(_whole(row) or (every and _says_why(row)) for row in rows):
            found += rows
    made = set(made_with([], provenance, found, before).get(versions_of(provenance), []))
    return [row for row in found if row_name(row) in made]


def _whole(row: Result) -> bool:
    """Say whether no number is missing: rows from before there was a metric lack it."""
    return row.auroc is not None and (not row.id_accuracy or all(getattr(row, name) is not None for name in METRICS))


def _says_why(row: Result) -> bool:
    """Say whether a cell is empty for a reason that another run would find again."""
    return row.auroc is None and bool(row.note) and "memory" not in str(row.note)
