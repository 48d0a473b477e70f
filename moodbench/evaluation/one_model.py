"""One model on one benchmark, from its caches to the files of its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from moodbench.catalog import BenchmarkSpec
from moodbench.errors import CacheError, ResultsError
from moodbench.evaluation.beside import (
    Cached,
    Headers,
    contents_of,
    lacking_besides,
    read_along,
    reads_views,
    views_of,
    with_views,
)
from moodbench.evaluation.by_class import write_class_results
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.empties import OfLayers, empty_scores, said_of
from moodbench.evaluation.imported import imported_scores, noted_imported
from moodbench.evaluation.kept import kept_params
from moodbench.evaluation.members import members_of
from moodbench.evaluation.opening import lacks_ood_val, open_ood_val, open_scorable
from moodbench.evaluation.provenance import described, made_with, provenance_of, rows_to_keep, views_noted
from moodbench.evaluation.saved import (
    drop_kept,
    keep_row_scores,
    kept_row_scores,
    owner_of,
    read_saved,
    save_row_scores,
)
from moodbench.evaluation.ways import Done, Plan, runs
from moodbench.features.imported import has_features
from moodbench.features.times import times_file, write_times
from moodbench.progress import Progress
from moodbench.results import changing, check_results, read_provenance, read_results, row_scores_file
from moodbench.scores.base import Score
from moodbench.scores.machinery.variants import score_of
from moodbench.sizes import many, percent
from moodbench.types import Report, Result
from moodbench.workspace import ModelName, Workspace

NO_FEATURES = "it has no features, and no imported score of it is asked for"
NOTHING_IMPORTED = "no score that is asked for was imported for it"


@dataclass
class ModelRuns:
    """What is asked of every model, and what there is to say when all are done.

    Attributes
    ----------
    space : Workspace
    plan : Plan
    imported : sequence of str
        Imported scores that are asked for.
    how : mapping
        Device, threads, size of the memory bank and seeds (`moodbench.evaluation.ways.runs`).
    named_scores, named_benchmarks : bool
        Somebody asked for these; else all there are are meant, and what cannot be is left out.
    tune, save_scores, row_scores, by_class, missing : bool
        As those of ``score``.
    report, progress
        Likewise.
    left_out : dict of score to str
        Scores that read what a model lacks, with what that is.
    unnamed : dict
        Classes that have no names, in order.
    nothing : dict of model to str
        Models of which nothing could be scored, in order, with the reason.
    of_layers : OfLayers
        What layers left empty.
    headers : dict
        What is known of views' caches, which several benchmarks share.
    """

    space: Workspace
    plan: Plan
    imported: Sequence[str]
    how: Mapping[str, Any]
    named_scores: bool
    named_benchmarks: bool
    tune: bool
    save_scores: bool
    row_scores: bool
    by_class: bool
    report: Report
    progress: bool
    missing: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    unnamed: dict[str, None] = field(default_factory=dict)
    nothing: dict[str, str] = field(default_factory=dict)
    of_layers: OfLayers = field(default_factory=OfLayers)
    headers: Headers = field(default_factory=dict)

    def run(self, name: ModelName, spec: BenchmarkSpec) -> list[Result]:
        """Score one model on one benchmark, and write what comes out; return its rows, and those that stayed.

        Raises
        ------
        CacheError, ModelError, ResultsError
            A cache or the results that are there are damaged, or do not fit; or they cannot be written.
        """
        caches = self._opened(name, spec)
        if caches is None:
            return []
        scores, caches = self._readable(name, caches)
        file = self.space.results_file(spec.name, name)
        _check_results(file, spec.name, str(name), self.save_scores)
        pretext = _pretext(self.space, name, caches)
        now = provenance_of(spec, str(name), caches)
        stay = [row for row in self._staying(name, spec, caches, scores, now) if row.pretext == pretext]
        done = {(row.score, row.params) for row in stay}
        if done and not self.missing:
            count = many(len({score for score, _ in done}), "score")
            self.report(f"{name} on {spec.name}: kept the results of {count} without a random part")
        brought = imported_scores(self.space, name, caches, self.imported, self.report)
        scores = {**(scores if has_features(caches.train.provenance) else {}), **brought}
        if not scores:
            why = NOTHING_IMPORTED if has_features(caches.train.provenance) and self.imported else NO_FEATURES
            self.nothing[str(name)] = why
            self.report(f"skip {name} on {spec.name}: {why}")
        seeds = self.how["seeds"]
        todo = {label: one for label, one in scores.items() if (score_of(label), one.describe(seeds)) not in done}
        if done and self.missing:
            there = "the results of " + many(len(done), "score" if len(done) == len({*dict(done)}) else "variant")
            left = f", {len(todo)} to run" if todo else ""
            self.report(f"{'' if todo else 'skip '}{name} on {spec.name}: {there} are there{left}")
        made = self._scored(name, spec, caches, todo, pretext, now) if todo else []
        if self.by_class:
            write_class_results(self.space, spec.name, name, self.report)
        return stay + made

    def _opened(self, name: ModelName, spec: BenchmarkSpec) -> Caches | None:
        caches = open_scorable(self.space, name, spec, asked=self.named_benchmarks, report=self.report)
        if caches is None or not self.tune or self.named_benchmarks:
            return caches
        lacking = lacks_ood_val(self.space, name, spec)
        if lacking:
            self.report(f"skip {name} on {spec.name}: no cache of {', '.join(lacking)} to choose parameters on")
        return None if lacking else caches

    def _readable(self, name: ModelName, caches: Caches) -> tuple[dict[str, Score], Caches]:
        """Return the scores that are run, and the caches with the views that these read along."""
        scores = self.plan.scores
        more = [one for one in scores.values() if one.needs & {"layers", "views"}]
        cached = views_of(self.space, name, caches, more, self.report, self.headers) if more else Cached()
        members, heads = members_of(self.space, name, caches, [*scores.values()], self.report)
        cached, caches = cached.and_members(members), replace(caches, heads_beside=heads)
        lacks = {} if self.named_scores else lacking_besides(scores, cached, caches.head)
        self.left_out |= {score_of(label): lack for label, lack in lacks.items()}
        some = {label: one for label, one in scores.items() if label not in lacks}
        return some, with_views(self.space, name, caches, some.values(), cached)

    def _staying(
        self, name: ModelName, spec: BenchmarkSpec, caches: Caches, scores: Mapping[str, Score], now: Mapping[str, Any]
    ) -> list[Result]:
        """Return the results that are there and need not be made again."""
        file, plain = self.space.results_file(spec.name, name), not (self.tune or self.plan.label_noise)
        seeds, asked = self.how["seeds"], self.missing or self.by_class or self.how["seeds"] > 1
        if not plain or self.save_scores or not asked or not file.exists():
            return []
        bank_rows, views = self.how["bank_rows"], contents_of(caches, scores)
        again = {"seeds": seeds if self.missing else None}
        stay = rows_to_keep(read_results(file), read_provenance(file), now, scores, bank_rows, views, **again)
        if not self.row_scores:
            return stay
        kept = kept_row_scores(self.space.kept_scores_file(name, spec.name), owner_of(now))
        valued = {(row.score, row.params) for row in stay if row.auroc is not None}
        lacking = {pair for pair in valued if (pair[0], kept_params(pair[1])) not in kept}
        return [row for row in stay if (row.score, row.params) not in lacking]

    def _scored(
        self,
        name: ModelName,
        spec: BenchmarkSpec,
        caches: Caches,
        scores: Mapping[str, Score],
        pretext: str,
        now: Mapping[str, Any],
    ) -> list[Result]:
        """Run scores, and write results, row scores and times as each way of running them ends."""
        ood_val = open_ood_val(self.space, name, spec, caches) if self.tune else {}
        along = list(next(iter(caches.test.values())).views)
        ood_val = {dataset: read_along(self.space, name, one, along) for dataset, one in ood_val.items()}
        bars = Progress(f"{name} on {spec.name}", self.progress)
        bars.begins(f"scoring, {many(len(scores), 'score')}")
        about: dict[str, Any] = {"model": str(name), "pretext": pretext, "progress": bars, "timed": self.row_scores}
        file, kept = self.space.results_file(spec.name, name), self.space.kept_scores_file(name, spec.name)
        rows: list[Result] = []
        for ended in runs(self.plan, spec, caches, scores, ood_val, **about, **self.how):
            _write(file, now, caches, ended, self.how["seeds"], self.save_scores, self.report)
            if self.row_scores:
                _keep(kept, now, caches, ended, self.report)
            elif any(map(reads_views, ended.scores.values())):
                drop_kept(kept, ended.scores, self.report)
            rows += ended.run.rows
            empty = empty_scores(ended.run.rows)
            told = self.of_layers.take(name, spec.name, empty)
            self.report(_describe(str(name), spec.name, ended, {} if told else empty))
            for hint in ended.run.hints:
                self.report(f"note: {name} on {spec.name}: {hint}; see 'labels' in docs/files.md")
        if caches.joined is not None:
            self.unnamed |= dict.fromkeys(caches.joined.unnamed)
        return rows


def _pretext(space: Workspace, name: ModelName, caches: Caches) -> str:
    if name.base in space.catalog.models:
        return space.catalog.models[name.base].pretext
    return str(caches.train.provenance.get("pretext") or "unspecified")


def _write(
    file: Path, made_from: Mapping[str, Any], caches: Caches, ended: Done, seeds: int, save_scores: bool, report: Report
) -> None:
    provenance = dict(made_from)
    scored = ended.run

    def waiting() -> None:
        report(f"{file}: another process is writing it: waiting")

    with changing(file, waiting=waiting) as there:
        before = there.provenance or {}
        keep = before.get("inputs") == provenance["inputs"]
        if there.rows and not keep:
            report(f"{file}: made from other caches; its rows are dropped")
        provenance["scores"] = described(ended.scores, before.get("scores", {}) if keep else {})
        provenance["made_with"] = made_with(scored.rows, provenance, there.rows if keep else [], before)
        views = views_noted(ended.scores, contents_of(caches, ended.scores), there.rows if keep else [], before, seeds)
        if views:
            provenance["views"] = views
        tuned = {**(before.get("tuned", {}) if keep else {}), **ended.tuned}
        if tuned:
            provenance["tuned"] = tuned
        imported = noted_imported(ended.scores, before.get("imported", {}) if keep else {})
        if imported:
            provenance["imported"] = imported
        if save_scores:
            owner = owner_of(provenance)
            save_row_scores(row_scores_file(file), owner, caches, ended.scores, scored, report)
        there.write(scored.rows, provenance, keep=keep)


def _keep(file: Path, made_from: Mapping[str, Any], caches: Caches, ended: Done, report: Report) -> None:
    """Keep row scores and times among the caches; where that is refused, say so: the results are there."""
    try:
        keep_row_scores(file, owner_of(made_from), caches, ended.scores, ended.run, report)
        its = {(score_of(label), ended.scores[label].describe()): took for label, took in ended.seconds.items()}
        if its:
            write_times(times_file(file), owner_of(made_from), its)
    except (CacheError, ResultsError) as error:
        whose = f"{made_from['model']} on {made_from['benchmark']}"
        report(
            f"note: the row scores of {whose} are not kept in {file}: {error.what}; the results are, and "
            "--no-row-scores does without"
        )


def _check_results(file: Path, benchmark: str, model: str, save_scores: bool) -> None:
    """Raise now, and not after the work, if what is there cannot be read or is of others: it is never overwritten."""
    check_results(file, benchmark, model)
    if save_scores and row_scores_file(file).exists():
        read_saved(row_scores_file(file), benchmark, model)


def _describe(model: str, benchmark: str, ended: Done, empty: Mapping[str, str]) -> str:
    scored = ended.run
    valued = {(row.score, row.params) for row in scored.rows if row.auroc is not None}
    scores = {score for score, _ in valued}
    how = next(
        (
            f" with {100 * one.label_noise_[0]:g} % of the labels wrong"
            for one in ended.scores.values()
            if one.label_noise_
        ),
        "",
    )
    text = f"scored {model} on {benchmark}{how}: {many(len(scores), 'score')}"
    if len(valued) > len(scores):
        text += f" in {len(valued)} variants"
    accuracy = scored.rows[0].id_accuracy if scored.rows else None
    if accuracy is not None:
        text += f", ID accuracy {percent(accuracy)}"
    return text + said_of(empty)
