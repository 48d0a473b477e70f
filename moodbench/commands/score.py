"""Every cached model × every score × every benchmark whose caches are there → results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_names
from moodbench.catalog import BenchmarkSpec
from moodbench.classes import unnamed_note
from moodbench.errors import (
    CacheError,
    ModelError,
    MoodbenchError,
    ResultsError,
    UnknownNameError,
    UsageError,
)
from moodbench.results import changing, check_results, read_provenance, read_results, row_scores_file
from moodbench.sizes import many, percent
from moodbench.types import Report, Result
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from moodbench.evaluation.caches import Caches
    from moodbench.evaluation.ways import Done

NO_FEATURES = "it has no features, and no imported score of it is asked for"

Params = Mapping[str, Mapping[str, Any]]


def score(
    *,
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    benchmark: str | Sequence[str] = (),
    params: Params | None = None,
    head: str | None = None,
    layers: bool = False,
    device: str = "auto",
    threads: int | None = None,
    bank_rows: int | None = None,
    seeds: int = 1,
    label_noise: float | Sequence[float] = (),
    tune: bool = False,
    save_scores: bool = False,
    row_scores: bool = True,
    by_class: bool = False,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> list[Result]:
    """Fit and run scores over the caches, and write ``<results-dir>/<benchmark>/<model>.csv`` and ``.json``.

    Parameters
    ----------
    model, score, benchmark : str or sequence of str
        What to run; an empty one means all: every cached model but views of them, every registered score and every
        imported one, every benchmark whose caches are there.
    params : mapping of score to parameters, optional
        Parameters changed from their defaults. A list of values is a sweep: each runs as a variant with rows of its
        own, all in the same passes over the rows; of several lists, every combination does.
    head : str, optional
        Use this head (``heads/<name>.h5``) instead of the models' own; results are those of the model ``MODEL+NAME``.
        Without `model`: of every cached model that has it.
    layers : bool
        Also run over the cached layers of these models (``MODEL@layer-NAME``). They have no logits: scores that need
        some have empty cells, unless `head` names one that was trained on that layer (`probe`).
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int, optional
        CPU threads.
    bank_rows : int, optional
        Let scores with a memory bank compare with this many ID train rows, spread evenly, instead of all. Their results
        say so.
    seeds : int
        Run scores in which chance has a part with so many seeds, from their own upwards: their rows hold means over the
        seeds and how far these spread. With more than one, the rows of all other scores stay as they are where they are
        there already, from the same caches, parameters and versions.
    label_noise : float or sequence of float
        Also run with this share of the labels of ID train wrong, or with each of several: what do scores lose that
        learn from labels? The others are not run. These results stand beside the ordinary ones, with
        ``label_noise=0.1`` among their parameters; with `seeds` they are means over as many draws.
    tune : bool
        Choose parameters on the benchmark's validation sets (`id_val`, `ood_val`), out of the lists in `params`, else
        of the values that a score names itself (`Score.sweep`); scores with neither are not run. These results stand
        beside the others, with ``tuned=k`` among their parameters.
    save_scores : bool
        Also write the score of every row, of the first seed, to ``<model>.scores.h5`` beside the results, for other
        programs, and keep no rows for it.
    row_scores : bool
        Keep the score of every test row, of the first seed, among the caches, for what compares rows (`rank`). Where
        that folder cannot be written, `report` is told, and the results are written all the same.
    by_class : bool
        Also take the results apart by the classes of each OOD dataset, out of the rows that are kept, and write them to
        ``<results-dir>/<benchmark>/classes/<model>.csv``. Scores without a random part whose results and rows are there
        already, from the same caches, parameters and versions, are not run again for it.
    report : callable
        Is told, line by line, what is done, skipped and left out.
    progress : bool
        Show bars on stderr if that is a terminal.

    Returns
    -------
    list of Result
        The rows written, and those that stayed for `seeds` or `by_class`.

    Raises
    ------
    UnknownNameError, UsageError
        A name is unknown, a parameter does not exist, or a number makes no sense.
    CacheError
        Nothing is cached that could be scored, or a cache is damaged.
    ResultsError
        Results that are there are damaged, and would be lost if written anew; or the folder cannot be written.
        The other models are scored before this or a `CacheError` is raised.
    """
    space = workspace or Workspace()
    model, score, benchmark = as_names(model), as_names(score), as_names(benchmark)
    shares = (label_noise,) if isinstance(label_noise, (int, float)) else tuple(label_noise)
    models = _models(space, model, head, layers, report)
    benchmarks = [space.catalog.benchmark(name) for name in benchmark] or list(space.catalog.benchmarks.values())
    from moodbench.devices import check_threads, resolve_device
    from moodbench.evaluation.beside import contents_of, lacking_besides, read_along, reads_views, views_of, with_views
    from moodbench.evaluation.by_class import write_class_results
    from moodbench.evaluation.imported import chosen_scores, imported_scores
    from moodbench.evaluation.opening import lacks_ood_val, open_ood_val, open_scorable
    from moodbench.evaluation.provenance import provenance_of, rows_to_keep
    from moodbench.evaluation.saved import drop_kept, kept_row_scores, owner_of
    from moodbench.evaluation.seeds import check_seeds
    from moodbench.evaluation.ways import make_plan, runs
    from moodbench.features.imported import has_features
    from moodbench.progress import Progress
    from moodbench.scores.base import display_order
    from moodbench.scores.machinery.variants import score_of

    computed, imported = chosen_scores(space, models, score, plain=not (tune or shares))
    names = display_order(computed)
    plan = make_plan(names, params or {}, label_noise=shares, tune=tune, named=bool(score), report=report)
    scores = plan.scores
    benchmarks = _with_validation(benchmarks, asked=bool(benchmark)) if tune else benchmarks
    place = resolve_device(device)
    check_threads(threads)
    if bank_rows is not None and bank_rows < 1:
        raise UsageError(
            f"the number of bank rows must be at least 1, got {bank_rows}",
            fix="--bank-rows 10000, or none of it for all rows",
        )
    check_seeds(seeds, scores)
    if by_class and not row_scores:
        raise UsageError("results by class are made from row scores, and none are to be kept")
    how: dict[str, Any] = {"device": place, "threads": threads, "bank_rows": bank_rows, "seeds": seeds}
    plain = not (tune or shares)
    out: list[Result] = []
    unnamed: dict[str, None] = {}
    left_out: dict[str, str] = {}
    featureless: dict[str, None] = {}
    faults: list[MoodbenchError] = []
    for spec in benchmarks:
        for name in models:
            try:
                caches = open_scorable(space, name, spec, asked=bool(benchmark), report=report)
                lacking = lacks_ood_val(space, name, spec) if tune and caches is not None and not benchmark else []
                if lacking:
                    report(f"skip {name} on {spec.name}: no cache of {', '.join(lacking)} to choose parameters on")
                elif caches is not None:
                    cached = views_of(space, name, caches, report) if any(map(reads_views, scores.values())) else []
                    lacks = {} if score else lacking_besides(scores, cached, caches.head)
                    left_out |= {score_of(label): lack for label, lack in lacks.items()}
                    its = {label: one for label, one in scores.items() if label not in lacks}
                    caches = with_views(space, name, caches, its.values(), cached)
                    views = contents_of(caches, its)
                    file = space.results_file(spec.name, name)
                    _check_results(file, spec.name, str(name), save_scores)
                    pretext = _pretext(space, name, caches)
                    now = provenance_of(spec, str(name), caches)
                    stay: list[Result] = []
                    if plain and (seeds > 1 or by_class) and not save_scores and file.exists():
                        stay = rows_to_keep(read_results(file), read_provenance(file), now, its, bank_rows, views)
                        if row_scores:
                            kept = kept_row_scores(space.kept_scores_file(name, spec.name), owner_of(now))
                            stay = [row for row in stay if (row.score, row.params) in kept]
                    stay = [row for row in stay if row.pretext == pretext]
                    out += stay
                    done = {(row.score, row.params) for row in stay}
                    if done:
                        count = len({score for score, _ in done})
                        report(
                            f"{name} on {spec.name}: kept the results of {many(count, 'score')} without a random part"
                        )
                    brought = imported_scores(space, name, caches, imported, report)
                    its = {**(its if has_features(caches.train.provenance) else {}), **brought}
                    if not its:
                        featureless[str(name)] = None
                        report(f"skip {name} on {spec.name}: {NO_FEATURES}")
                    todo = {label: one for label, one in its.items() if (score_of(label), one.describe()) not in done}
                    ood_val = open_ood_val(space, name, spec, caches) if tune else {}
                    along = list(caches.train.views)
                    ood_val = {dataset: read_along(space, name, one, along) for dataset, one in ood_val.items()}
                    bars = Progress(f"{name} on {spec.name}", progress)
                    if todo:
                        bars.begins(f"scoring, {many(len(todo), 'score')}")
                    about: dict[str, Any] = {
                        "model": str(name),
                        "pretext": pretext,
                        "progress": bars,
                        "timed": row_scores,
                    }
                    for ended in runs(plan, spec, caches, todo, ood_val, **about, **how) if todo else ():
                        _write(file, now, caches, ended, seeds, save_scores, report)
                        if row_scores:
                            _keep(space.kept_scores_file(name, spec.name), now, caches, ended, report)
                        elif any(map(reads_views, ended.scores.values())):
                            drop_kept(space.kept_scores_file(name, spec.name), ended.scores, report)
                        out += ended.run.rows
                        report(_describe(str(name), spec.name, ended))
                        for hint in ended.run.hints:
                            report(f"note: {name} on {spec.name}: {hint}; see 'labels' in docs/files.md")
                    if todo and caches.joined is not None:
                        unnamed |= dict.fromkeys(caches.joined.unnamed)
                    if by_class:
                        write_class_results(space, spec.name, name, report)
            except (CacheError, ModelError, ResultsError) as error:  # the others are not to blame
                faults.append(error)
                report(f"cannot score {name} on {spec.name}: {error.what}")
    if left_out:
        report(_without(left_out))
    by_number = unnamed_note(unnamed)
    if by_number:
        report(f"note: {by_number}")
    if faults:
        raise faults[0]
    if not out and featureless:
        raise CacheError(
            f"nothing of {', '.join(featureless)} can be scored: {NO_FEATURES}",
            file=space.cache_dir,
            fix="--score NAME, or leave --score out for all that was imported",
        )
    if not out:
        wanted = f"of {', '.join(benchmark)}" if benchmark else "of any benchmark"
        raise CacheError(
            f"there are no caches {wanted} that could be scored",
            file=space.cache_dir,
            fix="run moodbench extract --model M (or moodbench import) for ID train, ID test and an OOD dataset first",
        )
    return out


def _without(lacking: Mapping[str, str]) -> str:
    """Return the line on scores that `score --all` leaves out: what they read of a model besides is not there."""
    why: dict[str, list[str]] = {}
    for name, lack in lacking.items():
        why.setdefault(lack, []).append(name)
    said = "; ".join(f"{', '.join(names)} ({lack})" for lack, names in why.items())
    return f"left out {many(len(lacking), 'score')} where a model lacks what they read besides: {said}"


def _with_validation(benchmarks: Sequence[BenchmarkSpec], *, asked: bool) -> list[BenchmarkSpec]:
    """Return the benchmarks that have OOD validation sets; one that was asked for and has none is an error."""
    without = [spec.name for spec in benchmarks if not spec.ood_val]
    if without and asked:
        raise UsageError(
            f"the benchmark '{without[0]}' names no OOD images to choose parameters on",
            fix="name a dataset in the catalogue:  ood_val: my_outliers  (its test sets are never used for that)",
        )
    return [spec for spec in benchmarks if spec.ood_val]


def _models(space: Workspace, names: Sequence[str], head: str | None, layers: bool, report: Report) -> list[ModelName]:
    cached = space.cached_models()
    models = space.chosen_models(names, layers=layers)
    left_out = [] if names or layers else space.cached_layers()
    if left_out:
        of = len({one.whole for one in left_out})
        report(
            f"left out {many(len(left_out), 'layer')} of {many(of, 'model')}: "
            f"--layers takes them along, --model {left_out[0]} takes one"
        )
    if head is None:
        return models
    if any(model.head is not None for model in models):
        raise UsageError("a model is named with a head, and --head names another")
    with_head = [replace(model, head=head) for model in models]
    if names:
        return with_head
    there = [model for model in with_head if space.head_file(model).exists()]
    if cached and not there:
        known = {file.stem for model in cached for file in space.other_heads(model)}
        fix = f"train it: moodbench probe --all-models --name {head} (with --benchmark B where several could be meant)"
        raise UnknownNameError("cached head", head, known, fix=fix)
    return there


def _pretext(space: Workspace, name: ModelName, caches: Caches) -> str:
    if name.base in space.catalog.models:
        return space.catalog.models[name.base].pretext
    return str(caches.train.provenance.get("pretext") or "unspecified")


def _write(
    file: Path, made_from: Mapping[str, Any], caches: Caches, ended: Done, seeds: int, save_scores: bool, report: Report
) -> None:
    from moodbench.evaluation.beside import contents_of
    from moodbench.evaluation.imported import noted_imported
    from moodbench.evaluation.provenance import described, made_with, views_noted

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
            from moodbench.evaluation.saved import owner_of, save_row_scores

            owner = owner_of(provenance)
            save_row_scores(row_scores_file(file), owner, caches, ended.scores, scored.values, report)
        there.write(scored.rows, provenance, keep=keep)


def _keep(file: Path, made_from: Mapping[str, Any], caches: Caches, ended: Done, report: Report) -> None:
    """Keep row scores and times among the caches; where that is refused, say so: the results are there."""
    from moodbench.evaluation.saved import keep_row_scores, owner_of
    from moodbench.features.times import times_file, write_times
    from moodbench.scores.machinery.variants import score_of

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
        from moodbench.evaluation.saved import read_saved

        read_saved(row_scores_file(file), benchmark, model)


def _describe(model: str, benchmark: str, ended: Done) -> str:
    scored = ended.run
    valued = {(row.score, row.params) for row in scored.rows if row.auroc is not None}
    scores = {score for score, _ in valued}
    empty = {(row.score, row.params): row.note for row in scored.rows if row.auroc is None}
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
    if empty:
        variants = Counter(score for score, _ in {(row.score, row.params) for row in scored.rows})
        named = {pair: pair[0] if variants[pair[0]] == 1 else " ".join(pair) for pair in empty}
        text += "; left empty: " + ", ".join(f"{named[pair]} ({note})" for pair, note in empty.items())
    return text
