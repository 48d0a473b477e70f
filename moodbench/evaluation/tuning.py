"""Parameters chosen on validation sets: fitted as ever, compared on ID and OOD rows that no result is made from.

ID validation rows are those of the benchmark's `id_val`; without one, every tenth row of ID train, which the candidates
are then not fitted on. OOD validation rows are those of its `ood_val`. The parameters with the highest mean AUROC
between them win; of equals the defaults, then the first. This is how OpenOOD v1.5 chooses (Zhang et al., 2023, arXiv
2306.09301, its mode "APS").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from moodbench.catalog import BenchmarkSpec
from moodbench.errors import CacheError, CacheMismatchError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.protocols import ScoreRun
from moodbench.evaluation.run import score_caches
from moodbench.features.reader import RowReader
from moodbench.scores.base import Score, create_score
from moodbench.scores.block import HELD_OUT
from moodbench.scores.machinery.variants import Candidates, score_of
from moodbench.types import ALL_GROUPS, MEAN, Result

GROUP = "validation"
MOST_TWINS = 0.01
"""Share of validation rows that may look like a test row to a model, under another name: pictures occur twice."""

SHOWN = 3
LOOKED = 8192
"""Rows that are read at once to look for twins."""


@dataclass(frozen=True)
class Validation:
    """What parameters are chosen on, for one model.

    Attributes
    ----------
    benchmark : BenchmarkSpec
        The validation sets in the place of the test sets.
    caches : Caches
        Likewise.
    of_id : str
        What the ID validation rows are.
    """

    benchmark: BenchmarkSpec
    caches: Caches
    of_id: str

    @property
    def remark(self) -> str:
        """What tables say of every number with such parameters."""
        against = ", ".join(self.benchmark.ood_datasets)
        return f"tuned: the parameters with the highest AUROC of {self.of_id} against {against}, no test rows"

    @property
    def made_from(self) -> dict[str, Any]:
        """What the choice depends on, for the provenance."""
        readers = {**self.caches.test, **self.caches.ood}
        return {"id_val": self.of_id, "ood_val": {n: readers[n].fingerprint for n in self.benchmark.ood_datasets}}


@dataclass(frozen=True)
class Choice:
    """What was chosen for one score.

    Attributes
    ----------
    score : Score
        Not fitted yet.
    note : str
        The values, and out of which.
    auroc : mapping of parameters to float or None
        What every candidate reached on the validation sets.
    """

    score: Score
    note: str
    auroc: Mapping[str, float | None]


def validation_of(benchmark: BenchmarkSpec, caches: Caches, ood_val: Mapping[str, RowReader]) -> Validation:
    """Return the validation sets of a benchmark.

    Parameters
    ----------
    benchmark : BenchmarkSpec
    caches : Caches
        As they are scored.
    ood_val : mapping of dataset to RowReader

    Raises
    ------
    CacheMismatchError
        An image is in a validation and in a test set.
    CacheError
        There are too few ID train rows to hold some out, or the caches do not fit together.
    """
    if benchmark.id_val is not None and caches.held_out is not None:
        of_id, train, id_val, joined = benchmark.id_val, caches.train, caches.held_out, caches.joined
    else:
        of_id = f"every {HELD_OUT}th row of {benchmark.id_train}"
        held = np.arange(caches.train.rows) % HELD_OUT == HELD_OUT - 1
        if held.sum() < 2:
            raise CacheError("too few ID train rows to hold some out for validation", file=caches.train.file)
        train, id_val, joined = caches.train.part(~held), caches.train.part(held), caches.joined
        if joined is not None:
            parts = {caches.train.file.stem: train.labels, of_id: id_val.labels}
            joined = replace(joined, labels={**joined.labels, **parts})
    held_apart = dict(ood_val) if benchmark.id_val is None else {of_id: id_val, **ood_val}
    for name, reader in held_apart.items():
        for test, other in {**caches.test, **caches.ood}.items():
            refuse_twins(name, reader, test, other)
    spec = replace(benchmark, id_test=(of_id,), ood={GROUP: tuple(ood_val)})
    made = replace(caches, train=train, test={of_id: id_val}, ood=dict(ood_val), joined=joined)
    return Validation(spec, made, of_id)


def refuse_twins(name: str, validation: RowReader, test_name: str, test: RowReader) -> None:
    """Raise a `CacheMismatchError` if images of a validation set are in a test set.

    An image is in both if it has the same id and the same features. Where more than `MOST_TWINS` of the validation rows
    have features of test rows, under whatever ids, the images are the same too.
    """
    ids = validation.ids
    of: dict[int, int] = {}
    for number, row in enumerate(_hashed(validation)):
        of.setdefault(row, number)
    found: list[tuple[str, str]] = []
    names: list[str] | None = None
    for number, row in enumerate(_hashed(test)):
        if row in of:
            names = test.ids if names is None else names
            found.append((ids[of[row]], names[number]))
    same = [mine for mine, theirs in found if mine == theirs]
    if same or len(found) > MOST_TWINS * validation.rows:
        shown = same or [mine for mine, _ in found]
        some = ", ".join(f"'{one}'" for one in shown[:SHOWN]) + (", …" if len(shown) > SHOWN else "")
        raise CacheMismatchError(
            f"{len(shown)} images of the validation set '{name}' are in the test set '{test_name}' too: {some}",
            file=validation.file,
            fix="name other sets in the benchmark (id_val, ood_val): parameters are never chosen on test images",
        )


def _hashed(reader: RowReader) -> list[int]:
    """Return a number for the features of each row that others hardly ever share."""
    return [hash(row.tobytes()) for block in reader.blocks(LOOKED, logits=False) for row in block.features]


def tune(validation: Validation, candidates: Candidates, **how: Any) -> dict[str, Choice]:
    """Return the best candidate of every score, by name; without a number of any, the first.

    `how` is as in `score_caches`.
    """
    run = score_caches(validation.benchmark, validation.caches, candidates.scores, **how)
    reached = {(row.score, row.params): row.auroc for row in run.rows if (row.ood, row.group) == (MEAN, ALL_GROUPS)}
    of: dict[str, list[Score]] = {}
    for label, one in candidates.scores.items():
        of.setdefault(score_of(label), []).append(one)
    return {name: _chosen(name, some, candidates.tuned[name], reached) for name, some in of.items()}


def _chosen(
    name: str, candidates: Sequence[Score], tuned: Sequence[str], reached: Mapping[tuple[str, str], float | None]
) -> Choice:
    auroc = {one.describe(): reached.get((name, one.describe())) for one in candidates}
    default = create_score(name)

    def order(one: Score) -> tuple[float, bool]:
        value = auroc[one.describe()]
        return (-1.0 if value is None else value, all(getattr(one, key) == getattr(default, key) for key in tuned))

    best = max(candidates, key=order)
    chosen = create_score(name, {key: getattr(best, key) for key in best.parameters()})
    chosen.tuned_ = tuple(tuned)
    said = []
    for key in tuned:
        values = list(dict.fromkeys(one.shown(key) for one in candidates))
        said.append(f"{key}={best.shown(key)} of {', '.join(values)}")
    return Choice(chosen, " and ".join(said), auroc)


def with_choices(run: ScoreRun, choices: Mapping[str, Choice], validation: Validation) -> ScoreRun:
    """Return what scoring with the chosen parameters gave, with the choices in the rows."""
    return replace(run, rows=[_told(row, choices[row.score], validation.remark) for row in run.rows])


def _told(row: Result, choice: Choice, remark: str) -> Result:
    if row.auroc is None:
        return row
    return replace(row, note="; ".join(filter(None, [choice.note, row.note])), remarks=(*row.remarks, remark))
