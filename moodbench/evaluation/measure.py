"""The scores of a benchmark's rows → metrics → result rows, one for each OOD dataset and each group mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moodbench.catalog import BenchmarkSpec
from moodbench.metrics import METRICS
from moodbench.ranking import Comparison, mean_auroc
from moodbench.types import ALL_GROUPS, MEAN, TRANSDUCTIVE, Result

if TYPE_CHECKING:
    from moodbench.scores.base import Score

Metrics = dict[str, float | None]


@dataclass(frozen=True)
class ResultRows:
    """Makes the result rows of one model on one benchmark.

    Attributes
    ----------
    benchmark : BenchmarkSpec
    n_id : mapping of OOD dataset to the number of ID test rows it is compared with
    n_ood : mapping of OOD dataset to its number of rows
        Those that were scored. The others get no row, and their groups no mean.
    correct : (n,) bool, optional
        Whether the model classifies each labelled ID test row as its label says; None where that has no meaning.
    about_logits : sequence of str
        What to say in the rows of every score that reads logits or the head.
    about_bank : mapping of OOD dataset to str
        What to say in the rows of every score that has a memory bank.
    model, pretext : str
    remarks : sequence of str
        What to say in every row.
    same_id : bool
        Every OOD dataset is compared with the same ID rows. Where they differ (one-class protocols, in which a row is
        ID once and OOD otherwise) no interval of a mean is known, and none is given.
    """

    benchmark: BenchmarkSpec
    n_id: Mapping[str, int]
    n_ood: Mapping[str, int]
    correct: NDArray[np.bool_] | None = None
    model: str = ""
    pretext: str = "unspecified"
    remarks: Sequence[str] = field(default_factory=tuple)
    about_logits: Sequence[str] = ()
    about_bank: Mapping[str, str] = field(default_factory=dict)
    same_id: bool = True

    def compared(
        self, name: str, score: Score, against: Mapping[str, Comparison], notes: Mapping[str, str] | None = None
    ) -> list[Result]:
        """Return the rows of a score with its metrics; a mean is the plain mean over the OOD datasets of its group.

        Intervals take rows for independent of one another, which those of a stream are not: transductive scores have
        none.

        Parameters
        ----------
        against : mapping of OOD dataset to Comparison
            One that is not there has an empty row, and so have its means.
        notes : mapping, optional
            OOD dataset → what to say about it, or why it is empty; by default what the score itself says.
        """
        values = {ood: {metric: how.of(c) for metric, how in METRICS.items()} for ood, c in against.items()}
        rows = []
        for ood, group, members in self._places():
            told = [member for member in members if member not in against] or members  # why it is empty, alone
            note = score.said if notes is None else _together({member: notes.get(member, "") for member in told})
            metrics: Metrics = {}
            if all(member in against for member in members):
                metrics = _means([values[member] for member in members])
                if (self.same_id or ood != MEAN) and not score.is_transductive():
                    interval = mean_auroc([against[member] for member in members])
                    metrics |= {"auroc_low": interval.low, "auroc_high": interval.high}
            rows.append(self._row(name, score, ood, group, members, note, metrics))
        return rows

    def empty(self, name: str, score: Score, note: str) -> list[Result]:
        """Return the rows of a score that could not be fitted; `note` says why."""
        return [self._row(name, score, ood, group, members, note, {}) for ood, group, members in self._places()]

    def _places(self) -> list[tuple[str, str, list[str]]]:
        """OOD dataset (or `MEAN`), group and the datasets that count: all that is there, then what is complete."""
        groups = {ALL_GROUPS: self.benchmark.ood_datasets, **self.benchmark.ood}
        single = [(ood, self.benchmark.group_of(ood), [ood]) for ood in self.n_ood]
        means = [(MEAN, group, list(oods)) for group, oods in groups.items() if oods and set(oods) <= set(self.n_ood)]
        return single + means

    def _row(
        self, name: str, score: Score, ood: str, group: str, members: Sequence[str], note: str, metrics: Metrics
    ) -> Result:
        logits = self.about_logits if score.needs & {"logits", "head"} else ()
        stream = [TRANSDUCTIVE] if score.is_transductive() else []
        bank = [self.about_bank.get(one, "") for one in members] if score.cost == "memory bank" else []
        return Result(
            benchmark=self.benchmark.name,
            model=self.model,
            pretext=self.pretext,
            score=name,
            params=score.describe(),
            seeds=1 if score.has_seed() else None,
            family=score.family,
            ood=ood,
            group=group,
            n_id=self.n_id[members[0]] if self.same_id else sum(self.n_id[member] for member in members),
            n_ood=sum(self.n_ood[member] for member in members),
            id_accuracy=None if self.correct is None else float(self.correct.mean()),
            control=score.control,
            note=note,
            remarks=tuple(filter(None, dict.fromkeys([*stream, *bank, *logits, *self.remarks]))),
            **metrics,
        )


def _together(notes: Mapping[str, str]) -> str:
    """Return the notes of several OOD datasets as one: what all say once, and else who says it."""
    of: dict[str, list[str]] = {}
    for name, note in notes.items():
        of.setdefault(note, []).append(name)
    if len(of) == 1:
        return next(iter(of))
    return "; ".join(f"{', '.join(names)}: {note}" for note, names in of.items() if note)


def _means(values: Sequence[Mapping[str, float | None]]) -> Metrics:
    """Return the mean of every metric, None where one of the values is."""
    means: Metrics = {}
    for name in METRICS:
        known = [value for one in values if (value := one[name]) is not None]
        means[name] = float(np.mean(known)) if len(known) == len(values) else None
    return means
