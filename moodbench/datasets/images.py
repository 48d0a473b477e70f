"""Which images a dataset has, in which order, and with which labels: the door to this package.

Order and labels are the same on every machine: they follow from the names alone. Row *i* of a feature cache is image
*i* of its `ImageSource`, and the source's fingerprint tells whether two sources list the same images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moodbench.catalog import FEATURES_ONLY, ListSpec
from moodbench.datasets import labels as rules
from moodbench.datasets.decode import MAX_PIXELS, to_rgb
from moodbench.datasets.image_files import file_size, looks_filled
from moodbench.datasets.inventory import FolderInventory, Inventory
from moodbench.datasets.labelling import labelled
from moodbench.datasets.labels import UNKNOWN, imagenet_wnids
from moodbench.datasets.lists import ImageList, list_file, read_list
from moodbench.datasets.match import match_list, promised
from moodbench.datasets.packed.listing import list_packed
from moodbench.datasets.packed.places import Place, is_packed, packed_is_there, packed_place
from moodbench.datasets.sources import ArrayImages, FolderImages, ImageSource, PackedImages
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
    "PackedImages",
    "bundled_images",
    "dataset_folder",
    "expected_ids",
    "folder_images",
    "imagenet_wnids",
    "is_on_disk",
    "open_folder",
    "open_images",
    "packed_at",
    "packed_images",
    "to_rgb",
]


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
    left_out: Counter[str] = Counter()
    chosen = _choose(FolderInventory(root), image_list, labels, include, left_out)
    return FolderImages(
        root, chosen.ids, chosen.labels, chosen.sizes, chosen.classes, left_out=dict(left_out), remarks=chosen.remarks
    )


def packed_images(
    place: Place,
    *,
    image_list: Path | ImageList | None = None,
    labels: str | Path = "auto",
    include: Sequence[str] = (),
    data_dir: Path | None = None,
) -> PackedImages:
    """List the images of an archive, a table or an address, or those that a list selects; see `folder_images`.

    ``auto`` labels are those of a list, else those beside the images (a table's column, WebDataset's ``.cls``), else
    those of ``folder``; ``list`` takes either of the first two. The index of an archive is kept below `data_dir`.
    """
    content = list_packed(place, data_dir, progress=True)
    left_out: Counter[str] = Counter()
    chosen = _choose(content, image_list, labels, include, left_out)
    rows = np.array([content.rows[name] for name in chosen.ids], np.int64)
    return PackedImages(
        content.root,
        chosen.ids,
        chosen.labels,
        chosen.sizes,
        chosen.classes,
        left_out=dict(left_out),
        remarks=chosen.remarks,
        content=content.content,
        rows=rows,
    )


@dataclass(frozen=True)
class _Chosen:
    """The images that are meant, in order."""

    ids: tuple[str, ...]
    labels: rules.Labels
    sizes: NDArray[np.int64]
    classes: tuple[str, ...]
    remarks: tuple[str, ...]


def _choose(
    place: Inventory,
    image_list: Path | ImageList | None,
    labels: str | Path,
    include: Sequence[str],
    left_out: Counter[str],
) -> _Chosen:
    place.check(include)
    numbers: Mapping[str, int]
    if image_list is None:
        found, numbers = place.scan(include, left_out), place.numbers
        if not found:
            other = f", but other files: {in_words(left_out)}" if left_out else ""
            raise DataError(
                f"{place.kind} holds no images{other}",
                file=place.root,
                fix=f"put images there (any of {' '.join(sorted(image_suffixes()))})",
            )
    else:
        if not isinstance(image_list, ImageList):
            image_list = read_list(ListSpec(image_list.name, image_list), image_list, include=include)
        found, numbers = match_list(place, image_list, include)
        numbers = numbers or {name: number for name, number in place.numbers.items() if name in found}
        if labels == "list" and not numbers:
            raise DataError(
                "labels come from the image list, but none of its lines ends in a number",
                file=image_list.file,
                fix="add a class number to each line, or choose another rule for 'labels' in the catalogue",
            )
    ids = tuple(found)
    sizes = np.fromiter(found.values(), dtype=np.int64, count=len(ids))
    values, classes, remarks = labelled(place, ids, numbers, labels, include, whole=image_list is None)
    return _Chosen(ids, values, sizes, classes, remarks)


def bundled_images(key: str) -> ArrayImages:
    """Return the bundled set `key`; an unknown key is an `UnknownNameError`."""
    from moodbench.datasets.digits import BUNDLED

    if key not in BUNDLED:
        raise UnknownNameError("bundled dataset", key, BUNDLED)
    made = BUNDLED[key]()
    return ArrayImages(tuple(made.images), tuple(made.ids), np.asarray(made.labels, dtype=np.int64), made.classes)


def dataset_folder(spec: DatasetSpec, data_dir: Path) -> Path | None:
    """Return where on this disk the images of a dataset are expected; None if it is bundled, elsewhere, or has none."""
    if spec.path is not None:
        return spec.path
    return None if spec.folder is None else Path(data_dir) / spec.folder


def is_on_disk(spec: DatasetSpec, data_dir: Path) -> bool:
    """Say whether a dataset's images, and its list, seem to be there. Cheap: looks at the folder, not at the images."""
    if spec.bundled is not None:
        return True
    if spec.address is not None:
        return True
    folder = dataset_folder(spec, data_dir)
    if folder is None:
        return False
    if not (packed_is_there(folder) if is_packed(folder) else looks_filled(folder, spec.include)):
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
    place = FolderInventory(folder)
    labels, classes, _ = labelled(place, tuple(ids), {}, spec.labels, spec.include, whole=listed is None)
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
    where = packed_at(spec, data_dir)
    if where is not None:
        return _open_packed(spec, where, data_dir)
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


def packed_at(spec: DatasetSpec, data_dir: Path) -> str | None:
    """Return the archive, table or address of a dataset whose images lie packed; None of any other."""
    if spec.address is not None:
        return spec.address
    folder = dataset_folder(spec, data_dir)
    return str(folder) if folder is not None and is_packed(folder) else None


def _open_packed(spec: DatasetSpec, where: str, data_dir: Path) -> PackedImages:
    return packed_images(
        packed_place(where),
        image_list=_list_of(spec, data_dir),
        labels=spec.labels,
        include=spec.include,
        data_dir=data_dir,
    )


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
