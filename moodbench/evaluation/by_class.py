"""Results of each class of an OOD dataset, from the row scores that are kept: nothing is scored again.

An OOD dataset becomes a group, its classes what stands in the OOD column as ``DATASET/CLASS``, and their mean counts
every class once, however many images it has, as NINCO's authors do. The class of an image is that of its label; where
it has none, the first folder of its path.

The rows lie in ``<results-dir>/<benchmark>/classes/<model>.csv``, a file of the same form as the results beside it,
which nothing mistakes for results of datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import ResultsError
from moodbench.evaluation.kept import LackingError, kept_params, kept_rows, run_again
from moodbench.evaluation.rows import TestRows
from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.rowscores import ID, OOD, place_of
from moodbench.intervals import Interval, Sample, interval
from moodbench.params import is_noisy
from moodbench.results import changing, read_provenance, read_results
from moodbench.types import MEAN, Report, Result
from moodbench.workspace import ModelName, Workspace

Array = NDArray[np.float64]

FEWEST = 2
"""Classes that a dataset needs to be taken apart."""


@dataclass(frozen=True)
class ByClass:
    """What a score says of the classes of an OOD dataset.

    Attributes
    ----------
    auroc : tuple of C Interval
    fpr95 : (C,) float64
    mean : Interval
        Of the AUROCs; the ID rows are the same for all.
    """

    auroc: tuple[Interval, ...]
    fpr95: Array
    mean: Interval


def measure_classes(id_scores: Array, ood_scores: Array, classes: NDArray[np.intp]) -> ByClass:
    """Return AUROC and FPR95 of each class, as `moodbench.ranking` defines them, and the mean AUROC.

    Every OOD row is placed among the ID rows once, so that the work is O((n + m) log n) for any number of classes.

    Parameters
    ----------
    id_scores : (n,) float64, n >= 2
    ood_scores : (m,) float64
    classes : (m,) int
        Numbers 0 to C - 1, each of which occurs.
    """
    of_id, n = np.sort(id_scores), id_scores.size
    order = np.lexsort((ood_scores, classes))
    scores, numbers = ood_scores[order], classes[order]
    sizes = np.bincount(numbers)
    below = np.searchsorted(of_id, scores, side="left")
    upto = np.searchsorted(of_id, scores, side="right")
    won = 1 - (below + upto) / (2 * n)  # of each OOD row: share of ID rows above it, ties counting half
    accepted = scores >= of_id[n - int(np.floor(0.95 * n))]
    fpr95 = np.bincount(numbers, weights=accepted) / sizes
    found, ood_samples = [], []
    for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        rows = slice(start, start + size)
        sample = Sample.of(won[rows])
        ood_samples.append(replace(sample, weight=1 / len(sizes)))
        value = float(won[rows].mean())
        found.append(interval(value, [_id_sample(below[rows], upto[rows], np.full(size, 1 / size), n), sample]))
    alike = np.argsort(scores, kind="stable")
    shares = 1 / (sizes[numbers] * len(sizes))
    of_ids = _id_sample(below[alike], upto[alike], shares[alike], n)
    mean = interval(float(np.mean([one.value for one in found])), [of_ids, *ood_samples])
    return ByClass(tuple(found), fpr95, mean)


def _id_sample(below: NDArray[np.intp], upto: NDArray[np.intp], shares: Array, n: int) -> Sample:
    """Return what n ID rows contribute: each has the share of OOD rows below it, ties counting half.

    That share is the same for all ID rows between two OOD rows, so rows are counted and not visited.

    Parameters
    ----------
    below, upto : (k,) int
        Of OOD rows in rising order: how many ID rows are below each, and at or below.
    shares : (k,) float64
        Of each OOD row in the sum; together 1.
    """
    total = np.r_[0.0, np.cumsum(shares)]
    first = np.r_[True, (below[1:] != below[:-1]) | (upto[1:] != upto[:-1])]  # of a run no ID row parts
    starts = np.flatnonzero(first)
    ends = np.r_[starts[1:], len(below)]
    equal = upto[starts] - below[starts]  # ID rows with the very score; where there are none, both sides meet
    between = np.r_[below[starts], n] - np.r_[0, upto[starts]]
    values = np.r_[total[np.r_[starts, len(below)]], (total[starts] + total[ends]) / 2]
    counts = np.r_[between, equal]
    mean = float(counts @ values) / n
    return Sample(n, float(counts @ (values - mean) ** 2))


def classes_of(space: Workspace, name: ModelName, dataset: str) -> dict[str, str]:
    """Return the class of each image of a cached dataset by its id; images without one are left out."""
    with FeatureCache(space.cache_file(name, dataset)) as cache:
        names, labels, ids, done = cache.class_names, cache.labels, cache.ids, cache.status == DONE
    found = {}
    for image, label, there in zip(ids, labels.tolist(), done.tolist(), strict=True):
        folder = image.partition("/")[0] if "/" in image else ""
        title = folder if label < 0 else str(label) if names is None else names[label]
        if there and title:
            found[image] = title
    return found


def class_results(
    tested: TestRows, rows: Sequence[Result], classes: Mapping[str, Mapping[str, str]]
) -> tuple[list[Result], dict[tuple[str, str], None]]:
    """Return results of the classes of OOD datasets, and the scores with their parameters whose rows are not kept.

    Parameters
    ----------
    tested : TestRows
    rows : sequence of Result
        Those of the datasets: which scores there are, and what is said of them.
    classes : mapping of OOD dataset → image id → class
    """
    (id_places,), _ = tested.cells(())
    lacking: dict[tuple[str, str], None] = {}
    found: dict[tuple[str, ...], Result] = {}  # one seed and several have the same rows, those of the first
    for dataset, of in classes.items():
        place, place_ids = place_of(dataset), tested.images_of(place_of(dataset), OOD)
        named = [of.get(image, "") for image in place_ids]
        chosen = np.array([bool(title) for title in named], np.bool_)
        titles, numbers = np.unique([title for title in named if title], return_inverse=True)
        for row in rows:
            if row.ood != dataset or row.auroc is None:
                continue
            params = kept_params(row.params)
            try:
                of_id = np.concatenate([tested.scores_of(row.score, params, one, ID, dataset) for one in id_places])
                of_ood = tested.scores_of(row.score, params, place, OOD, dataset)[chosen]
            except KeyError:
                lacking[row.score, row.params] = None
                continue
            made = measure_classes(of_id, of_ood, numbers)
            sizes = np.bincount(numbers)
            for title, auroc, fpr95, size in zip(titles.tolist(), made.auroc, made.fpr95, sizes, strict=True):
                one = _row(row, f"{dataset}/{title}", dataset, auroc, float(fpr95), int(size))
                found[one.key] = one
            mean = _row(row, MEAN, dataset, made.mean, float(made.fpr95.mean()), int(sizes.sum()))
            found[mean.key] = mean
    return list(found.values()), lacking


def _row(row: Result, ood: str, group: str, auroc: Interval, fpr95: float, rows: int) -> Result:
    """Return a result of a dataset as one of a class of it, which has no other metric."""
    low, high = (None, None) if row.transductive else (auroc.low, auroc.high)
    return Result(
        benchmark=row.benchmark,
        model=row.model,
        pretext=row.pretext,
        score=row.score,
        params=kept_params(row.params),
        family=row.family,
        ood=ood,
        group=group,
        n_id=row.n_id,
        n_ood=rows,
        auroc=auroc.value,
        auroc_low=low,
        auroc_high=high,
        fpr95=fpr95,
        id_accuracy=row.id_accuracy,
        seeds=None if row.seeds is None else 1,
        control=row.control,
        note=row.note,
        remarks=row.remarks,
    )


def write_class_results(space: Workspace, benchmark: str, name: ModelName, report: Report) -> list[Result]:
    """Take the results of a model on a benchmark apart by class, and write them.

    Raises
    ------
    ResultsError
        Row scores are missing or stale, no OOD dataset has classes, or the folder cannot be written.
    """
    file = space.results_file(benchmark, name)
    rows, made_from = [row for row in read_results(file) if not is_noisy(row.params)], read_provenance(file)
    try:
        tested = kept_rows(space, benchmark, str(name))
        if isinstance(tested.roles.get("classes"), dict):
            report(f"{name} on {benchmark}: each class in turn is ID, so its results are by class already")
            return []
        classes = {}
        for dataset in dict.fromkeys(row.ood for row in rows if row.ood != MEAN):
            of = classes_of(space, name, dataset)
            titles = {of[image] for image in tested.images_of(place_of(dataset), OOD) if image in of}
            if len(titles) >= FEWEST:
                classes[dataset] = of
            else:
                report(f"{name} on {benchmark}: {dataset} has neither labels nor a folder for each class")
        if not classes:
            raise ResultsError(
                f"no OOD dataset of '{benchmark}' has classes, by labels or by folders of its images",
                file=file,
                fix="import labels with the features, or extract from images that lie in a folder for each class",
            )
        found, lacking = class_results(tested, rows, classes)
    except LackingError as error:
        raise run_again(space, benchmark, {str(name): str(error)}) from None
    if lacking:
        scores = ", ".join(dict.fromkeys(score for score, _ in lacking))
        refusal = run_again(space, benchmark, {str(name): f"there are none of {scores}"}, lacking)
        if not found:
            raise refusal
        report(f"{name} on {benchmark}: not by class, for want of row scores: {scores} ({refusal.fix})")
    out = space.class_results_file(benchmark, name)
    with changing(out) as there:
        told = ("moodbench", "benchmark", "model", "inputs", "scores", "intervals")
        there.write(found, {key: made_from[key] for key in told if key in made_from}, keep=False)
    report(f"{name} on {benchmark}: by class, {', '.join(f'{d} ({len({*of.values()})})' for d, of in classes.items())}")
    return found
