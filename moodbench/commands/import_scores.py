"""Scores that somebody else's method computed → a score like any other."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.arguments import as_path
from moodbench.choices import Positive, check_choice, pretext_fault
from moodbench.digests import file_sha256
from moodbench.errors import CacheError, MoodbenchError, UnknownNameError, UsageError
from moodbench.evaluation.stale import imported_anew
from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.create import Layout
from moodbench.features.filling import filling
from moodbench.features.given_scores import GivenScores, named, read_given_scores
from moodbench.features.imported import ROWS, ImportedScores, Matched, Origin, read_imported, write_imported
from moodbench.features.lock import exclusive
from moodbench.results import benchmarks_with_results, read_provenance
from moodbench.sizes import many
from moodbench.types import Family, Report
from moodbench.workspace import ModelName, Workspace, as_workspace


@dataclass(frozen=True)
class ScoresOutcome:
    """What an import of scores did.

    Attributes
    ----------
    file : Path
    rows : int
        Images that have a number.
    extra : tuple of str
        Ids of the file that are no images of the dataset.
    before : {"", "same", "other"}
        What was there: nothing, the same numbers (nothing was written), or others, which were replaced.
    stale : tuple of str
        Benchmarks with results of this score that were made from other numbers than are there now.
    """

    file: Path
    rows: int
    extra: tuple[str, ...]
    before: str
    stale: tuple[str, ...] = ()


def import_scores(
    model: str,
    dataset: str,
    score: str,
    file: str | Path,
    *,
    orientation: Positive = "id",
    family: Family = "imported",
    by_order: bool = False,
    like: str | None = None,
    pretext: str | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
) -> ScoresOutcome:
    """Put numbers that another program computed, one an image, beside the cache of (model, dataset), as a score.

    Numbers that were imported under these names before are replaced; results made from those are then stale.

    Parameters
    ----------
    model, dataset : str
        Of which there is a cache: its ids say which images there are.
    score : str
        Any name that is none of moodbench's scores.
    file : Path
        ``.csv`` with columns `id` and `score`; ``.npz``, HDF5 or a pickle with arrays `ids` and `scores`; ``.npy`` of
        scores alone.
    orientation : {"id", "ood"}
        What higher numbers mean.
    family : Family
        What the method reads, where it is one of the four of moodbench's own scores.
    by_order : bool
        Row *i* of the file is row *i* of the cache; the counts must be equal. Otherwise rows are matched by id.
    like : str, optional
        For a method that has no features: take the rows (names and labels of images) of this model's caches, of
        `dataset` and of the ID train datasets that its benchmarks name.
    pretext : str, optional
        With `like`, the pretext task to show.
    report : callable
        Is told what is noted besides.

    Raises
    ------
    UsageError, UnknownNameError
        A name is taken or cannot be one, or there is no cache.
    DataError
        The file cannot be read, lacks an image, or has NaN or infinity.
    CacheError
        The cache is incomplete or damaged, or the folder cannot be written.
    """
    space = as_workspace(workspace)
    check_choice("orientation", orientation, Positive)
    check_choice("family", family, Family)
    name = ModelName.parse(model)
    if name.head is not None:
        raise UsageError(f"'{model}' names a head; imported scores belong to the model itself: {name.without_head}")
    if pretext is not None and (fault := pretext_fault(pretext)) is not None:
        raise UsageError(f"the pretext task is '{pretext[:80]}', {fault}")
    source = as_path(file)
    target = space.imported_file(name, score, dataset)
    _check_free(score)
    _check_family(space, name, score, dataset, family)
    given = read_given_scores(source)
    if like is not None:
        _take_rows(space, name, dataset, ModelName.parse(like), pretext, report)
    ids, everyone, done = _rows(space, name, dataset)
    extra: list[str] = []
    if by_order:
        values, matched = given.matched_by_order(everyone, done), "order"
    else:
        (values, extra), matched = given.matched_by_id(ids, everyone), "id"
    if extra:
        report(f"note: {many(len(extra), 'row')} of {source} {_are(extra)} of '{dataset}': {named(extra)}")
    origin = _origin(name, dataset, score, family, orientation, given, "order" if matched == "order" else "id")
    made = ImportedScores(origin, tuple(ids), values)
    with exclusive(target, waiting=lambda: report(f"{target}: another process is writing it: waiting"), tidy=True):
        there = _there(target)
        same = there is not None and (there.origin, there.contents) == (made.origin, made.contents)
        if not same:
            write_imported(target, made)
    changed = there is not None and there.contents != made.contents
    before = "same" if same else "other" if changed else ""
    return ScoresOutcome(target, len(ids), tuple(extra), before, _stale(space, name, dataset, score))


def _stale(space: Workspace, name: ModelName, dataset: str, score: str) -> tuple[str, ...]:
    """Return the benchmarks with results of a score that were made from other numbers than those that are there."""
    found = []
    for benchmark in benchmarks_with_results(space.results_dir):
        noted: Mapping[str, Any] = {}
        with contextlib.suppress(MoodbenchError):  # of damaged results `table` and `score` say what is wrong
            noted = read_provenance(space.results_file(benchmark, name))
        if dataset in imported_anew(space, name, noted).get(score, ()):
            found.append(benchmark)
    return tuple(found)


def _are(extra: Sequence[str]) -> str:
    return "is no image" if len(extra) == 1 else "are no images"


def _origin(
    name: ModelName,
    dataset: str,
    score: str,
    family: Family,
    orientation: Positive,
    given: GivenScores,
    matched: Matched,
) -> Origin:
    digest = file_sha256(given.file)
    return Origin(str(name), dataset, score, family, orientation, given.file.name, digest, matched)


def _check_free(score: str) -> None:
    """Refuse a name that one of moodbench's scores has, or that cannot be one."""
    from moodbench.scores.base import SCORES
    from moodbench.scores.machinery.contract import NAME

    if not NAME.fullmatch(score):
        raise UsageError(
            f"'{score[:80]}' cannot name a score",
            fix="use letters, digits, '_', '-' and '.', a letter first, and at most 64",
        )
    taken = {text.casefold(): one for one in SCORES for text in (one, SCORES.get(one).title)}
    if (own := taken.get(score.casefold())) is not None:  # tables show titles: two rows would be called the same
        raise UsageError(
            f"'{score}' is what moodbench calls a score that it computes itself ('{own}')",
            fix="choose another name for the imported one",
        )


def _check_family(space: Workspace, name: ModelName, score: str, dataset: str, family: Family) -> None:
    """Refuse another family than that of the numbers on other datasets: it is one score."""
    for other in space.imported_scores(name).get(score, []):
        if other != dataset:
            found = read_imported(space.imported_file(name, score, other)).origin.family
            if found != family:
                raise UsageError(
                    f"'{score}' of '{name}' has the family {found} on '{other}', and --family is {family}",
                    fix=f"--family {found}, or first: moodbench cache remove --model {name} --score {score}",
                )


def _there(target: Path) -> ImportedScores | None:
    if not target.exists():
        return None
    with contextlib.suppress(MoodbenchError):  # a damaged one is replaced
        return read_imported(target)
    return None


def _rows(space: Workspace, name: ModelName, dataset: str) -> tuple[list[str], list[str], NDArray[np.bool_]]:
    """Return the ids of the rows that are scored, those of all rows, and which of them are scored."""
    file = space.cache_file(name, dataset)
    if not file.exists():
        others = [str(one) for one in space.cached_models() if dataset in space.cached_datasets(one)]
        fix = f"moodbench extract --model {name} --dataset {dataset}, or moodbench import"
        if others:
            fix += (
                f";\nfor a method without features, --like takes the rows of a model that has some: {', '.join(others)}"
            )
        raise CacheError(
            f"there is no cache of '{dataset}' of '{name}', whose images the scores could be of", file=file, fix=fix
        )
    with FeatureCache(file) as cache:
        if not cache.complete:
            raise CacheError("the cache is incomplete", file=file, fix="run the same moodbench extract again")
        ids, done = cache.ids, cache.status == DONE
    return [one for one, there in zip(ids, done, strict=True) if there], ids, done


def _take_rows(
    space: Workspace, name: ModelName, dataset: str, like: ModelName, pretext: str | None, report: Report
) -> None:
    """Make caches that hold the rows of another model's, and no features, of whatever scoring on `dataset` needs."""
    there = space.cached_datasets(like)
    if like.head is not None or like not in space.cached_models():
        raise UnknownNameError("cached model", str(like), map(str, space.cached_models()), fix="--like MODEL")
    if like == name:
        raise UsageError(f"--like names the model itself: '{like}'")
    if dataset not in there:
        raise UnknownNameError(f"dataset that '{like}' has a cache of", dataset, there, plural=f"caches of '{like}'")
    benchmarks = [spec for spec in space.catalog.benchmarks.values() if {*spec.id_test, *spec.ood_datasets} & {dataset}]
    wanted = dict.fromkeys([dataset, *(one for spec in benchmarks for one in spec.needed if one in there)])
    for one in wanted:
        target = space.cache_file(name, one)
        with exclusive(target, waiting=lambda: None, tidy=True):
            if target.exists():
                if one == dataset:
                    _compare(space, name, one, like, report)
                continue
            _write_rows(space.cache_file(like, one), target, str(name), one, str(like), pretext)
            report(f"took the rows of {like} on {one}")


def _compare(space: Workspace, name: ModelName, dataset: str, like: ModelName, report: Report) -> None:
    """Refuse rows that are others than those of `like`; features that are there need nobody's."""
    with FeatureCache(space.cache_file(name, dataset)) as mine, FeatureCache(space.cache_file(like, dataset)) as theirs:
        if mine.provenance.get("source") != ROWS:
            report(f"note: {name} has features of {dataset}, with rows of their own: --like changes nothing")
        elif mine.ids != theirs.ids:
            raise CacheError(
                f"'{name}' has other rows of '{dataset}' than '{like}' has now",
                file=mine.file,
                fix=f"remove them: moodbench cache remove --model {name} --dataset {dataset}",
            )


def _write_rows(source: Path, target: Path, model: str, dataset: str, like: str, pretext: str | None) -> None:
    with FeatureCache(source) as cache:
        if not cache.complete:
            raise CacheError("the cache is incomplete", file=source, fix="run the same moodbench extract again")
        layout = Layout(cache.ids, cache.labels, 1, None, cache.class_names or ())
        status, limit = cache.status, cache.provenance.get("limit")
    provenance = {"source": ROWS, "rows_of": like, "pretext": pretext, "limit": limit}
    with filling(target, model, dataset, layout, provenance) as cache:
        cache.write(0, np.zeros((layout.rows, 1), np.float32), None, status)
