"""CIFAR-10 and CIFAR-100 from their pickles, into one PNG per image.

The names are those that the converter cifar2png gives, since the published image lists use them: a number per class,
from 0001, in the order of the batches.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moodbench.catalog import DatasetSpec
from moodbench.obtain.layouts.base import LAYOUTS
from moodbench.obtain.layouts.parts import Array, Source, known_sources, write_pngs
from moodbench.obtain.unpack import Folder, members
from moodbench.obtain.unpack.names import safe_name
from moodbench.pickles import load_pickle

MD5 = {
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
}
"""Every file that is read, and its published MD5."""

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""Of CIFAR-10; those of CIFAR-100 are in its archive."""

_LIMIT = 256 << 20


@dataclass(frozen=True)
class _Form:
    """How one of the two datasets is packed."""

    splits: Mapping[str, tuple[str, ...]]
    labels: str
    meta: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        batches = tuple(name for names in self.splits.values() for name in names)
        return batches if self.meta is None else (*batches, self.meta)


_FORMS = {
    "cifar-10-python.tar.gz": _Form(
        {
            "train": tuple(f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)),
            "test": ("cifar-10-batches-py/test_batch",),
        },
        "labels",
    ),
    "cifar-100-python.tar.gz": _Form(
        {"train": ("cifar-100-python/train",), "test": ("cifar-100-python/test",)},
        "fine_labels",
        "cifar-100-python/meta",
    ),
}


@LAYOUTS.register("cifar")
def cifar(spec: DatasetSpec, files: Mapping[str, Path], target: Path, progress: bool) -> None:
    """Write ``train/<class>/0001.png`` … and ``test/<class>/0001.png`` …. See `Layout`."""
    for file, archive in known_sources(spec, files, _FORMS).items():
        form = _FORMS[file]
        found = _read(archive, form)
        names = CLASSES if form.meta is None else _names(archive, found.pop(form.meta), form.meta)
        folder = archive.folder(target)
        for split, batches in form.splits.items():
            parts = [_batch(archive, found.pop(name), name, form, len(names)) for name in batches]
            _write(folder, split, parts, names, progress)


def _read(archive: Source, form: _Form) -> dict[str, bytes]:
    """Return the files of the archive that are needed, checked."""
    found: dict[str, bytes] = {}
    for member in members(archive.file):
        if member.name in form.files:
            found[member.name] = member.read(_LIMIT)
            md5 = hashlib.md5(found[member.name], usedforsecurity=False).hexdigest()
            if md5 != MD5[member.name]:
                raise archive.broken(f"'{member.name}' in the archive has the MD5 {md5}, not {MD5[member.name]}")
    for name in form.files:
        if name not in found:
            raise archive.broken(f"there is no '{name}' in the archive")
    return found


def _load(archive: Source, data: bytes, name: str) -> dict[str, Any]:
    try:
        value = load_pickle(data, encoding="latin1")
        return {key.decode("latin1") if isinstance(key, bytes) else str(key): part for key, part in value.items()}
    except (ValueError, AttributeError) as error:
        raise archive.broken(f"'{name}' in the archive cannot be read: {error}") from None


def _names(archive: Source, data: bytes, name: str) -> tuple[str, ...]:
    values = _load(archive, data, name).get("fine_label_names", ())
    names = tuple(value.decode("latin1") if isinstance(value, bytes) else str(value) for value in values)
    try:
        if names and all(value and "/" not in value and safe_name(value) == value for value in names):
            return names
    except ValueError:
        pass
    raise archive.broken(f"'{name}' in the archive has no usable names of classes")


def _batch(archive: Source, data: bytes, name: str, form: _Form, classes: int) -> tuple[Array, Array]:
    """Return images (N, 32, 32, 3) and labels (N,)."""
    values = _load(archive, data, name)
    try:
        images = np.asarray(values["data"])
        labels = np.asarray(values[form.labels])
        if images.dtype != np.uint8 or labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise ValueError("its images and labels do not fit together")
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError("it has a label that no class has")
        # stored are all red values, then green, then blue
        return images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
    except (KeyError, ValueError) as error:
        raise archive.broken(f"'{name}' in the archive is no batch of CIFAR: {error}") from None


def _write(
    folder: Folder, split: str, batches: list[tuple[Array, Array]], names: tuple[str, ...], progress: bool
) -> None:
    count: Counter[int] = Counter()

    def images() -> Iterator[tuple[str, Array]]:
        for arrays, labels in batches:
            for image, label in zip(arrays, labels.tolist(), strict=True):
                count[label] += 1
                yield f"{split}/{names[label]}/{count[label]:04d}.png", image

    write_pngs(folder, images(), sum(len(labels) for _, labels in batches), progress)
