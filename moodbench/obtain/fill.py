"""The three ways to fill a folder: from archives, image by image, by drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moodbench.catalog import ArchiveSpec, DatasetSpec
from moodbench.datasets.images import dataset_folder, expected_ids, is_on_disk
from moodbench.errors import DataError, DownloadError, MoodbenchError
from moodbench.inspection.manifest import Origin
from moodbench.obtain.archives import CheckedArchive, check_local, fetch_archive, set_aside
from moodbench.obtain.layouts.base import LAYOUTS
from moodbench.obtain.partial import begin, clear
from moodbench.obtain.per_image import failed_file, fetch_images, write_failures
from moodbench.obtain.recipes.base import DRAWING_RECIPES
from moodbench.transfer.meter import Meter
from moodbench.types import Report


@dataclass(frozen=True)
class Means:
    """What filling works with.

    Attributes
    ----------
    data_dir : Path
    report : callable
        Takes lines for people.
    meter : Meter
    progress : bool
        Bars may be shown.
    jobs : int
        Single images at a time.
    photographs : DatasetSpec or None
        ImageNet's validation images, which recipes look at where they are on this disk.
    """

    data_dir: Path
    report: Report
    meter: Meter
    progress: bool
    jobs: int
    photographs: DatasetSpec | None


def from_archives(whole: DatasetSpec, local: Mapping[str, Path], means: Means) -> Origin:
    """Unpack the archives of a dataset into its partial folder; those that are not `local` are fetched.

    Raises
    ------
    DataError
        An archive cannot be had, is not the right one, or cannot be unpacked.
    """
    by_hand = [archive.file for archive in whole.archives if archive.file not in local and not archive.urls]
    if by_hand:
        raise DataError(
            f"'{whole.name}' also needs {', '.join(map(repr, by_hand))}, which a person has to fetch",
            fix="put all archives into one folder and name that with --from",
        )
    layout = LAYOUTS.get(whole.layout)
    checked = [_check(whole, archive, local, means) for archive in whole.archives]
    partial = begin(means.data_dir, whole.name)
    try:
        layout(whole, {each.spec.file: each.file for each in checked}, partial, means.progress)
    except MoodbenchError as error:
        clear(partial)
        for each in checked:
            # nothing else says that such a file is right: the next call fetches it anew
            if not each.known and each.spec.file not in local:
                aside = set_aside(each.file)
                error.file = aside if error.file == each.file else error.file
        raise
    sources = [each.source for each in checked]
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    how = "unpacked" if local else "downloaded"
    return Origin.begun(whole.name, how, sources[0] + more, tuple(each.record for each in checked))


def _check(whole: DatasetSpec, archive: ArchiveSpec, local: Mapping[str, Path], means: Means) -> CheckedArchive:
    if archive.file in local:
        return check_local(archive, local[archive.file], report=means.report)
    return fetch_archive(archive, means.data_dir, whole.name, meter=means.meter, report=means.report)


def from_single_images(whole: DatasetSpec, means: Means) -> Origin:
    """Fetch the images of a dataset one by one into its partial folder.

    Raises
    ------
    DownloadError
        Some could not be fetched. Those that could stay, and a file names the others.
    """
    address = whole.per_image
    names = expected_ids(whole, means.data_dir)
    assert address is not None
    assert names is not None  # the catalogue sees to both
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"the image list of '{whole.name}' repeats '{twice}'", fix="correct the list")
    partial = begin(means.data_dir, whole.name, keep=True)
    failures = fetch_images(address, names, partial, jobs=means.jobs, progress=means.progress)
    write_failures(means.data_dir, whole.name, failures)
    if failures:
        raise DownloadError(
            f"{len(failures)} of the {len(names)} images of '{whole.name}' could not be fetched; "
            f"of the first, '{failures[0].path}': {failures[0].reason}",
            file=failed_file(means.data_dir, whole.name),
            fix="run the same command again: it tries only those that are missing; the file names them",
        )
    return Origin.begun(whole.name, "downloaded", address)


def by_drawing(whole: DatasetSpec, means: Means) -> Origin:
    """Draw the images of a dataset into its partial folder."""
    assert whole.generated is not None
    recipe = DRAWING_RECIPES.get(whole.generated)
    photographs = None
    if means.photographs is not None and is_on_disk(means.photographs, means.data_dir):
        photographs = dataset_folder(means.photographs, means.data_dir)
    drawing = recipe(begin(means.data_dir, whole.name), photographs, means.progress)
    return Origin.begun(whole.name, "generated", whole.generated, note=drawing.note)
