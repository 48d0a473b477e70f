"""One model on one benchmark: which rows are ID and which OOD, scores → metrics → result rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from moodbench.catalog import BenchmarkSpec
from moodbench.catalog.benchmark import MODEL_SCOPE, ONE_CLASS, STANDARD
from moodbench.classes import Classes
from moodbench.errors import CacheError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.engine import Engine
from moodbench.evaluation.measure import ResultRows
from moodbench.evaluation.pieces import Array
from moodbench.evaluation.streams import Streams, run_streams
from moodbench.features.reader import RowReader
from moodbench.features.rowscores import ID, NEITHER, OOD
from moodbench.ranking import Comparison, Ranking
from moodbench.registry import Registry
from moodbench.scores.base import Score
from moodbench.sizes import many
from moodbench.types import TRIAL, Result


@dataclass
class ScoreRun:
    """What scoring one model on one benchmark gave.

    Attributes
    ----------
    rows : list of Result
    values : mapping (dataset, score) → (N,) float64, of the rows that are done
    remarks : list of str
        Those that every row has.
    hints : list of str
        What to say to whoever asked for it: the labels seem to be in another order than the head's classes.
    sides : mapping of dataset to (N,) int8
        What each row counts as: `features.rowscores.ID`, `OOD` or `NEITHER`.
    streams : mapping (dataset, OOD dataset, score) → (N,) float64
        The numbers of transductive scores, which depend on the stream.
    """

    rows: list[Result] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    values: dict[tuple[str, str], Array] = field(default_factory=dict)
    sides: dict[str, NDArray[np.int8]] = field(default_factory=dict)
    streams: Streams = field(default_factory=dict)


Protocol = Callable[
    [BenchmarkSpec, Caches, Mapping[str, Score], Callable[[Caches], Engine], Callable[..., ResultRows]], ScoreRun
]
"""Takes the benchmark, the caches of one model, scores to be fitted, what makes an `Engine` of caches, and what makes
`ResultRows` of numbers of rows; says which rows are ID and which OOD, runs the scores and returns their rows."""

PROTOCOLS: Registry[Protocol] = Registry("protocol")


@PROTOCOLS.register(STANDARD)
def all_classes(
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    make: Callable[[Caches], Engine],
    rows: Callable[..., ResultRows],
) -> ScoreRun:
    """Fit once; ID test rows (those of `benchmark.classes`) against every OOD dataset."""
    about = _about_logits(caches)
    if benchmark.restrict_logits:
        caches, about = _restricted(caches, about)
    wanted = _joined(caches).numbers(benchmark.classes)
    engine = make(caches.fit_on(wanted))
    values, missing = engine.run(scores)
    is_id = {name: _has_label(reader, wanted) for name, reader in caches.test.items()}
    # a row without a label may be of any class: in a dataset that is both, it is neither
    is_ood = {
        name: ~is_id[name] & (r.labels >= 0) if name in is_id else np.ones(r.rows, bool)
        for name, r in caches.ood.items()
    }
    predictions = engine.predictions(is_id)
    hint = None if predictions is None else predictions.remark()
    unlabelled = sum(int((reader.labels < 0).sum()) for reader in caches.test.values()) if wanted else 0
    remarks = [*_remarks(caches, unlabelled), *([hint] if hint else [])]
    correct, confidence = (None, None) if predictions is None else (predictions.correct, predictions.confidence)
    made = partial(rows, benchmark, correct=correct, remarks=remarks, about_logits=about)
    out = _fitted_once(engine, scores, values, missing, is_id, is_ood, made, confidence=confidence, ranked=correct)
    return replace(out, remarks=remarks, hints=[hint] if hint else [])


@PROTOCOLS.register(MODEL_SCOPE)
def out_of_model_scope(
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    make: Callable[[Caches], Engine],
    rows: Callable[..., ResultRows],
) -> ScoreRun:
    """Fit once; what the model classifies correctly is in its scope, and what it gets wrong is out, as OOD images are.

    ID test may have covariate-shifted datasets: of each, correctly classified rows count as ID and the others as OOD
    of that name, where the benchmark names it among its OOD datasets too. Rows without a label are neither.

    References
    ----------
    Averly and Chao, Unified Out-Of-Distribution Detection: A Model-Specific Perspective, ICCV 2023. Guérin et al.,
    Out-Of-Distribution Detection Is Not All You Need, AAAI 2023, who call it out-of-model-scope.
    """
    about = _about_logits(caches)
    if benchmark.restrict_logits:
        caches, about = _restricted(caches, about)
    engine = make(caches)
    values, missing = engine.run(scores)
    known = {name: reader.labels >= 0 for name, reader in caches.test.items()}
    predictions = engine.predictions(known)
    is_id = {name: np.zeros(reader.rows, np.bool_) for name, reader in caches.test.items()}
    if predictions is None:
        why = "needs ID test rows with labels of the model's classes, to know which it classifies correctly"
        missing = dict.fromkeys(scores, why)
    else:
        ends = np.cumsum([int(one.sum()) for one in known.values()])[:-1]
        for name, right in zip(known, np.split(predictions.correct, ends), strict=True):
            is_id[name][known[name]] = right
    is_ood = {n: known[n] & ~is_id[n] if n in known else np.ones(r.rows, np.bool_) for n, r in caches.ood.items()}
    remarks = _remarks(caches, sum(int((~one).sum()) for one in known.values()))
    if predictions is not None:
        n_id = sum(int(one.sum()) for one in is_id.values())
        remarks.append(f"ID are the {n_id} of {len(predictions.labels)} ID test rows that are classified correctly")
    correct = None if predictions is None else predictions.correct
    made = partial(rows, benchmark, correct=correct, remarks=remarks, about_logits=about)
    emptied = dict.fromkeys(known, "every row of it is classified correctly")
    out = _fitted_once(engine, scores, values, missing, is_id, is_ood, made, emptied=emptied)
    return replace(out, remarks=remarks)


def _fitted_once(
    engine: Engine,
    scores: Mapping[str, Score],
    values: dict[tuple[str, str], Array],
    missing: dict[str, str],
    is_id: Mapping[str, NDArray[np.bool_]],
    is_ood: Mapping[str, NDArray[np.bool_]],
    rows: Callable[..., ResultRows],
    *,
    emptied: Mapping[str, str] | None = None,
    ranked: NDArray[np.bool_] | None = None,
    confidence: Array | None = None,
) -> ScoreRun:
    """Return the result rows, row scores and sides where the same ID rows stand against every OOD dataset.

    `rows` is told of how many rows a number is, `emptied` says why a dataset that has rows may have none that is OOD,
    `ranked` which ID rows are classified correctly, where failures are ranked too.
    """
    n_id, n_ood = sum(int(one.sum()) for one in is_id.values()), {n: int(one.sum()) for n, one in is_ood.items()}
    made = rows(n_id=dict.fromkeys(n_ood, n_id), n_ood=n_ood, about_bank=dict.fromkeys(n_ood, engine.thinned or ""))
    lacking = {ood: lack for ood, count in n_ood.items() if (lack := _too_few(n_id, count))}
    lacking |= {o: why for o, why in (emptied or {}).items() if o in lacking and n_id > 1 and not n_ood[o]}
    met = {ood: (ood, mask) for ood, mask in is_ood.items() if ood not in lacking}
    streams = run_streams(engine, scores, values, missing, is_id, met)
    found = _rows(made, scores, (values, streams), missing, lacking, is_id, is_ood, ranked, confidence, engine.absent)
    return ScoreRun(found, values=values, sides=_all_sides(engine.caches, is_id, is_ood), streams=streams)


def _rows(
    made: ResultRows,
    scores: Mapping[str, Score],
    values: tuple[Mapping[tuple[str, str], Array], Streams],
    missing: Mapping[str, str],
    lacking: Mapping[str, str],
    is_id: Mapping[str, NDArray[np.bool_]],
    is_ood: Mapping[str, NDArray[np.bool_]],
    correct: NDArray[np.bool_] | None = None,
    confidence: Array | None = None,
    absent: Mapping[tuple[str, str], str] | None = None,
) -> list[Result]:
    """Return the result rows of all scores: the same ID rows against the OOD rows of each dataset.

    `missing` says why a score has no values, `absent` why it has none of one OOD dataset, `lacking` why an OOD dataset
    has none of any score.
    """
    found: list[Result] = []
    everywhere = lacking
    for name, score in scores.items():
        if name in missing:
            found += made.empty(name, score, missing[name])
            continue
        lacking = {ood: why for (ood, one), why in (absent or {}).items() if one == name and ood in is_ood}
        lacking = {**lacking, **everywhere}
        notes = {ood: lacking.get(ood, score.said) for ood in is_ood} if lacking else None
        against: dict[str, Comparison] = {}
        ranked: Ranking | None = None
        for ood, chosen in is_ood.items():
            if ood in lacking:
                continue
            of = _of_stream(values[1], ood, name) if score.is_transductive() else _of_score(values[0], name)
            if ranked is None or score.is_transductive():
                id_values = np.concatenate([of[test][some] for test, some in is_id.items() if some.any()])
                ranked = Ranking(_nan_as(-np.inf, id_values), correct, np.isnan(id_values), confidence)
            against[ood] = ranked.against(_nan_as(np.inf, of[ood][chosen]))
        found += made.compared(name, score, against, notes)
    return found


def _of_score(values: Mapping[tuple[str, str], Array], name: str) -> dict[str, Array]:
    return {dataset: array for (dataset, one), array in values.items() if one == name}


def _of_stream(streams: Streams, ood: str, name: str) -> dict[str, Array]:
    return {dataset: array for (dataset, stream, one), array in streams.items() if (stream, one) == (ood, name)}


def _all_sides(
    caches: Caches, is_id: Mapping[str, NDArray[np.bool_]], is_ood: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.int8]]:
    """Return what each row of every test dataset counts as."""
    return {
        name: _sides(is_id.get(name, np.zeros(reader.rows, bool)), is_ood.get(name, np.zeros(reader.rows, bool)))
        for name, reader in {**caches.test, **caches.ood}.items()
    }


@PROTOCOLS.register(ONE_CLASS)
def one_class(
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    make: Callable[[Caches], Engine],
    rows: Callable[..., ResultRows],
) -> ScoreRun:
    """Fit once for each class: its rows of ID test against all the others. The class stands in the OOD column.

    A class that has too few rows leaves its cell empty, and with it the mean; the others keep theirs.
    """
    (test,) = caches.test
    reader = caches.test[test]
    of = dict(zip(benchmark.each, _joined(caches).numbers(benchmark.each.values()), strict=True))
    n_id = {name: int((reader.labels == label).sum()) for name, label in of.items()}
    n_ood = {name: int((reader.labels >= 0).sum()) - count for name, count in n_id.items()}
    against: dict[str, dict[str, Comparison]] = {name: {} for name in scores}
    notes: dict[str, dict[str, str]] = {name: {} for name in scores}
    bank: dict[str, str] = {}
    out = ScoreRun()
    for class_name, label in of.items():
        lack = _too_few(n_id[class_name], n_ood[class_name])
        if not (caches.train.labels == label).any():
            lack = "no ID train row of this class"
        fitted = copy.deepcopy(dict(scores))
        values: dict[tuple[str, str], Array] = {}
        missing = dict.fromkeys(scores, lack or "")
        if not lack:
            engine = make(caches.fit_on([label]))
            bank[class_name] = engine.thinned or ""
            values, missing = engine.run(fitted)
            met = {class_name: (test, (reader.labels != label) & (reader.labels >= 0))}
            streams = run_streams(engine, fitted, values, missing, {test: reader.labels == label}, met)
            values |= {(dataset, name): array for (dataset, _, name), array in streams.items()}
        out.values |= {(f"{class_name}/{dataset}", name): array for (dataset, name), array in values.items()}
        is_id, is_ood = reader.labels == label, (reader.labels != label) & (reader.labels >= 0)
        out.sides |= {f"{class_name}/{dataset}": _sides(is_id, is_ood) for dataset, _ in values}
        for name, score in fitted.items():
            notes[name][class_name] = missing.get(name) or score.said
            if name not in missing:
                array = values[test, name]
                against[name][class_name] = Ranking(_nan_as(-np.inf, array[is_id])).against(
                    _nan_as(np.inf, array[is_ood])
                )
    (group,) = benchmark.ood
    each = replace(benchmark, ood={group: tuple(benchmark.each)})
    remarks = [*_remarks(caches, reader.rows - int((reader.labels >= 0).sum()))]
    remarks.append("each class in turn is ID, and the others are OOD")
    out.remarks = remarks
    about = _about_logits(caches)
    made = rows(each, n_id, n_ood, same_id=False, remarks=remarks, about_logits=about, about_bank=bank)
    for name, score in scores.items():
        out.rows += made.compared(name, score, against[name], notes[name])
    return out


def fitted_on(benchmark: BenchmarkSpec, caches: Caches) -> Caches:
    """Return the caches with what a benchmark that is fitted once is fitted on: its classes, and their outputs."""
    if benchmark.restrict_logits:
        caches, _ = _restricted(caches, [])
    return caches.fit_on(_joined(caches).numbers(benchmark.classes))


def _sides(is_id: NDArray[np.bool_], is_ood: NDArray[np.bool_]) -> NDArray[np.int8]:
    return np.where(is_id, ID, np.where(is_ood, OOD, NEITHER)).astype(np.int8)


def _nan_as(value: float, scores: Array) -> Array:
    """Return scores with `value` for NaN: lowest for ID rows and highest for OOD rows, so that each is an error."""
    return np.where(np.isnan(scores), value, scores)


def _joined(caches: Caches) -> Classes:
    assert caches.joined is not None  # `score_caches` sees to it
    return caches.joined


def _restricted(caches: Caches, about: list[str]) -> tuple[Caches, list[str]]:
    """Return the caches with the head's outputs for the classes of ID train alone, and what to say of them."""
    joined = _joined(caches)
    if not joined.own or caches.classes is None:
        return caches, [*about, "the logits are not restricted, because the head's classes are others"]
    keep = joined.present
    if len(keep) < 2:
        raise CacheError("the logits cannot be restricted to less than two classes", file=caches.train.file)
    restricted = f"logits restricted to {len(keep)} of the head's {joined.head} classes"
    return caches.restricted(keep), [restricted]


def _too_few(n_id: int, n_ood: int) -> str | None:
    """Return why so many rows give no number; None if they do."""
    if n_id < 2:
        return f"{n_id or 'no'} ID test row{'' if n_id == 1 else 's'}, and two are needed"
    return None if n_ood else "no OOD row"


def _about_logits(caches: Caches) -> list[str]:
    """What everybody who reads a number made from logits should know."""
    joined = _joined(caches)
    return list(filter(None, [joined.head_remark(), joined.part_remark(), *caches.about_head]))


def _has_label(reader: RowReader, labels: Iterable[int]) -> NDArray[np.bool_]:
    """Say of every row whether its label is one of `labels`; of none at all, True everywhere."""
    wanted = list(labels)
    return np.isin(reader.labels, wanted) if wanted else np.ones(reader.rows, dtype=np.bool_)


def _remarks(caches: Caches, unlabelled: int = 0) -> list[str]:
    """What everybody who reads a number of these caches should know; `unlabelled` test rows are neither ID nor OOD."""
    limits = sorted({reader.limit for reader in caches.readers.values() if reader.limit is not None})
    skipped = sum(reader.skipped for reader in caches.readers.values())
    remarks = [f"{TRIAL}--limit {', '.join(map(str, limits))}"] if limits else []
    remarks += [f"{many(skipped, 'undecodable image')} left out"] if skipped else []
    return remarks + ([f"{many(unlabelled, 'ID test row')} without a label left out"] if unlabelled else [])
