"""Other vectors of the same images that scores read along: which are cached of a model, which are wanted, opened.

A layer, or features of changed images, is a cache of its own (`moodbench.views`). Here its rows are put beside those of
the model itself, once it is sure that they are of the same images, and of the same network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moodbench.errors import CacheMismatchError, ScoreError
from moodbench.evaluation.caches import Caches
from moodbench.features.cache import FeatureCache
from moodbench.features.provenance import made_apart
from moodbench.features.reader import RowReader
from moodbench.results.made import ViewContents
from moodbench.scores.base import BESIDE, Score
from moodbench.types import TEXTS, Head, Report, lacking_texts
from moodbench.views import CHANGED, natural, other_model, split_layer
from moodbench.workspace import ModelName, Workspace

WEIGHTS = "weights_sha256"


Headers = dict[Path, tuple[bool, Mapping[str, Any]]]
"""Cache file → whether it is complete, and its provenance, as far as they were looked at in a run."""


@dataclass(frozen=True)
class Cached:
    """The views of a model that are there. Layers come first, from the input to the output.

    Attributes
    ----------
    everywhere : tuple of str
        Those that have a complete cache of every dataset that is read.
    fitted : tuple of str
        The same, and layers of changed images of which only the rows that fits read are there.
    """

    everywhere: tuple[str, ...] = ()
    fitted: tuple[str, ...] = ()

    def and_members(self, members: Sequence[str]) -> Cached:
        """Return the same, and other models that lie beside everywhere."""
        return Cached((*self.everywhere, *members), (*self.fitted, *members))


def views_of(
    space: Workspace,
    name: ModelName,
    caches: Caches,
    scores: Sequence[Score],
    report: Report = lambda line: None,
    headers: Headers | None = None,
) -> Cached:
    """Return the views of a model that have complete caches.

    Views that were made with another head than the one that is asked for are left out, and those that lack a dataset;
    not layers of changed images that lack test rows, which no score reads of those. `report` is told which are left out
    that one of `scores` would read.
    `headers` that are known are not read again, and those that are read are added: several benchmarks share datasets.
    """
    headers = {} if headers is None else headers
    if name.view is not None:
        return Cached()
    datasets = [reader.file.stem for reader in caches.readers.values()]
    fitting = {reader.file.stem for reader in (caches.train, caches.held_out) if reader is not None}
    partly: set[str] = set()
    found: dict[str, tuple[bool, int, list[tuple[int, str]]]] = {}
    left_out: dict[str, str] = {}
    for model in space.views_of(name):
        view = str(model.view)
        there = space.cached_datasets(model)
        lacking = [dataset for dataset in datasets if dataset not in there]
        noted: Mapping[str, Any] = {}
        for dataset in (one for one in datasets if one in there):
            complete, noted = _header(space.cache_file(model, dataset), headers)
            if not complete:
                lacking.append(dataset)
        fits = split_layer(view)[1] is not None and not fitting & set(lacking)
        if lacking and not fits:
            named = ", ".join(dataset for dataset in datasets if dataset in lacking)
            left_out[view] = f"{model}: no complete cache of {named}; the same moodbench extract goes on"
        elif (made_with := _another_head(noted.get("view", {}), name, caches)) is not None:
            left_out[view] = f"{model}: made with {made_with}"
        else:
            found[view] = (view.startswith(CHANGED), int(noted.get("layer", {}).get("index", 0)), natural(view))
            partly |= {view} if lacking else set()
    fitted = tuple(sorted(found, key=found.__getitem__))
    for view in _read_of(left_out, scores, fitted):
        report(f"leave out the view {left_out[view]}")
    return Cached(tuple(view for view in fitted if view not in partly), fitted)


def _read_of(left_out: Iterable[str], scores: Sequence[Score], there: Sequence[str]) -> list[str]:
    """Return those of the views that are left out which a score would read if they were there, alone or together."""
    names = list(left_out)
    read: set[str] = set()
    for offered in [*([one] for one in names), names] if names else []:
        for score in scores:
            for chosen in (score.views_counted, score.views_fitted):
                with suppress(ScoreError):  # it lacks something else besides
                    read.update(chosen([*there, *offered]))
    return [name for name in names if name in read]


def _header(file: Path, known: Headers) -> tuple[bool, Mapping[str, Any]]:
    if file not in known:
        with FeatureCache(file) as cache:
            known[file] = cache.complete, cache.provenance
    return known[file]


def _another_head(noted: Mapping[str, Any], name: ModelName, caches: Caches) -> str | None:
    """Say with which head a view was made, unless it reads none or the one of the caches."""
    if not noted.get("head"):
        return None
    digest = noted.get("head_sha256")
    if digest is None:
        return "the model's own head" if caches.recompute else None
    if caches.head is not None and caches.head.digest == digest:
        return None
    return f"the head '{noted['head_name']}'" + (" as it was before" if name.head == noted["head_name"] else "")


def reads_views(score: Score) -> bool:
    """Say whether a score reads more than one vector of an image."""
    return bool(score.needs & BESIDE)


def lacking_besides(scores: Mapping[str, Score], cached: Cached, head: Head | None) -> dict[str, str]:
    """Return the scores that read layers, views or texts which are not there, with what is lacking in words."""
    lacking = {}
    for label, score in scores.items():
        for kind in TEXTS:
            if kind in score.needs and (head is None or kind not in head.texts):
                lacking[label] = lacking_texts(kind)
        try:
            score.views_among(cached.everywhere)
            score.views_fitted(cached.fitted)
        except ScoreError as error:
            lacking[label] = error.what
    return lacking


def with_views(space: Workspace, name: ModelName, caches: Caches, scores: Iterable[Score], cached: Cached) -> Caches:
    """Return caches whose readers read along what these scores want of the `cached` views; fits may read more.

    Raises
    ------
    CacheMismatchError
        A view is of other images, or of other weights.
    CacheError
        One cannot be read.
    """
    wanted: set[str] = set()
    fitted: set[str] = set()
    for score in scores:
        with suppress(ScoreError):  # its cell says what it lacks
            wanted.update(score.views_counted(cached.everywhere))
            fitted.update(score.views_fitted(cached.fitted))
    fitted |= wanted
    views = [view for view in cached.everywhere if view in wanted]
    fitting = [view for view in cached.fitted if view in fitted]

    def beside(reader: RowReader) -> RowReader:
        return read_along(space, name, reader, views)

    return replace(
        caches,
        cached_views=cached.everywhere,
        fitted_views=cached.fitted,
        train=read_along(space, name, caches.train, fitting),
        held_out=None if caches.held_out is None else read_along(space, name, caches.held_out, fitting),
        test={dataset: beside(reader) for dataset, reader in caches.test.items()},
        ood={dataset: beside(reader) for dataset, reader in caches.ood.items()},
    )


def read_along(space: Workspace, name: ModelName, reader: RowReader, views: Sequence[str]) -> RowReader:
    """Return a reader of the same rows that reads those of views along; raises as `with_views` does."""
    its = {}
    for view in views:
        model = name.beside(view)
        its[view] = RowReader(space.cache_file(model, reader.file.stem))
        if other_model(view) is None:
            refuse_other_network(its[view], reader, model)
            _refuse_other_making(its[view], reader, model)
    return reader.beside(its) if its else reader


def refuse_other_network(view: RowReader, own: RowReader, model: ModelName) -> None:
    """Refuse a view that was computed with other weights than the model's own features, where both say with which."""
    digests = [(reader.provenance.get("model") or {}).get(WEIGHTS) for reader in (view, own)]
    if None not in digests and digests[0] != digests[1]:
        raise CacheMismatchError(
            f"the weights of '{model}' are others than those of '{model.whole}'",
            file=view.file,
            fix=f"moodbench cache remove --model {model}, then extract it again",
        )


def _refuse_other_making(view: RowReader, own: RowReader, model: ModelName) -> None:
    """Refuse a view of pictures that have changed since, or were prepared otherwise: one of the two was made anew."""
    apart = made_apart(own.provenance, view.provenance)
    if apart:
        dataset = own.file.stem
        raise CacheMismatchError(
            f"'{model}' and '{model.whole}' were made from different things on '{dataset}'\n    "
            + "\n    ".join(apart),
            file=view.file,
            fix=f"moodbench cache remove --model {model} --dataset {dataset}, then extract it again",
        )


def contents_of(caches: Caches, scores: Mapping[str, Score]) -> dict[str, ViewContents]:
    """Return label → view → dataset → fingerprint of the caches beside that a score reads; without those that do not.

    As the results note it: when one of them changes, the numbers of these scores are old.
    """
    found: dict[str, ViewContents] = {}
    fitting = [reader for reader in (caches.train, caches.held_out) if reader is not None]
    for label, score in scores.items():
        try:
            views, fitted = score.views_among(caches.cached_views), score.views_fitted(caches.fitted_views)
        except ScoreError:
            continue
        its = {view: _fingerprints(view, fitting) for view in fitted}
        its |= {view: _fingerprints(view, caches.readers.values()) for view in views}
        if its:
            found[label] = its
    return found


def _fingerprints(view: str, readers: Iterable[RowReader]) -> dict[str, str]:
    return {reader.file.stem: reader.views[view].fingerprint for reader in readers}
