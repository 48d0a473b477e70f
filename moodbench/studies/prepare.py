"""A study that is read and looked up as a whole: nothing is begun before all of it makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moodbench.arguments import as_path
from moodbench.datasets.chosen import chosen_datasets
from moodbench.datasets.request import ImageRequest, ImageSet
from moodbench.errors import DataError
from moodbench.studies.file import Study, read_study
from moodbench.studies.folder import Folder, folder_for
from moodbench.studies.known import Known, about, know, with_catalogs
from moodbench.studies.networks import check_networks
from moodbench.studies.plan import Step, steps_of
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace, as_workspace


@dataclass(frozen=True)
class Prepared:
    """A study that was looked up: what it is, what it does, and where.

    Attributes
    ----------
    known, steps, folder
    sets : mapping of dataset to ImageSet
        Those that are on this disk.
    space : Workspace
        Whose results are those of the folder.
    gone : sequence of str
        Datasets that are not on this disk, but completely cached.
    """

    known: Known
    steps: Sequence[Step]
    sets: Mapping[str, ImageSet]
    space: Workspace
    folder: Folder
    gone: Sequence[str]


def prepare(
    file: str | Path,
    *,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
) -> Prepared:
    """Read a study and look up all that it names, before the first image is read.

    Raises as `moodbench.run_study` does.
    """
    file = as_path(file)
    study = read_study(file)
    folder = Folder(as_path(out) or folder_for(file))
    folder.check()
    space = with_catalogs(study, as_workspace(workspace))
    space = replace(space, results_dir=folder.results)
    _load_scores(study)
    known = know(study, space)
    steps = steps_of(known)
    check_networks(known)
    from moodbench.devices import check_threads, resolve_device

    with about(study.top.key("device")):
        resolve_device(study["device"])
    with about(study.top.key("threads")):
        check_threads(study["threads"])
    sets, gone = _images(known, space, report)
    return Prepared(known, steps, sets, space, folder, gone)


_loaded: dict[Path, list[str]] = {}
"""Files with scores that were run in this process, and what they registered: a name can be registered once."""


def _load_scores(study: Study) -> None:
    from moodbench.scores.base import SCORES, load_scores

    for number, text in enumerate(study["scores_from"]):
        file = study.path(text).resolve()
        if not _loaded.get(file) or any(name not in SCORES for name in _loaded[file]):
            with about(study.top.key("scores_from").item(number)):
                _loaded[file] = load_scores(file)


def _images(known: Known, space: Workspace, report: Report) -> tuple[dict[str, ImageSet], list[str]]:
    """Return the images of every dataset, found and listed; and those that are gone, but cached."""
    sets: dict[str, ImageSet] = {}
    gone: list[str] = []
    how = known.study["extract"]
    names = [spec.name for spec in known.benchmarks]
    for dataset in [spec.name for spec in chosen_datasets(space, (), names, report)]:
        request = ImageRequest(dataset=(dataset,), max_pixels=how["max_pixels"])
        try:
            sets |= {one.dataset: one for one in request.open(space, report)}
        except DataError:
            if not all(_is_complete(space, one.name, dataset) for one in known.models):
                raise
            gone.append(dataset)
    return sets, gone


def _is_complete(space: Workspace, model: ModelName, dataset: str) -> bool:
    from moodbench.features.cache import FeatureCache

    file = space.cache_file(model, dataset)
    if not file.exists():
        return False
    with FeatureCache(file) as cache:
        return cache.complete
