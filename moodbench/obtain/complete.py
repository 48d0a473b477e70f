"""A full partial folder becomes the dataset's, if it has what the catalogue promises."""

from __future__ import annotations

from pathlib import Path

from moodbench.catalog import DatasetSpec
from moodbench.datasets.images import dataset_folder
from moodbench.errors import DataError
from moodbench.inspection.contents import examine
from moodbench.inspection.manifest import Origin, read_origin
from moodbench.obtain.fill import Means
from moodbench.obtain.jobs import Job
from moodbench.obtain.lists import lacks_list
from moodbench.obtain.place import Filled, clear, finish, partial_folder
from moodbench.obtain.plan import Planned


def complete(job: Job, filled: Filled, means: Means) -> Origin:
    """Check the partial folder of the whole, write its notes and put it in its place.

    Raises
    ------
    DataError
        It has not what the catalogue promises. It is thrown away then; the archives stay.
    """
    partial = partial_folder(means.data_dir, job.whole.name)
    lack = _lack(job, partial, means.data_dir)
    if lack is not None:
        clear(partial)
        what = "the archives do not hold" if filled.archives else "these are not"
        raise DataError(
            f"{what} the images of '{job.whole.name}' that the catalogue promises: {lack}",
            fix=f"look at {job.whole.homepage or filled.source}: its publisher may have changed it",
        )
    folder = folder_of(job.whole, means.data_dir)
    return finish(means.data_dir, job.whole.name, folder, filled, progress=means.progress)


def _lack(job: Job, partial: Path, data_dir: Path) -> str | None:
    """Say what the whole lacks; or, if only parts are wanted, what the first of them lacks when no part is whole."""
    lack = None if lacks_list(job.whole, data_dir) else examine(job.whole, partial, data_dir).lack
    if lack is not None or job.whole in job.wanted:
        return lack
    top = folder_of(job.whole, data_dir)
    places = (partial / folder_of(spec, data_dir).relative_to(top) for spec in job.wanted)
    lacks = [examine(spec, place, data_dir).lack for spec, place in zip(job.wanted, places, strict=True)]
    return lacks[0] if all(lacks) else None


def folder_of(spec: DatasetSpec, data_dir: Path) -> Path:
    """Return the folder of a dataset that has one."""
    folder = dataset_folder(spec, data_dir)
    assert folder is not None  # every dataset with a source has
    return folder


def incomplete(plan: Planned, data_dir: Path) -> DataError:
    """Return the error that the folder is there and lacks something."""
    job = plan.job
    ours = any(read_origin(data_dir, spec.name) for spec in (job.whole, *job.wanted))
    whose = "is incomplete" if ours else "is there already, was not put there by moodbench, and is incomplete"
    return DataError(
        f"the folder of '{job.whole.name}' {whose}: {plan.lack}",
        file=folder_of(job.whole, data_dir),
        fix=f"move it away, then: moodbench download {job.wanted[0].name}",
    )
