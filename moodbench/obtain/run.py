"""One folder from wherever its images come from: filled under a lock, checked, noted, and given its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moodbench.catalog import DatasetSpec
from moodbench.datasets.images import dataset_folder
from moodbench.errors import DataError, MoodbenchError
from moodbench.inspection.contents import Contents
from moodbench.inspection.manifest import Origin, read_origin
from moodbench.lock import exclusive
from moodbench.obtain.asset import THERE, Asset
from moodbench.obtain.fetched_lists import fetch_list
from moodbench.obtain.fill import Means, by_drawing, from_archives, from_single_images
from moodbench.obtain.jobs import Job
from moodbench.obtain.partial import clear, forget, partial_folder, put, recover
from moodbench.obtain.plan import Plan, look, survey
from moodbench.obtain.promote import complete, folder_of, incomplete
from moodbench.obtain.take import take


class ByHandError(DataError):
    """A person has to fetch this; `job` says what."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.whole.name} has to be fetched by hand", fix="follow the steps that were shown")
        self.job = job


def obtain(
    job: Job, means: Means, *, source: Path | None = None, link: str | None = None
) -> dict[str, Asset | MoodbenchError]:
    """Fill the folder of `job`, unless it is there; return what became of each wanted dataset.

    Parameters
    ----------
    job : Job
    means : Means
    source : Path, optional
        What the user has: an archive, a folder of archives, or a folder of images.
    link : {"hard", "symbolic"}, optional
        Link to the images of that folder instead of copying them.

    Raises
    ------
    ByHandError
        It is not there, there is no `source`, and no program may fetch it.
    MoodbenchError
        Nothing of what is wanted could be obtained. What was fetched and checked stays for the next call.
    """

    def waiting() -> None:
        means.report(f"another process is obtaining {job.whole.name}: waiting for it")

    with exclusive(partial_folder(means.data_dir, job.whole.name), waiting=waiting, tidy=True):
        for spec in dict.fromkeys((job.whole, *job.wanted)):
            folder = dataset_folder(spec, means.data_dir)
            if folder is not None:
                recover(means.data_dir, spec.name, folder)
        plan = survey(job, means.data_dir)
        if source is None and plan.action == "by hand":
            raise ByHandError(job)
        plan, errors = _with_lists(plan, means)
        left = plan.job
        in_place = source is not None and source.resolve() == folder_of(left.wanted[0], means.data_dir).resolve()
        there = plan.action == THERE and not in_place
        if there:
            origin, contents = _origin(left, means.data_dir), plan.found
        else:
            origin, contents = _fill(plan, means) if source is None else take(plan, means, source, link)
        state = THERE if there or origin is None else origin.how
        note = None if origin is None else origin.note
        return {
            spec.name: errors.get(spec.name) or _asset(spec, contents[spec.name], state, note, means.data_dir)
            for spec in job.wanted
        }


def _with_lists(plan: Plan, means: Means) -> tuple[Plan, dict[str, MoodbenchError]]:
    """Fetch the lists that lack; return the plan without those datasets whose list could not be had."""
    errors: dict[str, MoodbenchError] = {}
    for spec in plan.lists:
        try:
            fetch_list(spec, means.data_dir, report=means.report)
        except MoodbenchError as error:
            errors[spec.name] = error
    whole = plan.job.whole
    left = tuple(spec for spec in plan.job.wanted if spec.name not in errors)
    if not left or (whole.per_image and whole.name in errors):
        raise next(iter(errors.values()))
    if plan.lists:
        plan = replace(plan, job=replace(plan.job, wanted=left), lists=())
        plan = look(plan, means.data_dir) if plan.action in ("there", "incomplete") else plan
    return plan, errors


def _fill(plan: Plan, means: Means) -> tuple[Origin, dict[str, Contents]]:
    whole = plan.job.whole
    if plan.action == "incomplete":
        folder = folder_of(whole, means.data_dir)
        if not whole.per_image or read_origin(means.data_dir, whole.name) is None or folder.is_symlink():
            raise incomplete(plan, means.data_dir)
        means.report(f"complete {whole.name}: {plan.lack}")
        _take_back(whole.name, folder, means.data_dir)
    return complete(plan.job, _bring(plan, means), means)


def _bring(plan: Plan, means: Means) -> Origin:
    if plan.action == "download":
        return from_archives(plan.job.whole, {}, means)
    if plan.action == "draw":
        return by_drawing(plan.job.whole, means)
    return from_single_images(plan.job.whole, means)


def _take_back(name: str, folder: Path, data_dir: Path) -> None:
    """Make a partial folder of one that lost images: the missing ones are fetched into it."""
    forget(data_dir, name)
    partial = partial_folder(data_dir, name)
    clear(partial)
    put(folder, partial)


def _asset(spec: DatasetSpec, found: Contents, state: str, note: str | None, data_dir: Path) -> Asset | DataError:
    """Return a wanted dataset as it is in its folder: complete, or the error that it is not."""
    folder = folder_of(spec, data_dir)
    if found.lack is not None:
        return DataError(f"'{spec.name}' is incomplete: {found.lack}", file=folder)
    return Asset(spec.name, "dataset", state, len(found.names), found.bytes, folder, note)


def _origin(job: Job, data_dir: Path) -> Origin | None:
    notes = (read_origin(data_dir, spec.name) for spec in (*job.wanted, job.whole))
    return next((each for each in notes if each is not None), None)
