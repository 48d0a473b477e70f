"""Which images a dataset has, in which order, and with which labels: the door to this package.

Order and labels are the same on every machine: they follow from the names alone. Row *i* of a feature cache is image
*i* of its `ImageSource`, and the source's fingerprint tells whether two sources list the same images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moodbench.catalog import FEATURES_ONLY, ListSpec
from moodbench.classes import natural_key, orders_differ
from moodbench.datasets import labels as rules
from moodbench.datasets.decode import MAX_PIXELS, to_rgb
from moodbench.datasets.image_files import (
    check_folder,
    class_folders,
    counted,
    file_size,
    first_level_folders,
    looks_filled,
    scan_folder,
)
from moodbench.datasets.labels import UNKNOWN, imagenet_wnids
from moodbench.datasets.lists import ImageList, list_file, read_list
from moodbench.datasets.match import match_list, promised
from moodbench.datasets.sources import ArrayImages, FolderImages, ImageSource
from moodbench.datasets.suffixes import image_suffixes, in_words
from moodbench.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from moodbench.catalog import DatasetSpec

__all__ = [
    "MAX_PIXELS",
    "UNKNOWN",
    "ArrayImages",
    "FolderImages",
    "ImageSource",
    "bundled_images",
    "dataset_folder",
    "expected_ids",
    "folder_images",
    "imagenet_wnids",
    "is_on_disk",
    "open_folder",
    "open_images",
    "to_rgb",
]


BESIDE = "beside the class folders"


def folder_images(
    root: Path,
    *,
    image_list: Path | ImageList | None = None,
    labels: str | Path = "auto",
    include: Sequence[str] = (),
) -> FolderImages:
    """List the images of a folder, or those that a list selects.

    Without `image_list`: every image file at any depth, in the order of `scan_folder`.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    image_list : Path or ImageList, optional
        It selects and orders. A file has one path per line, relative to `root`. An integer after the last blank is the
        label, unless there is no such image while the whole line names one. Blank lines and CRLF are tolerated.
    labels : one of `LABEL_RULES`, or Path
        ``folder``: the class is the first-level sub-folder, indexed in sorted order of the names of `include`, or of
        all that hold an image, so that a list that leaves images out does not renumber the classes; an image directly
        in `root` has label -1. ``sorted`` and ``natural`` say the order. A file names the folders in order, one a line,
        and so keeps the number of a class without images. ``index``: the folder is called by the number. ``list``: the
        integer of its line; -1 where a line has none. ``imagenet``: see `imagenet_labels`. ``auto``: ``list`` if a line
        has an integer, else ``folder``. ``none``: all are -1.
    include : sequence of str
        The first-level folders that count. Empty: all.

    Raises
    ------
    DataError
        `root` or an included folder is missing, there is no image, a listed image is missing, the list cannot be used,
        a name is not UTF-8, or no line of the list has the label that ``list`` asks for.
    """
    root = Path(root)
    check_folder(root, include)
    numbers: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    if image_list is None:
        found = scan_folder(root, include, left_out)
        if not found:
            other = f", but other files: {in_words(left_out)}" if left_out else ""
            raise DataError(
                f"the folder holds no images{other}",
                file=root,
                fix=f"put images there (any of {' '.join(sorted(image_suffixes()))})",
            )
    else:
        if not isinstance(image_list, ImageList):
            image_list = read_list(ListSpec(image_list.name, image_list), image_list, include=include)
        found, numbers = match_list(root, image_list, include)
        if labels == "list" and not numbers:
            raise DataError(
                "labels come from the image list, but none of its lines ends in a number",
                file=image_list.file,
                fix="add a class number to each line, or choose another rule for 'labels' in the catalogue",
            )
    ids = tuple(found)
    sizes = np.fromiter(found.values(), dtype=np.int64, count=len(ids))
    values, classes, remarks = _labelled(root, ids, numbers, labels, include, whole=image_list is None)
    return FolderImages(root, ids, values, sizes, classes, left_out=dict(left_out), remarks=remarks)


def _labelled(
    root: Path,
    ids: tuple[str, ...],
    numbers: dict[str, int],
    labels: str | Path,
    include: Sequence[str],
    *,
    whole: bool,
) -> tuple[rules.Labels, tuple[str, ...], tuple[str, ...]]:
    """Return labels, class names and remarks after the rule `labels`; `whole` says whether `ids` are all images."""
    if labels == "imagenet":
        rules.count_from_0(root, ids, first_level_folders(root))
        values = rules.imagenet_labels(ids)
        why = "in no folder that is called by a WordNet id or number of ImageNet-1k"
        return values, imagenet_wnids(), _about_unlabelled(values, why)
    if labels == "list" or (labels == "auto" and numbers):
        values = rules.listed_labels(ids, numbers)
        return values, (), _about_unlabelled(values, "on lines of the list without a number")
    if labels == "none" or not any("/" in name for name in ids):
        return rules.unknown_labels(len(ids)), (), ()
    if labels == "index":
        values, classes = rules.index_labels(root, ids)
        return values, classes, _about_unlabelled(values, BESIDE)
    used = {name.split("/", 1)[0] for name in ids if "/" in name}
    if isinstance(labels, Path):
        classes = rules.read_class_file(labels)
        strange = sorted(used - {*classes})
        if strange:
            raise DataError(
                counted(strange, "class folder is", "class folders are", "not named in the file of class folders"),
                file=labels,
                fix="name every folder that holds images, or leave it out with 'include'",
            )
        values = rules.folder_labels(ids, classes)
        return values, classes, _about_unlabelled(values, BESIDE)
    found = include or (used if whole else class_folders(root))
    classes = tuple(sorted(found, key=natural_key if labels == "natural" else None))
    values = rules.folder_labels(ids, classes)
    remarks = _about_folders(root, classes, labels, include) + _about_unlabelled(values, BESIDE)
    return values, classes, remarks


def _about_unlabelled(labels: rules.Labels, where: str) -> tuple[str, ...]:
    """Return what to say of images without a label, which lie (or stand) `where`."""
    count = int((labels == rules.UNKNOWN).sum())
    has = "has" if count == 1 else "have"
    return (f"{count} of {len(labels)} images {has} no label ({where})",) if count else ()


def _about_folders(root: Path, classes: tuple[str, ...], labels: str, include: Sequence[str]) -> tuple[str, ...]:
    """Return what to say of class folders: in which order they are numbered, and which are none."""
    remarks = []
    if labels in ("auto", "folder") and orders_differ(classes):
        first, other = (", ".join(map(repr, sorted(classes, key=key)[:3])) for key in (None, natural_key))
        remarks.append(
            f"its {len(classes)} class folders are numbered in the order of code points ({first}, …); a classifier "
            f"that was trained in natural order ({other}, …), as timm's are, needs labels: natural"
        )
    empty = [] if include else sorted({*first_level_folders(root)} - {*classes})
    if empty:
        remarks.append(
            counted(empty, "folder holds", "folders hold", "no image and is no class")
            + "; to keep its number, name all folders in a file (labels: FILE)"
        )
    return tuple(remarks)


def bundled_images(key: str) -> ArrayImages:
    """Return the bundled set `key`; an unknown key is an `UnknownNameError`."""
    from moodbench.datasets.digits import BUNDLED

    if key not in BUNDLED:
        raise UnknownNameError("bundled dataset", key, BUNDLED)
    made = BUNDLED[key]()
    return ArrayImages(tuple(made.images), tuple(made.ids), np.asarray(made.labels, dtype=np.int64), made.classes)


def dataset_folder(spec: DatasetSpec, data_dir: Path) -> Path | None:
    """Return where the images of a dataset are expected; None if it is bundled or has no images."""
    if spec.path is not None:
        return spec.path
    return None if spec.folder is None else Path(data_dir) / spec.folder


def is_on_disk(spec: DatasetSpec, data_dir: Path) -> bool:
    """Say whether a dataset's images, and its list, seem to be there. Cheap: looks at the folder, not at the images."""
    if spec.bundled is not None:
        return True
    folder = dataset_folder(spec, data_dir)
    if folder is None or not looks_filled(folder, spec.include):
        return False
    return spec.image_list is None or file_size(list_file(spec.image_list, data_dir)) is not None


def expected_ids(spec: DatasetSpec, data_dir: Path) -> tuple[str, ...] | None:
    """Return the ids that a dataset's list promises, in its order; None if it has no list. Opens no image.

    In a list that gives bare file names (``match: name``) an image that is on this disk has its path, and one that is
    not has its name.

    Raises
    ------
    DataError
        The list is missing, cannot be read, or is not the one that the catalogue means.
    """
    if spec.image_list is None:
        return None
    listed = _list_of(spec, data_dir)
    assert listed is not None
    return promised(dataset_folder(spec, data_dir), listed, spec.include)


def unlabelled(spec: DatasetSpec, folder: Path, ids: Sequence[str], data_dir: Path) -> int:
    """Return how many of a dataset's images have no label though its classes are known. Opens no image.

    Raises
    ------
    DataError
        The labels cannot be told.
    """
    listed = _list_of(spec, data_dir)
    if listed is not None and spec.labels in ("list", "auto"):
        here = {name.rsplit("/", 1)[-1] for name in ids} if listed.by_name else {*ids}
        read = [[label for path, label in entry.readings if path in here] for entry in listed.images]
        numbers = [labels[0] for labels in read if labels]
        if any(number is not None for number in numbers):
            return numbers.count(None)
    labels, classes, _ = _labelled(folder, tuple(ids), {}, spec.labels, spec.include, whole=listed is None)
    return int((labels == UNKNOWN).sum()) if classes else 0


def open_images(spec: DatasetSpec, data_dir: Path) -> ImageSource:
    """Return the images of a dataset of the catalogue.

    Raises
    ------
    DataError
        The dataset has no images of its own, they are not on this disk, or the folder or list cannot be used.
    """
    if spec.bundled is not None:
        return bundled_images(spec.bundled)
    folder = dataset_folder(spec, data_dir)
    if folder is None:
        raise DataError(
            f"the catalogue names no images of the dataset '{spec.name}': {FEATURES_ONLY}",
            fix="give the entry a 'path', or name the folder with  "
            f"moodbench extract --images FOLDER --dataset {spec.name}; moodbench import  takes features",
        )
    if not looks_filled(folder) and file_size(folder) is None:  # a folder that may not be read counts as filled
        raise DataError(
            f"the images of '{spec.name}' are not on this disk; they are expected in this folder",
            file=folder,
            fix=_how_to_obtain(spec),
        )
    return open_folder(spec, folder, data_dir)


def open_folder(spec: DatasetSpec, folder: Path, data_dir: Path) -> FolderImages:
    """Return the images of a dataset in `folder`, wherever the catalogue expects them; see `folder_images`."""
    return folder_images(folder, image_list=_list_of(spec, data_dir), labels=spec.labels, include=spec.include)


def _list_of(spec: DatasetSpec, data_dir: Path) -> ImageList | None:
    if spec.image_list is None:
        return None
    fix = None
    if spec.image_list.url is not None:
        fix = f"moodbench download {spec.name}  fetches it from {spec.image_list.url}"
    return read_list(spec.image_list, list_file(spec.image_list, data_dir), include=spec.include, fix=fix)


def _how_to_obtain(spec: DatasetSpec) -> str:
    steps = [" ".join(step.split()) for step in spec.steps]
    fetched = spec.per_image or spec.generated or spec.part_of or any(archive.urls for archive in spec.archives)
    lines = [f"moodbench download {spec.name}"] if fetched else []
    if steps and not fetched:
        lines += [f"{i}. {step}" for i, step in enumerate(steps, start=1)] if len(steps) > 1 else steps
    if not spec.generated and (steps or fetched or spec.archives):
        lines.append(f"with files that you have:  moodbench download {spec.name} --from FILE-OR-FOLDER")
    if spec.homepage is not None:
        lines.append(f"homepage: {spec.homepage}")
    if spec.path is None:
        lines.append("or name the folder that holds the datasets with --data-dir")
    return "\n".join(lines) or "put the images there, or correct the path in the catalogue"
