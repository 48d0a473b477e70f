"""``--from``: a dataset from what the user has, be it archives or the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moodbench.catalog import DatasetSpec
from moodbench.errors import DataError, UsageError
from moodbench.inspection.contents import Contents, examine, holds_something
from moodbench.inspection.manifest import Origin
from moodbench.obtain.fill import Means, from_archives
from moodbench.obtain.jobs import Job
from moodbench.obtain.local import find_archives, find_images, take_images
from moodbench.obtain.partial import finish, write_notes
from moodbench.obtain.plan import Plan
from moodbench.obtain.promote import complete, folder_of, incomplete
from moodbench.obtain.room import check_room


def take(plan: Plan, means: Means, source: Path, link: str | None) -> tuple[Origin, dict[str, Contents]]:
    """Fill the folder of the wanted dataset from `source`; see `moodbench.obtain.run.obtain`.

    Archives fill the folder of the whole, images that of the dataset which is asked for. A dataset that lies in
    `source` already gets its notes. Returns the same as `complete`.
    """
    job, data_dir = plan.job, means.data_dir
    spec = job.wanted[0]
    target = folder_of(spec, data_dir)
    if source.resolve() == target.resolve():
        return _note_in_place(job, target, means)
    if holds_something(target):
        raise incomplete(plan, data_dir)
    local = find_archives(source, job.whole.archives)
    if not local:
        folder, found = find_images(spec, source, data_dir)
        origin = take_images(spec, folder, found, data_dir, link=link, progress=means.progress)
        origin = finish(data_dir, target, origin, progress=means.progress)
        return origin, _look(job.wanted, data_dir)
    if link is not None:
        raise UsageError(f"--link is for a folder of images, but this is an archive: '{next(iter(local.values()))}'")
    unpacked = sum(archive.max_bytes for archive in job.whole.archives)
    check_room(unpacked, data_dir, f"to unpack the archives of '{job.whole.name}'")
    return complete(job, from_archives(job.whole, local, means), means)


def _note_in_place(job: Job, folder: Path, means: Means) -> tuple[Origin, dict[str, Contents]]:
    spec = job.wanted[0]
    found = examine(spec, folder, means.data_dir)
    if found.lack is not None:
        raise DataError(f"the folder does not hold the images of '{spec.name}': {found.lack}", file=folder)
    origin = Origin.begun(spec.name, "in place", str(folder.resolve()))
    origin = write_notes(means.data_dir, folder, origin, progress=means.progress)
    return origin, {spec.name: found, **_look(job.wanted[1:], means.data_dir)}


def _look(specs: Sequence[DatasetSpec], data_dir: Path) -> dict[str, Contents]:
    return {spec.name: examine(spec, folder_of(spec, data_dir), data_dir) for spec in specs}
