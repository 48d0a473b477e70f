"""What has to be done for a folder, found by looking at the disk. Nothing is changed, nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from moodbench.catalog import FEATURES_ONLY, DatasetSpec
from moodbench.datasets.images import dataset_folder
from moodbench.datasets.listing import counted
from moodbench.inspection.contents import Contents, examine, holds_something
from moodbench.inspection.manifest import read_manifest
from moodbench.obtain.archives import begun
from moodbench.obtain.jobs import Job
from moodbench.obtain.lists import lacks_list
from moodbench.obtain.sizes import check_room, in_words

Action = Literal["bundled", "features", "there", "incomplete", "download", "images", "draw", "by hand"]
"""``features``: the catalogue names no images of it. ``images``: fetch them one by one. ``draw``: by a recipe."""

_WORDS: dict[Action, str] = {
    "bundled": "nothing: bundled",
    "features": f"nothing: {FEATURES_ONLY}",
    "there": "nothing: complete",
    "incomplete": "stop: incomplete",
    "download": "download",
    "images": "download image by image",
    "draw": "draw",
    "by hand": "by hand",
}


@dataclass(frozen=True)
class Plan:
    """What is to be done for one folder.

    Attributes
    ----------
    job : Job
    action : str
    lack : str or None
        What an incomplete folder lacks.
    found : mapping of dataset to Contents
        Of the wanted datasets that are there.
    lists : tuple of DatasetSpec
        Datasets whose list has to be fetched.
    fetch : int
        Bytes of the archives that have still to be fetched, as far as their sizes are known.
    unknown : int
        How many archives have no known size.
    unpacked : int
        What the archives may unpack to at most.
    """

    job: Job
    action: Action
    lack: str | None = None
    found: dict[str, Contents] | None = None
    lists: tuple[DatasetSpec, ...] = ()
    fetch: int = 0
    unknown: int = 0
    unpacked: int = 0

    @property
    def records(self) -> list[dict[str, Any]]:
        """A row for people for each wanted dataset; the work for all of them stands in the first."""
        sizes = [in_words(self.fetch)] if self.fetch else []
        sizes += ["size unknown"] if self.unknown or self.action == "images" else []
        first, rows = self.job.wanted[0], []
        for spec in self.job.wanted:
            to_do = _WORDS[self.action] if spec is first else f"with {first.name}"
            if spec is first or self.action in ("bundled", "features", "there"):
                to_do = _WORDS[self.action] + (f" ({self.lack})" if self.lack else "")
            rows.append(
                {
                    "dataset": spec.name,
                    "images": spec.images,
                    "to do": to_do + (", fetch its list" if spec in self.lists else ""),
                    "download": " + ".join(sizes) if spec is first and sizes else None,
                    "unpacked": f"≤ {in_words(self.unpacked)}" if spec is first and self.unpacked else None,
                }
            )
        return rows


def survey(job: Job, data_dir: Path) -> Plan:
    """Look at the disk and say what is to be done."""
    if job.whole.bundled is not None:
        return Plan(job, "bundled")
    folder = job.folder(data_dir)
    if folder is None:
        return Plan(job, "features")
    needed = (*job.wanted, *((job.whole,) if job.whole.per_image and job.whole not in job.wanted else ()))
    if holds_something(folder):
        return _look(job, data_dir)
    lists = tuple(spec for spec in needed if lacks_list(spec, data_dir))
    archives = job.whole.archives
    if job.whole.generated is not None:
        return Plan(job, "draw", lists=lists)
    if job.whole.per_image is not None:
        return Plan(job, "images", lists=lists)
    if not archives or not all(archive.urls for archive in archives):
        return Plan(job, "by hand", lists=lists)
    return Plan(
        job,
        "download",
        lists=lists,
        fetch=sum(max(0, archive.bytes - begun(data_dir, archive)) for archive in archives if archive.bytes),
        unknown=sum(archive.bytes is None for archive in archives),
        unpacked=sum(archive.max_bytes for archive in archives),
    )


def _look(job: Job, data_dir: Path) -> Plan:
    """Look at a folder that is there: are the wanted datasets in it?"""
    found: dict[str, Contents] = {}
    lists = tuple(spec for spec in job.wanted if lacks_list(spec, data_dir))
    for spec in job.wanted:
        if spec not in lists:
            found[spec.name] = _examine(spec, _folder(spec, data_dir), data_dir)
    lacks = [f"{name}: {each.lack}" if len(job.wanted) > 1 else each.lack for name, each in found.items() if each.lack]
    return Plan(job, "incomplete" if lacks else "there", "; ".join(filter(None, lacks)) or None, found, lists)


def _examine(spec: DatasetSpec, folder: Path, data_dir: Path) -> Contents:
    """Look at a dataset in its folder. Where the catalogue does not say what there should be, the manifest does."""
    found = examine(spec, folder, data_dir)
    if found.lack is not None or spec.images is not None or spec.image_list is not None:
        return found
    noted = read_manifest(data_dir, spec.name) or {}
    here = set(found.names)
    gone = [name for name in noted if name not in here]
    return replace(found, lack=counted(gone, "image is", "images are", "missing")) if gone else found


def _folder(spec: DatasetSpec, data_dir: Path) -> Path:
    folder = dataset_folder(spec, data_dir)
    assert folder is not None  # a part of a folder has one
    return folder


def check_disk(plans: Sequence[Plan], data_dir: Path, *, keep_archives: bool) -> None:
    """Raise `DataError` if the disk may be too full for the downloads, before anything is fetched.

    Archives are removed when they have been unpacked (unless they are kept), so only the largest counts on top of what
    everything unpacks to.
    """
    work = [plan for plan in plans if plan.action == "download"]
    if not work:
        return
    fetches = [plan.fetch for plan in work]
    unpacked = sum(plan.unpacked for plan in work)
    download = sum(fetches) if keep_archives else max(fetches)
    more = ", and archives of unknown size" if any(plan.unknown for plan in work) else ""
    what = f"(archives: {in_words(download)}, unpacked: at most {in_words(unpacked)}{more})"
    check_room(download + unpacked, data_dir, what)
