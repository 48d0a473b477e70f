"""Real photographs in files, for measurements: cut from those that come with scikit-image and scikit-learn.

Their subjects are few, so they say how fast something is and how pixels differ, not how well anything detects.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

_SKIMAGE = ("astronaut.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "rocket.jpg")
_SKLEARN = ("china.jpg", "flower.jpg")


def originals() -> list[Image.Image]:
    """Return the photographs: 512 to 1,000 pixels wide."""
    import skimage.data
    import sklearn.datasets

    folders = [Path(str(skimage.data.__file__)).parent, Path(str(sklearn.datasets.__file__)).parent / "images"]
    files = [folder / name for folder, names in zip(folders, (_SKIMAGE, _SKLEARN), strict=True) for name in names]
    return [Image.open(file).convert("RGB") for file in files]


def crops(count: int, size: tuple[int, int], seed: int = 0) -> Iterator[Image.Image]:
    """Yield pictures of `size`, cut from the photographs in turn: other places, mirrored or not, hardly scaled."""
    rng = np.random.default_rng(seed)
    sources = originals()
    for i in range(count):
        source = sources[i % len(sources)]
        if rng.random() < 0.5:
            source = source.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        share = rng.uniform(0.8, 1.0) * min(source.width / size[0], source.height / size[1])
        width, height = size[0] * share, size[1] * share
        left, top = rng.uniform(0, source.width - width), rng.uniform(0, source.height - height)
        yield source.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def write(folder: Path, count: int, size: tuple[int, int] = (500, 375), quality: int = 90) -> Path:
    """Write `count` JPEG files and return their folder. The size is the commonest one of ImageNet."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(crops(count, size)):
        picture.save(folder / f"{i:05}.jpg", quality=quality)
    return folder
