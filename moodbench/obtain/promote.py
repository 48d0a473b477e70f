"""A full partial folder becomes the dataset's, if it has what the catalogue promises."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from moodbench.catalog import DatasetSpec
from moodbench.datasets.images import dataset_folder
from moodbench.errors import DataError
from moodbench.inspection.contents import Contents, examine
from moodbench.inspection.manifest import Origin, read_origin
from moodbench.obtain.fetched_lists import lacks_list
from moodbench.obtain.fill import Means
from moodbench.obtain.jobs import Job
from moodbench.obtain.partial import clear, finish, partial_folder
from moodbench.obtain.plan import Plan


def complete(job: Job, origin: Origin, means: Means) -> tuple[Origin, dict[str, Contents]]:
    """Check the partial folder of the whole, write its notes and give it its name.

    Returns
    -------
    origin : Origin
    contents : dict of dataset to Contents
        What is there of the wanted datasets.

    Raises
    ------
    DataError
        It has not what the catalogue promises. It is thrown away then; the archives stay.
    """
    partial = partial_folder(means.data_dir, job.whole.name)
    contents = _look(job, partial, means.data_dir)
    lack = _lack(job, contents)
    if lack is not None:
        clear(partial)
        what = "the archives do not hold" if origin.archives else "these are not"
        raise DataError(
            f"{what} the images of '{job.whole.name}' that the catalogue promises: {lack}",
            fix=f"look at {job.whole.homepage or origin.source}: its publisher may have changed it",
        )
    return finish(means.data_dir, folder_of(job.whole, means.data_dir), origin, progress=means.progress), contents


def _look(job: Job, partial: Path, data_dir: Path) -> dict[str, Contents]:
    """Look at the wanted datasets, and at the whole where its list does not lack, in the partial folder."""
    top = folder_of(job.whole, data_dir)
    whole = () if lacks_list(job.whole, data_dir) else (job.whole,)
    return {
        spec.name: examine(spec, partial / folder_of(spec, data_dir).relative_to(top), data_dir)
        for spec in dict.fromkeys((*whole, *job.wanted))
    }


def _lack(job: Job, contents: Mapping[str, Contents]) -> str | None:
    """Say what the whole lacks; or, if only parts are wanted, what the first of them lacks when no part is whole."""
    whole = contents.get(job.whole.name)
    if whole is not None and (whole.lack is not None or job.whole in job.wanted):
        return whole.lack
    lacks = [contents[spec.name].lack for spec in job.wanted]
    return lacks[0] if all(lacks) else None


def folder_of(spec: DatasetSpec, data_dir: Path) -> Path:
    """Return the folder of a dataset that has one."""
    folder = dataset_folder(spec, data_dir)
    assert folder is not None  # every dataset with a source has
    return folder


def incomplete(plan: Plan, data_dir: Path) -> DataError:
    """Return the error that the folder is there and lacks something."""
    job = plan.job
    ours = any(read_origin(data_dir, spec.name) for spec in (job.whole, *job.wanted))
    whose = "is incomplete" if ours else "is there already, was not put there by moodbench, and is incomplete"
    return DataError(
        f"the folder of '{job.whole.name}' {whose}: {plan.lack}",
        file=folder_of(job.whole, data_dir),
        fix=f"move it away, then: moodbench download {job.wanted[0].name}",
    )
