"""One model on one benchmark: which rows are ID and which OOD, scores → metrics → result rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.catalog import BenchmarkSpec
from moodbench.engine import BLOCK, Array, Caches, Engine, arithmetic
from moodbench.features.reader import RowReader
from moodbench.measure import ResultRows
from moodbench.metrics import Comparison, Ranked
from moodbench.progress import SILENT, Progress
from moodbench.scores.base import Score
from moodbench.types import Result


@dataclass
class Scored:
    """What scoring one model on one benchmark gave.

    Attributes
    ----------
    rows : list of Result
    values : mapping (dataset, score) → (N,) float64, of the rows that are done
    """

    rows: list[Result] = field(default_factory=list)
    values: dict[tuple[str, str], Array] = field(default_factory=dict)


def score_caches(
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    *,
    model: str = "",
    pretext: str = "unspecified",
    device: torch.device | None = None,
    threads: int | None = None,
    bank_rows: int | None = None,
    block: int = BLOCK,
    progress: Progress = SILENT,
) -> Scored:
    """Fit `scores` on ID train and measure them on every OOD dataset that `caches` has.

    Parameters
    ----------
    benchmark : BenchmarkSpec
        Groups the OOD datasets. Those that `caches` lacks get no row, and their groups no mean.
    caches : Caches
    scores : mapping of name to score
    model, pretext : str
        To write into the rows.
    device : torch.device, default=CPU
    threads : int, optional
        Of the CPU; by default torch's own choice.
    bank_rows : int, optional
        Thin out the memory bank to this many ID train rows; by default it has all.
    progress : Progress
        Shows how far it is.

    Returns
    -------
    Scored
        A score that lacks something has rows without numbers and a note that says what.
    """
    place = device or torch.device("cpu")
    make = partial(Engine, device=place, block=block, bank_rows=bank_rows, progress=progress)
    rows = partial(ResultRows, model=model, pretext=pretext, remarks=_remarks(caches))
    with arithmetic(threads), torch.inference_mode():
        if benchmark.each:
            return _one_class(benchmark, caches, scores, make, rows)
        return _all_classes(benchmark, caches, scores, make, rows)


def _all_classes(
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    make: Callable[[Caches], Engine],
    rows: Callable[..., ResultRows],
) -> Scored:
    """Fit once; ID test rows (those of `benchmark.classes`) against every OOD dataset."""
    engine = make(caches.fit_on(benchmark.classes))
    values, missing = engine.run(scores)
    is_id = {name: _has_label(reader, benchmark.classes) for name, reader in caches.test.items()}
    is_ood = {name: ~is_id[name] if name in is_id else slice(None) for name in caches.ood}
    n_id = sum(int(one.sum()) for one in is_id.values())
    n_ood = {name: len(reader.labels[is_ood[name]]) for name, reader in caches.ood.items()}
    made = rows(benchmark, dict.fromkeys(n_ood, n_id), n_ood, engine.correct(is_id))
    out = Scored(values=values)
    for name, score in scores.items():
        if name in missing:
            out.rows += made.empty(name, score, missing[name])
        else:
            id_scores = np.concatenate([values[test, name][is_id[test]] for test in caches.test])
            ood_scores = {ood: values[ood, name][is_ood[ood]] for ood in caches.ood}
            out.rows += made.measured(name, score, id_scores, ood_scores)
    return out


def _one_class(
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    make: Callable[[Caches], Engine],
    rows: Callable[..., ResultRows],
) -> Scored:
    """Fit once for each class: its rows of ID test against all the others. The class stands in the OOD column."""
    (test,) = caches.test
    reader = caches.test[test]
    against: dict[str, dict[str, Comparison]] = {name: {} for name in scores}
    empty: dict[str, str] = {}
    fitted: dict[str, Score] = {}
    out = Scored()
    for class_name, label in benchmark.each.items():
        fitted = copy.deepcopy(dict(scores))
        values, missing = make(caches.fit_on([label])).run(fitted)
        out.values |= {(f"{class_name}/{dataset}", name): array for (dataset, name), array in values.items()}
        empty |= {name: f"class {class_name}: {why}" for name, why in missing.items() if name not in empty}
        is_id = _has_label(reader, [label])
        for name in fitted.keys() - missing.keys():
            array = values[test, name]
            against[name][class_name] = Ranked(array[is_id]).against(array[~is_id])
    n_id = {name: int((reader.labels == label).sum()) for name, label in benchmark.each.items()}
    n_ood = {name: reader.rows - count for name, count in n_id.items()}
    (group,) = benchmark.ood
    each = replace(benchmark, ood={group: tuple(benchmark.each)})
    remarks = [*_remarks(caches), "each class in turn is ID, and the others are OOD"]
    made = rows(each, n_id, n_ood, same_id=False, remarks=remarks)
    for name, score in fitted.items():
        if name in empty:
            out.rows += made.empty(name, score, empty[name])
        else:
            out.rows += made.compared(name, score, against[name])
    return out


def _has_label(reader: RowReader, labels: Iterable[int]) -> NDArray[np.bool_]:
    """Say of every row whether its label is one of `labels`; of none at all, True everywhere."""
    wanted = list(labels)
    return np.isin(reader.labels, wanted) if wanted else np.ones(reader.rows, dtype=np.bool_)


def _remarks(caches: Caches) -> list[str]:
    """What everybody who reads a number of these caches should know."""
    limits = sorted({reader.limit for reader in caches.readers.values() if reader.limit is not None})
    skipped = sum(reader.skipped for reader in caches.readers.values())
    remarks = [f"trial: --limit {', '.join(map(str, limits))}"] if limits else []
    return remarks + ([f"{skipped} undecodable images left out"] if skipped else [])
