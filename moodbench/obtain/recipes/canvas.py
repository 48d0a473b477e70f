"""The photographs whose sizes, and in two tests whose pixels, NINCO's unit tests have: ImageNet's, or stand-ins."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from PIL import Image

from moodbench.datasets.images import FolderImages, folder_images, imagenet_wnids
from moodbench.errors import DataError

VALIDATION_IMAGES = 50_000

STAND_IN = (375, 500)
"""(height, width): what Flickr's medium size, 500 pixels on the longer side, makes of a photograph of 4:3."""

PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "china.jpg", "flower.jpg")
"""Colour photographs of scikit-image and, with a suffix, of scikit-learn that are at least as large as `STAND_IN`."""


class Canvases(Protocol):
    """Photographs by their index in the ImageNet-1k validation set."""

    stand_in: str | None
    """Why they are not ImageNet's; None if they are."""

    def shape(self, index: int) -> tuple[int, int]:
        """Return (height, width)."""
        ...

    def photo(self, index: int, rng: RandomState) -> NDArray[np.uint8]:
        """Return (H, W, 3)."""
        ...


class Validation:
    """The validation images of ImageNet-1k, in the order of class folder, then file name (as torchvision has them)."""

    def __init__(self, images: FolderImages) -> None:
        self.stand_in: str | None = None
        self._images = images

    def shape(self, index: int) -> tuple[int, int]:
        """Return (height, width) from the head of the file."""
        file = self._images.root / self._images.ids[index]
        try:
            with Image.open(file) as image:
                return image.height, image.width
        except OSError as error:
            raise DataError(f"the size of an image cannot be read: {error}", file=file) from None

    def photo(self, index: int, rng: RandomState) -> NDArray[np.uint8]:
        """Return the pixels (H, W, 3)."""
        return np.asarray(self._images.load(index))


class StandIns:
    """Canvases of one size; photographs are crops of the few that come with installed packages."""

    def __init__(self, why: str) -> None:
        self.stand_in: str | None = why
        self._photographs: dict[str, NDArray[np.uint8]] = {}

    def shape(self, index: int) -> tuple[int, int]:
        """Return `STAND_IN`, whichever it is."""
        return STAND_IN

    def photo(self, index: int, rng: RandomState) -> NDArray[np.uint8]:
        """Return a crop (375, 500, 3) at a random place; the photographs take turns."""
        name = PHOTOGRAPHS[index % len(PHOTOGRAPHS)]
        if name not in self._photographs:
            self._photographs[name] = _photograph(name)
        picture = self._photographs[name]
        top, left = (int(rng.randint(have - want + 1)) for have, want in zip(picture.shape, STAND_IN, strict=False))
        return picture[top : top + STAND_IN[0], left : left + STAND_IN[1]]


def canvases(imagenet_val: Path | None) -> Canvases:
    """Return the validation images below `imagenet_val`; stand-ins if they are not there, or not complete.

    An incomplete set will not do: the recipe names images by their index among all 50,000.
    """
    if imagenet_val is None or not imagenet_val.is_dir():
        return StandIns("the ImageNet-1k validation images are not on this disk")
    if not any(imagenet_val.glob("*/*")):
        return StandIns("the ImageNet-1k validation images on this disk are not sorted into class folders")
    images = folder_images(imagenet_val, labels="none")
    folders = {name.split("/", 1)[0] if name.count("/") == 1 else name for name in images.ids}
    if len(images) != VALIDATION_IMAGES or folders != set(imagenet_wnids()):
        return StandIns(
            f"the ImageNet-1k validation images on this disk are {len(images)} in {len(folders)} folders, "
            f"not {VALIDATION_IMAGES} in the 1000 of the classes"
        )
    return Validation(images)


def _photograph(name: str) -> NDArray[np.uint8]:
    from skimage import data
    from sklearn.datasets import load_sample_image

    picture: NDArray[np.uint8] = load_sample_image(name) if name.endswith(".jpg") else getattr(data, name)()
    return picture
