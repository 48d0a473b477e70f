"""What has to be done for a folder, found by looking at the disk. Nothing is changed, nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from moodbench.catalog import FEATURES_ONLY, DatasetSpec
from moodbench.datasets.image_files import counted
from moodbench.datasets.images import dataset_folder
from moodbench.inspection.contents import Contents, examine, holds_something
from moodbench.inspection.manifest import read_manifest
from moodbench.obtain.archives import begun
from moodbench.obtain.fetched_lists import lacks_list
from moodbench.obtain.jobs import Job
from moodbench.obtain.room import check_room
from moodbench.sizes import human_bytes

Action = Literal["bundled", "features", "look", "there", "incomplete", "download", "images", "draw", "by hand"]
"""``features``: the catalogue names no images of it. ``look``: something is there, and has to be looked at.
``images``: fetch them one by one. ``draw``: by a recipe."""

_WORDS: dict[Action, str] = {
    "bundled": "nothing: bundled",
    "features": f"nothing: {FEATURES_ONLY}",
    "look": "look at what is there",
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
    found: Mapping[str, Contents] = field(default_factory=dict)
    lists: tuple[DatasetSpec, ...] = ()
    fetch: int = 0
    unknown: int = 0
    unpacked: int = 0

    @property
    def records(self) -> list[dict[str, Any]]:
        """A row for people for each wanted dataset; the work for all of them stands in the first."""
        sizes = [human_bytes(self.fetch)] if self.fetch else []
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
                    "unpacked": f"≤ {human_bytes(self.unpacked)}" if spec is first and self.unpacked else None,
                }
            )
        return rows


def outline(job: Job, data_dir: Path) -> Plan:
    """Say what is to be done as far as names tell: a folder that is there is not looked into (``look``)."""
    if job.whole.bundled is not None:
        return Plan(job, "bundled")
    folder = job.folder(data_dir)
    if folder is None:
        return Plan(job, "features")
    if holds_something(folder):
        return Plan(job, "look")
    if job.whole.generated is not None:
        return Plan(job, "draw")
    if job.whole.per_image is not None:
        return Plan(job, "images")
    archives = job.whole.archives
    if not archives or not all(archive.urls for archive in archives):
        return Plan(job, "by hand")
    return Plan(
        job,
        "download",
        fetch=sum(max(0, archive.bytes - begun(data_dir, archive)) for archive in archives if archive.bytes),
        unknown=sum(archive.bytes is None for archive in archives),
        unpacked=sum(archive.max_bytes for archive in archives),
    )


def survey(job: Job, data_dir: Path) -> Plan:
    """Look at the disk and say what is to be done."""
    plan = outline(job, data_dir)
    if plan.action in ("bundled", "features"):
        return plan
    needed = dict.fromkeys((*job.wanted, *((job.whole,) if job.whole.per_image else ())))
    plan = replace(plan, lists=tuple(spec for spec in needed if lacks_list(spec, data_dir)))
    return look(plan, data_dir) if plan.action == "look" else plan


def look(plan: Plan, data_dir: Path) -> Plan:
    """Look at a folder that is there: are the wanted datasets in it? At those whose list is here, and each once."""
    job = plan.job
    found = {
        spec.name: plan.found.get(spec.name) or _examine(spec, _folder(spec, data_dir), data_dir)
        for spec in job.wanted
        if spec not in plan.lists
    }
    lacks = [f"{name}: {each.lack}" if len(job.wanted) > 1 else each.lack for name, each in found.items() if each.lack]
    lack = "; ".join(filter(None, lacks)) or None
    return replace(plan, action="incomplete" if lacks else "there", lack=lack, found=found)


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
    what = f"(archives: {human_bytes(download)}, unpacked: at most {human_bytes(unpacked)}{more})"
    check_room(download + unpacked, data_dir, what)
