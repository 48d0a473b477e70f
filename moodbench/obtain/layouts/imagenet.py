"""ImageNet-1k (ILSVRC 2012) as its organisers pack it, into one folder per WordNet id."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from moodbench.catalog import DatasetSpec
from moodbench.obtain.layouts.base import LAYOUTS
from moodbench.obtain.layouts.parts import Source, known_sources
from moodbench.obtain.unpack import members, nested
from moodbench.obtain.unpack.names import is_hidden

VAL = "ILSVRC2012_img_val.tar"
TRAIN = "ILSVRC2012_img_train.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"

_META = "data/meta.mat"
_TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"
_DEVKIT_LIMIT = 64 << 20


@LAYOUTS.register("imagenet_val")
def imagenet_val(spec: DatasetSpec, files: Mapping[str, Path], target: Path, progress: bool) -> None:
    """Sort the flat validation images into folders by what the development kit says. See `Layout`.

    The n-th line of the ground truth belongs to the n-th file by name, and names a class by its ILSVRC2012_ID, which
    is no index among the sorted classes.
    """
    parts = known_sources(spec, files, (VAL, DEVKIT), all_of=True)
    images, devkit = parts[VAL], parts[DEVKIT]
    classes = read_devkit(devkit)
    names = sorted(_base(member.name) for member in members(images.file) if not is_hidden(member.name))
    if len(names) != len(classes):
        raise images.broken(f"{len(names)} images are in the archive, and {len(classes)} in the ground truth")
    if len(set(names)) != len(names):
        raise images.broken("two images in the archive have the same name")
    place = dict(zip(names, classes, strict=True))
    folder = images.folder(target)
    for member in members(images.file, progress=progress):
        if not is_hidden(member.name):
            name = _base(member.name)
            folder.add(member, f"{place[name]}/{name}")


@LAYOUTS.register("imagenet_train")
def imagenet_train(spec: DatasetSpec, files: Mapping[str, Path], target: Path, progress: bool) -> None:
    """Unpack the tar of one tar per class, without writing those. See `Layout`."""
    images = known_sources(spec, files, (TRAIN,))[TRAIN]
    folder = images.folder(target)
    for member in members(images.file, progress=progress):
        if is_hidden(member.name):
            continue
        name = re.fullmatch(r"(?:.*/)?(n\d{8})\.tar", member.name, re.DOTALL)
        if name is None:
            raise images.broken(f"'{member.shown}' is in the archive, where only tars of one class each should be")
        for image in nested(member):
            if not is_hidden(image.name):
                folder.add(image, f"{name[1]}/{_base(image.name)}")
    if not folder.files:
        raise images.broken("there is no image in the archive")


def read_devkit(devkit: Source) -> list[str]:
    """Return the WordNet id of every validation image, in the order of the ground truth.

    Raises
    ------
    DataError
        The development kit lacks a file, or they do not fit together.
    """
    found: dict[str, bytes] = {}
    for member in members(devkit.file):
        for wanted in (_META, _TRUTH):
            if f"/{member.name}".endswith(f"/{wanted}"):
                found[wanted] = member.read(_DEVKIT_LIMIT)
    for wanted in (_META, _TRUTH):
        if wanted not in found:
            raise devkit.broken(f"there is no '{wanted}' in the development kit")
    wnids = _leaves(devkit, found[_META])
    try:
        truth = [int(line) for line in found[_TRUTH].split()]
        return [wnids[number] for number in truth]
    except (ValueError, KeyError) as error:
        raise devkit.broken(f"the ground truth holds {error}, which is no class of 'meta.mat'") from None


def _leaves(devkit: Source, meta: bytes) -> dict[int, str]:
    """Return ILSVRC2012_ID → WordNet id of the classes; those with children are only groups of classes."""
    from scipy.io import loadmat

    stream: Any = io.BytesIO(meta)  # its stubs know of paths only
    try:
        synsets: Any = np.atleast_1d(loadmat(stream, squeeze_me=True)["synsets"])
        leaves = {int(s["ILSVRC2012_ID"]): str(s["WNID"]) for s in synsets if int(s["num_children"]) == 0}
    except Exception as error:  # scipy raises anything on a damaged file
        raise devkit.broken(f"'{_META}' in the development kit cannot be read: {error}") from None
    wrong = [wnid for wnid in leaves.values() if re.fullmatch(r"n\d{8}", wnid) is None]
    if wrong or len(set(leaves.values())) != len(leaves):
        raise devkit.broken(f"'{_META}' in the development kit has classes that are no WordNet ids, or one twice")
    return leaves


def _base(name: str) -> str:
    return name.rpartition("/")[2]
