"""Every cached model × every score × every benchmark whose caches are there → results."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_names
from moodbench.catalog import BenchmarkSpec
from moodbench.catalog.benchmark import ONE_CLASS, STANDARD
from moodbench.classes import unnamed_note
from moodbench.errors import (
    CacheError,
    CacheMismatchError,
    ModelError,
    MoodbenchError,
    ResultsError,
    UnknownNameError,
    UsageError,
)
from moodbench.metrics import METRICS
from moodbench.results import changing, check_results, row_scores_file
from moodbench.sizes import percent
from moodbench.types import Report, Result
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from moodbench.evaluation.caches import Caches
    from moodbench.evaluation.protocols import ScoreRun
    from moodbench.features.rowscores import RowScores
    from moodbench.scores.base import Score

Params = Mapping[str, Mapping[str, Any]]


def score(
    *,
    model: str | Sequence[str] = (),
    score: str | Sequence[str] = (),
    benchmark: str | Sequence[str] = (),
    params: Params | None = None,
    head: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    bank_rows: int | None = None,
    save_scores: bool = False,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> list[Result]:
    """Fit and run scores over the caches, and write ``<results-dir>/<benchmark>/<model>.csv`` and ``.json``.

    Parameters
    ----------
    model, score, benchmark : str or sequence of str
        What to run; an empty one means all: every cached model, every registered score, every benchmark whose caches
        are there.
    params : mapping of score to parameters, optional
        Parameters changed from their defaults.
    head : str, optional
        Use this head (``heads/<name>.h5``) instead of the models' own; results are those of the model ``MODEL+NAME``.
        Without `model`: of every cached model that has it.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int, optional
        CPU threads.
    bank_rows : int, optional
        Let scores with a memory bank compare with this many ID train rows, spread evenly, instead of all. Their results
        say so.
    save_scores : bool
        Also write the score of every row to ``<model>.scores.h5``.
    report : callable
        Is told, line by line, what is done, skipped and left out.
    progress : bool
        Show bars on stderr if that is a terminal.

    Returns
    -------
    list of Result
        The rows written.

    Raises
    ------
    UnknownNameError, UsageError
        A name is unknown, or a parameter does not exist.
    CacheError
        Nothing is cached that could be scored, or a cache is damaged.
    ResultsError
        Results that are there are damaged, and would be lost if written anew; or the folder cannot be written.
        The other models are scored before this or a `CacheError` is raised.
    """
    space = workspace or Workspace()
    model, score, benchmark = as_names(model), as_names(score), as_names(benchmark)
    scores = _scores(score, params or {})
    models = _models(space, model, head)
    benchmarks = [space.catalog.benchmark(name) for name in benchmark] or list(space.catalog.benchmarks.values())
    from moodbench.devices import check_threads, resolve_device
    from moodbench.evaluation.run import score_caches
    from moodbench.progress import Progress

    place = resolve_device(device)
    check_threads(threads)
    if bank_rows is not None and bank_rows < 1:
        raise UsageError(f"the number of bank rows must be at least 1, got {bank_rows}")
    how: dict[str, Any] = {"device": place, "threads": threads, "bank_rows": bank_rows}
    out: list[Result] = []
    unnamed: dict[str, None] = {}
    faults: list[MoodbenchError] = []
    for spec in benchmarks:
        for name in models:
            try:
                caches = _open(space, name, spec, asked=bool(benchmark), report=report)
                if caches is not None:
                    _check_results(space.results_file(spec.name, name), spec.name, str(name), save_scores)
                    # a fitted score keeps what it has learned: every model gets fresh ones
                    fresh = copy.deepcopy(scores)
                    pretext = _pretext(space, name, caches)
                    bars = Progress(f"{name} on {spec.name}", progress)
                    scored = score_caches(spec, caches, fresh, model=str(name), pretext=pretext, progress=bars, **how)
                    _write(space, spec, name, caches, scored, save_scores, report)
                    out += scored.rows
                    report(_describe(str(name), spec.name, scored))
                    for hint in scored.hints:
                        report(f"note: {name} on {spec.name}: {hint}; see 'labels' in docs/files.md")
                    if caches.joined is not None:
                        unnamed |= dict.fromkeys(caches.joined.unnamed)
            except (CacheError, ModelError, ResultsError) as error:  # the others are not to blame
                faults.append(error)
                report(f"cannot score {name} on {spec.name}: {error.what}")
    by_number = unnamed_note(unnamed)
    if by_number:
        report(f"note: {by_number}")
    if faults:
        raise faults[0]
    if not out:
        wanted = f"of {', '.join(benchmark)}" if benchmark else "of any benchmark"
        raise CacheError(
            f"there are no caches {wanted} that could be scored",
            file=space.cache_dir,
            fix="run moodbench extract --model M (or moodbench import) for ID train, ID test and an OOD dataset first",
        )
    return out


def _scores(names: Sequence[str], params: Params) -> dict[str, Score]:
    from moodbench.scores.base import SCORES, create_score, display_order

    chosen = display_order(dict.fromkeys(names) or SCORES)
    for name in params:
        SCORES.get(name)
        if name not in chosen:
            raise UsageError(f"there are parameters for the score '{name}', which is not run")
    return {name: create_score(name, params.get(name)) for name in chosen}


def _models(space: Workspace, names: Sequence[str], head: str | None) -> list[ModelName]:
    cached = space.cached_models()
    if names:
        models = [ModelName.parse(name) for name in names]
        for model in models:
            if ModelName(model.base, model.variant) not in cached:
                raise UnknownNameError("cached model", str(model), map(str, cached), fix="extract or import it first")
    else:
        models = cached
    if head is None:
        return models
    if any(model.head is not None for model in models):
        raise UsageError("a model is named with a head, and --head names another")
    with_head = [ModelName(model.base, model.variant, head) for model in models]
    if names:
        return with_head
    there = [model for model in with_head if space.head_file(model).exists()]
    if cached and not there:
        known = {file.stem for model in cached for file in space.other_heads(model)}
        raise UnknownNameError("cached head", head, known, fix=f"train it: moodbench probe --all-models --name {head}")
    return there


def _open(space: Workspace, name: ModelName, spec: BenchmarkSpec, *, asked: bool, report: Report) -> Caches | None:
    """Open what is cached of (model, benchmark); None, and a word about it, if that is not enough to score."""
    cached = space.cached_datasets(name)
    if not set(spec.datasets) & set(cached):
        if asked:
            report(f"skip {name} on {spec.name}: nothing of it is cached")
        return None
    from moodbench.evaluation.caches import open_caches
    from moodbench.features.cache import FeatureCache

    files: dict[str, Path] = {}
    for dataset in spec.datasets:
        if dataset in cached:
            file = space.cache_file(name, dataset)
            with FeatureCache(file) as cache:
                if cache.complete:
                    files[dataset] = file
                else:
                    report(f"leave out {name} on {dataset}: its cache is incomplete, run moodbench extract again")
    needed = [d for d in spec.needed if d not in files]
    if needed:
        report(f"skip {name} on {spec.name}: no cache of {', '.join(needed)}")
        return None
    absent = [d for d in spec.ood_datasets if d not in files]
    if len(absent) == len(spec.ood_datasets):
        report(f"skip {name} on {spec.name}: no cache of an OOD dataset ({', '.join(absent)})")
        return None
    if absent:
        report(f"{name} on {spec.name}: no cache of {', '.join(absent)}; means that need them stay empty")
    head = space.head_file(name)
    if name.head is not None and not head.exists():
        raise CacheError(
            f"the model '{name}' has no such head", file=head, fix="a head file holds 'weight' (C, D) and 'bias' (C,)"
        )
    caches = open_caches(files, spec, head, own_head=name.head is None)
    if name.head is not None:
        _check_head(head, name, spec, caches)
    return caches


def _check_head(file: Path, name: ModelName, spec: BenchmarkSpec, caches: Caches) -> None:
    """Refuse a head that `moodbench probe` trained on other features of the same ID train dataset."""
    from moodbench.features.heads import head_provenance

    made_from = head_provenance(file).get("inputs", {})
    model = ModelName(name.base, name.variant)
    if made_from.get("id_train") == spec.id_train and made_from.get("features") != caches.train.fingerprint:
        raise CacheMismatchError(
            f"the head '{name.head}' was trained on other features of {spec.id_train} than are cached now",
            file=file,
            fix=f"train it again: moodbench probe --model {model} --name {name.head} --force",
        )


def _pretext(space: Workspace, name: ModelName, caches: Caches) -> str:
    if name.base in space.catalog.models:
        return space.catalog.models[name.base].pretext
    return str(caches.train.provenance.get("pretext") or "unspecified")


def _write(
    space: Workspace,
    spec: BenchmarkSpec,
    name: ModelName,
    caches: Caches,
    scored: ScoreRun,
    save_scores: bool,
    report: Report,
) -> None:
    file = space.results_file(spec.name, name)
    provenance = _provenance(spec, name, caches)

    def waiting() -> None:
        report(f"{file}: another process is writing it: waiting")

    with changing(file, waiting=waiting) as there:
        before = there.provenance or {}
        keep = before.get("inputs") == provenance["inputs"]
        if there.rows and not keep:
            report(f"{file}: made from other caches; its rows are dropped")
        provenance["scores"] = _described(scored.rows, before.get("scores", {}) if keep else {})
        provenance["made_with"] = _made_with(scored.rows, provenance, there.rows if keep else [], before)
        if save_scores:
            owner = {key: provenance[key] for key in ("benchmark", "model", "inputs")}
            _save_row_scores(row_scores_file(file), owner, caches, scored, report)
        there.write(scored.rows, provenance, keep=keep)


def _check_results(file: Path, benchmark: str, model: str, save_scores: bool) -> None:
    """Raise now, and not after the work, if what is there cannot be read or is of others: it is never overwritten."""
    check_results(file, benchmark, model)
    if save_scores and row_scores_file(file).exists():
        _row_scores(row_scores_file(file), benchmark, model)


def _row_scores(file: Path, benchmark: str, model: str) -> RowScores | None:
    """Read row scores; raise a `ResultsError` if they are of another model or benchmark."""
    from moodbench.features.rowscores import read_row_scores

    there = read_row_scores(file)
    whose = None if there is None else (there.owner.get("benchmark"), there.owner.get("model"))
    if whose not in (None, (benchmark, model)):
        raise ResultsError(
            f"the file holds row scores of '{whose[1]}' on '{whose[0]}'", file=file, fix="move it to where it belongs"
        )
    return there


def _save_row_scores(file: Path, owner: Mapping[str, Any], caches: Caches, scored: ScoreRun, report: Report) -> None:
    """Add the scores of every row to those that were made from the same; others are dropped."""
    from moodbench.features.rowscores import RowScores, write_row_scores
    from moodbench.scores.base import create_score

    there = _row_scores(file, owner["benchmark"], owner["model"]) if file.exists() else None
    if there is None or there.owner != owner:
        if file.exists():
            report(f"{file}: made from other caches; its scores are dropped")
        there = RowScores(owner)
    params = {row.score: row.params for row in scored.rows}
    defaults = {score: create_score(score).describe() for score in params}
    ids = {dataset: reader.ids for dataset, reader in (*caches.test.items(), *caches.ood.items())}
    for (dataset, score), values in scored.values.items():
        there.put(
            dataset,
            ids[dataset.rpartition("/")[2]],  # of a benchmark with one ID class at a time: class/dataset
            values,
            score=score,
            params=params[score],
            default=defaults[score],
        )
    write_row_scores(file, there)


def _provenance(spec: BenchmarkSpec, name: ModelName, caches: Caches) -> dict[str, Any]:
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
        inputs["head"] = _digest(caches)
    joined = caches.joined
    known = None if joined is None or joined.train.names is None else list(joined.train.names)
    return {
        "moodbench": version("moodbench"),
        "benchmark": spec.name,
        "model": str(name),
        "inputs": inputs,
        "classes": known,
        "datasets": datasets,
        "metrics": {name: metric.convention for name, metric in METRICS.items() if metric.convention},
        "intervals": "95 %, DeLong's variance and half an unseen row, inverted as Wilson does; ID rows are shared",
        "versions": {package: version(package) for package in ("numpy", "scipy", "torch")},
    }


def _described(rows: Sequence[Result], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return title, paper and year of every score in the file, so that tables need not load the scores themselves."""
    from moodbench.scores.base import SCORES

    names = dict.fromkeys(row.score for row in rows)
    new = {n: {"title": SCORES.get(n).title, "paper": SCORES.get(n).paper, "year": SCORES.get(n).year} for n in names}
    return {**before, **new}


def _made_with(
    rows: Sequence[Result], provenance: Mapping[str, Any], kept: Sequence[Result], before: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the versions that rows were made with → which rows; those that are kept keep theirs."""

    def versions(noted: Mapping[str, Any]) -> str:
        packages = {"moodbench": noted.get("moodbench", "of an unknown version"), **noted.get("versions", {})}
        return ", ".join(f"{package} {number}" for package, number in packages.items())

    def key(row: Result) -> str:
        return f"{row.score} {row.params}".strip()

    noted = {name: made for made, names in before.get("made_with", {}).items() for name in names}
    made = {key(row): noted.get(key(row), versions(before)) for row in kept}
    made |= {key(row): versions(provenance) for row in rows}
    return {each: sorted(name for name, its in made.items() if its == each) for each in sorted({*made.values()})}


def _digest(caches: Caches) -> str:
    assert caches.head is not None
    names = "\0".join(caches.head.class_names or ()).encode("utf-8", "surrogateescape")
    return hashlib.sha256(caches.head.weight.tobytes() + caches.head.bias.tobytes() + names).hexdigest()


def _describe(model: str, benchmark: str, scored: ScoreRun) -> str:
    scores = {row.score for row in scored.rows if row.auroc is not None}
    empty = {row.score: row.note for row in scored.rows if row.auroc is None}
    text = f"scored {model} on {benchmark}: {len(scores)} scores"
    accuracy = scored.rows[0].id_accuracy if scored.rows else None
    if accuracy is not None:
        text += f", ID accuracy {percent(accuracy)}"
    if empty:
        text += "; left empty: " + ", ".join(f"{name} ({note})" for name, note in empty.items())
    return text
