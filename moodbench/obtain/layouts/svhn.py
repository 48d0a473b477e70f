"""SVHN's cropped digits from their MATLAB files, into one PNG per image.

Names are those of OpenOOD's list but for the suffix: a running number from 000001, and the digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from moodbench.catalog import DatasetSpec
from moodbench.obtain.layouts.base import LAYOUTS
from moodbench.obtain.layouts.parts import Array, Source, known_sources, write_pngs
from moodbench.obtain.unpack.kinds import HEAD, describe

SPLITS = {f"{split}_32x32.mat": split for split in ("train", "test", "extra")}
"""File → sub-folder."""


@LAYOUTS.register("svhn")
def svhn(spec: DatasetSpec, files: Mapping[str, Path], target: Path, progress: bool) -> None:
    """Write ``test/000001_5.png`` …, likewise ``train`` and ``extra`` where the catalogue names them. See `Layout`."""
    for file, part in known_sources(spec, files, SPLITS).items():
        images, digits = _read(part)
        split = SPLITS[file]
        named = (
            (f"{split}/{number:06d}_{digit}.png", image)
            for number, (image, digit) in enumerate(zip(images, digits.tolist(), strict=True), start=1)
        )
        write_pngs(part.folder(target), named, len(digits), progress)


def _read(part: Source) -> tuple[Array, Array]:
    """Return images (N, H, W, 3) and digits (N,)."""
    from scipy.io import loadmat

    try:
        values = loadmat(part.file, variable_names=("X", "y"))
    except Exception as error:  # scipy raises anything on a damaged file
        with part.file.open("rb") as stream:
            what = describe(stream.read(HEAD))
        raise part.broken(f"the file cannot be read as MATLAB 5 (it is {what}): {error}") from None
    images, labels = values.get("X"), values.get("y")
    if images is None or labels is None or images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3:
        raise part.broken("the file has no images 'X' (H, W, 3, N) with labels 'y'")
    digits = labels.ravel() % 10  # 0 is written as 10
    if len(digits) != images.shape[3] or digits.dtype.kind not in "iu" or not 1 <= labels.min() <= labels.max() <= 10:
        raise part.broken("the labels in the file are not one of 1 … 10 for each image")
    return images.transpose(3, 0, 1, 2), digits
