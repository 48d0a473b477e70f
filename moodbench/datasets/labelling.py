"""Labels, class names and remarks of a place's images, by the rule that the user or the catalogue names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from moodbench.classes import natural_key, orders_differ
from moodbench.datasets import labels as rules
from moodbench.datasets.image_files import counted
from moodbench.datasets.inventory import Inventory
from moodbench.errors import DataError

BESIDE = "beside the class folders"


def labelled(
    place: Inventory,
    ids: tuple[str, ...],
    numbers: Mapping[str, int],
    labels: str | Path,
    include: Sequence[str],
    *,
    whole: bool,
) -> tuple[rules.Labels, tuple[str, ...], tuple[str, ...]]:
    """Return labels, class names and remarks after the rule `labels`; `whole` says whether `ids` are all images."""
    if labels == "imagenet":
        rules.count_from_0(place.root, ids, place.folders())
        values = rules.imagenet_labels(ids)
        why = "in no folder that is called by a WordNet id or number of ImageNet-1k"
        return values, rules.imagenet_wnids(), _about_unlabelled(values, why)
    if labels == "list" or (labels == "auto" and numbers):
        values = rules.listed_labels(ids, numbers)
        where = "without a number beside them" if place.numbers else "on lines of the list without a number"
        return (
            values,
            _named(place.classes, values),
            _about_unlabelled(values, where),
        )
    if labels == "none" or not any("/" in name for name in ids):
        return rules.unknown_labels(len(ids)), (), ()
    if labels == "index":
        values, classes = rules.index_labels(place.root, ids)
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
    found = include or (used if whole else place.class_folders())
    classes = tuple(sorted(found, key=natural_key if labels == "natural" else None))
    values = rules.folder_labels(ids, classes)
    remarks = _about_folders(place, classes, labels, include) + _about_unlabelled(values, BESIDE)
    return values, classes, remarks


def _about_unlabelled(labels: rules.Labels, where: str) -> tuple[str, ...]:
    """Return what to say of images without a label, which lie (or stand) `where`."""
    count = int((labels == rules.UNKNOWN).sum())
    has = "has" if count == 1 else "have"
    return (f"{count} of {len(labels)} images {has} no label ({where})",) if count else ()


def _about_folders(place: Inventory, classes: tuple[str, ...], labels: str, include: Sequence[str]) -> tuple[str, ...]:
    """Return what to say of class folders: in which order they are numbered, and which are none."""
    remarks = []
    if labels in ("auto", "folder") and orders_differ(classes):
        first, other = (", ".join(map(repr, sorted(classes, key=key)[:3])) for key in (None, natural_key))
        remarks.append(
            f"its {len(classes)} class folders are numbered in the order of code points ({first}, …); a classifier "
            f"that was trained in natural order ({other}, …), as timm's are, needs labels: natural"
        )
    empty = [] if include else sorted({*place.folders()} - {*classes})
    if empty:
        remarks.append(
            counted(empty, "folder holds", "folders hold", "no image and is no class")
            + "; to keep its number, name all folders in a file (labels: FILE)"
        )
    return tuple(remarks)


def _named(classes: tuple[str, ...], values: rules.Labels) -> tuple[str, ...]:
    """Return the names of the classes if there is one for each label, else none."""
    return classes if len(values) and values.max() < len(classes) else ()
