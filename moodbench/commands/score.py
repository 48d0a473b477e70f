"""Every cached model × every score × every benchmark whose caches are there → results."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from moodbench.arguments import as_names, check_params, check_whole
from moodbench.catalog import BenchmarkSpec
from moodbench.classes import unnamed_note
from moodbench.cluster import check_engine
from moodbench.errors import (
    CacheError,
    ModelError,
    MoodbenchError,
    ResultsError,
    ScoreError,
    UnknownNameError,
    UsageError,
)
from moodbench.results.files import check_results_dir
from moodbench.sizes import many
from moodbench.tables.notebooks import Records
from moodbench.types import Report, Result
from moodbench.workspace import ModelName, Workspace, as_workspace

Params = Mapping[str, Mapping[str, Any]]

OWN = "own"
"""What ``table --head`` and studies call the models' own head, which is the default here."""

SHOWN = ("benchmark", "model", "score", "params", "ood", "group", "auroc", "fpr95", "n_id", "n_ood", "note")
"""Of a result in a notebook; it has many metrics more."""


def score(
    model: str | Sequence[str] = (),
    *,
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
    missing: bool = False,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> Records[Result]:
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
        ``own`` is the models' own. Without `model`: of every cached model that has it.
    layers : bool
        Also run over the cached layers of these models (``MODEL@layer-NAME``). They have no logits: scores that need
        some have empty cells, unless `head` names one that was trained on that layer (`probe`).
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int, optional
        CPU threads; of each worker, where there are such.
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
    missing : bool
        Run only what results lack: rows that are there from the same caches, parameters, seeds and versions stay, also
        empty ones that say why. Scores that were imported, or that are not moodbench's own, are run all the same.
    engine : str
        ``local``, or ``ray``: rows are worked on in the processes of a Ray cluster, with the same results to the
        rounding of float32. It needs the extra ``ray``.
    address : str, optional
        ``auto`` or ``HOST:PORT`` of the Ray cluster. By default one is started on this machine, and ended.
    workers : int, optional
        Workers of the cluster that run at once; by default as many as have room.
    report : callable
        Is told, line by line, what is done, skipped and left out.
    progress : bool
        Show bars on stderr if that is a terminal.

    Returns
    -------
    list of Result
        The rows written, and those that stayed for `seeds`, `by_class` or `missing`.

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
    check_whole(optional=True, threads=threads, bank_rows=bank_rows, workers=workers)
    for of in (params, *(params.values() if isinstance(params, Mapping) else ())):
        check_params(of, '{"knn": {"k": 10}}')
    check_engine(engine, address, workers)
    space = as_workspace(workspace)
    model, score, benchmark = as_names(model), as_names(score), as_names(benchmark)
    loose: Any = label_noise  # a text is one wrong share, not several
    shares = tuple(loose) if isinstance(loose, Iterable) and not isinstance(loose, str) else (loose,)
    check_results_dir(space.results_dir)
    models = _models(space, model, head, layers, report)
    benchmarks = [space.catalog.benchmark(name) for name in benchmark] or list(space.catalog.benchmarks.values())
    from moodbench.devices import check_threads, resolve_device
    from moodbench.evaluation.imported import chosen_scores
    from moodbench.evaluation.members import check_members
    from moodbench.evaluation.one_model import ModelRuns
    from moodbench.evaluation.seeds import check_seeds
    from moodbench.evaluation.ways import make_plan
    from moodbench.scores.base import display_order

    computed, imported = chosen_scores(space, models, score, plain=not (tune or shares))
    names = display_order(computed)
    plan = make_plan(names, params or {}, label_noise=shares, tune=tune, named=bool(score), report=report)
    check_members(space, plan.scores.values())
    benchmarks = _with_validation(benchmarks, asked=bool(benchmark)) if tune else benchmarks
    place = resolve_device(device)
    check_threads(threads)
    if bank_rows is not None and bank_rows < 1:
        raise UsageError(
            f"the number of bank rows must be at least 1, got {bank_rows}",
            fix="--bank-rows 10000, or none of it for all rows",
        )
    check_seeds(seeds, plan.scores)
    if by_class and not row_scores:
        raise UsageError("results by class are made from row scores, and none are to be kept")
    elsewhere = None
    if engine == "ray":
        from moodbench.evaluation.remote.on_ray import OnRay

        elsewhere = OnRay(address, workers, threads, place)
    each = ModelRuns(
        space,
        plan,
        imported,
        {"device": place, "threads": threads, "bank_rows": bank_rows, "seeds": seeds, "elsewhere": elsewhere},
        named_scores=bool(score),
        named_benchmarks=bool(benchmark),
        tune=tune,
        save_scores=save_scores,
        row_scores=row_scores,
        by_class=by_class,
        report=report,
        progress=progress,
        missing=missing,
    )
    out: list[Result] = []
    faults: list[MoodbenchError] = []
    with contextlib.nullcontext() if elsewhere is None else elsewhere:
        for spec in benchmarks:
            for name in models:
                try:
                    out += each.run(name, spec)
                except (CacheError, ModelError, ResultsError) as error:  # the others are not to blame
                    faults.append(error)
                    report(f"cannot score {name} on {spec.name}: {error.what}")
    for line in each.of_layers.lines():
        report(line)
    if each.left_out:
        report(_without(each.left_out))
    by_number = unnamed_note(each.unnamed)
    if by_number:
        report(f"note: {by_number}")
    if faults:
        raise faults[0]
    if not out and each.nothing:
        why = dict.fromkeys(each.nothing.values())
        raise CacheError(
            f"nothing of {', '.join(each.nothing)} can be scored: {'; '.join(why)}",
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
    return Records(out, SHOWN)


def all_empty(rows: Sequence[Result]) -> ScoreError | None:
    """Return the error that says why, if none of these rows of named scores has a number."""
    if not rows or any(row.auroc is not None for row in rows):
        return None
    why: dict[str, dict[str, None]] = {}
    for row in rows:
        why.setdefault(row.note or "no number was recorded", {})[row.score] = None
    said = "; ".join(f"{', '.join(scores)} ({note})" for note, scores in why.items())
    return ScoreError(
        f"no number came of the scores that are named: {said}",
        fix="give them what they lack; their cells are empty in the results, with this reason",
    )


def _without(lacking: Mapping[str, str]) -> str:
    """Return the lines on scores that `score --all` leaves out: what they read of a model besides is not there.

    Reasons that differ in nothing but a name that they quote share a line; the name is said where it is no score's.
    """
    alike: dict[str, list[tuple[str, str, str]]] = {}
    for score, lack in lacking.items():
        quoted = re.search("'([^']+)'", lack)
        name = score if quoted is None else quoted[1]
        pattern = lack if quoted is None else re.sub(rf"\b{re.escape(name)}\b", "NAME", lack)
        alike.setdefault(pattern, []).append((score, name, lack))
    lines = [f"left out {many(len(lacking), 'score')} where a model lacks what they read besides:"]
    for pattern, of in alike.items():
        if len({lack for *_, lack in of}) == 1:
            why, names = of[0][-1], [score for score, *_ in of]
        else:
            why, names = pattern, [score if score == name else f"{score} ({name})" for score, name, _ in of]
        lines.append(f"  {why}: {', '.join(names)}")
    return "\n".join(lines)


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
    if head == OWN and not any(space.head_file(replace(model, head=head)).exists() for model in cached):
        head = None
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
    there = [model for model in with_head if space.head_file(model).exists()]
    if cached and not there:
        known = {file.stem for model in (models if names else cached) for file in space.other_heads(model)}
        which = f"--model {models[0]}" if names else "--all-models"
        fix = f"train it: moodbench probe {which} --name {head} (with --benchmark B where several could be meant)"
        fix += "\nof texts, or of another program: moodbench head text, or moodbench head import"
        raise UnknownNameError("cached head", head, known, fix=fix)
    return with_head if names else there
