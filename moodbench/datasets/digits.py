"""The embedded benchmark ``digits``: pictures that ship inside scikit-learn and scikit-image.

Nothing here touches the network.  Every set is a pure function of files inside the two installed packages (or of a
seed) and is made by integer arithmetic only, so the bytes are the same on every machine; ``digits_photos`` alone also
depends on the JPEG decoder of the installed Pillow.

==================  =========  =======================================================================
set                 part       content
==================  =========  =======================================================================
``digits_train``    ID train   handwritten digits 0-5, two thirds
``digits_test``     ID test    handwritten digits 0-5, the other third
``digits_6_9``      near OOD   handwritten digits 6-9 of the same writers
``digits_textures`` far OOD    patches of brick, grass and gravel
``digits_faces``    far OOD    faces and background crops of Labeled Faces in the Wild
``digits_photos``   far OOD    patches of two colour photographs
``digits_noise``    far OOD    generated smooth noise of four grain sizes
``digits_halves``   OOD val.   the left half of one training digit beside the right half of another
==================  =========  =======================================================================

scikit-learn and scikit-image are imported when a set is asked for, not when this module is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ID_CLASSES = (0, 1, 2, 3, 4, 5)
NEAR_CLASSES = (6, 7, 8, 9)
TEST_EVERY = 3  # image i of load_digits is a test image when i % TEST_EVERY == TEST_EVERY - 1
PATCH = 48  # side of the texture and photo patches, in pixels; patches do not overlap
NOISE_SIDE = 32
NOISE_SEED = 20240105
NOISE_PASSES = (1, 4, 16, 48)  # smoothing passes: Gaussian standard deviations of about 0.7, 1.4, 2.8 and 4.9 pixels
NOISE_PER_SCALE = 75
HALVES = 300


@dataclass(frozen=True, eq=False)
class ImageArrays:
    """Decoded pictures with their labels and names.

    ``images``: N arrays of uint8, each (H, W) grey or (H, W, 3) RGB.
    ``labels``: (N,) int64; -1 where a picture has none of the classes.
    ``ids``: N unique names that stay the same between versions, such as ``digits/0007`` or ``brick/r0_c48``.
    ``classes``: names of the classes that labels number; empty where all labels are -1.
    """

    images: tuple[NDArray[np.uint8], ...]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.labels) == len(self.ids):
            raise ValueError(f"{len(self.images)} images, {len(self.labels)} labels and {len(self.ids)} ids")

    def __len__(self) -> int:
        return len(self.images)


def _digits(keep: Callable[[int, int], bool]) -> ImageArrays:
    """The pictures of ``load_digits`` for which ``keep(number, digit)`` holds; label = the digit.

    Origin: the test half of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak; UCI Machine Learning
    Repository), 1797 pictures by 13 people, 8x8 counts of 0..16 ink pixels.  The counts become grey values
    ``(255 * count + 8) // 16``: white ink on black.  scikit-learn ships the file under its own BSD-3-Clause licence and
    states no other for it; UCI lists the data set under CC BY 4.0.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    counts = bunch.images.astype(np.int64)  # (1797, 8, 8)
    grey = ((255 * counts + 8) // 16).astype(np.uint8)
    chosen = [i for i, digit in enumerate(bunch.target) if keep(i, int(digit))]
    return ImageArrays(
        images=tuple(grey[i] for i in chosen),
        labels=bunch.target[chosen].astype(np.int64),
        ids=tuple(f"digits/{i:04d}" for i in chosen),
        classes=tuple(map(str, ID_CLASSES)),
    )


def _is_test(number: int) -> bool:
    return number % TEST_EVERY == TEST_EVERY - 1


def digits_train() -> ImageArrays:
    """ID training pictures: digits 0-5 whose number in ``load_digits`` is 0 or 1 modulo 3; (8, 8) grey."""
    return _digits(lambda i, digit: digit in ID_CLASSES and not _is_test(i))


def digits_test() -> ImageArrays:
    """ID test pictures: digits 0-5 whose number in ``load_digits`` is 2 modulo 3; (8, 8) grey.

    The rule mixes writers: the same people wrote training and test digits.
    """
    return _digits(lambda i, digit: digit in ID_CLASSES and _is_test(i))


def digits_6_9() -> ImageArrays:
    """Near OOD: every digit 6-9 of ``load_digits``; (8, 8) grey, labels -1."""
    found = _digits(lambda _, digit: digit in NEAR_CLASSES)
    return ImageArrays(found.images, _unknown(len(found)), found.ids)


def digits_textures() -> ImageArrays:
    """Far OOD: the regular 48x48 grid over ``skimage.data.brick``, ``grass`` and ``gravel`` (512x512 grey, 100 each).

    Origin, as scikit-image states it: brick and gravel from cc0textures.com (Bricks25, Gravel04), grass from DeviantArt
    (linolafett); all three Creative Commons CC0.  The 32 rows and columns beyond the last whole patch are not used.
    """
    names = ("brick", "grass", "gravel")
    return _from_pairs(pair for name in names for pair in _patches(name, _skimage_sample(name)))


def digits_faces() -> ImageArrays:
    """Far OOD: the 200 crops of ``skimage.data.lfw_subset``, 100 faces, then 100 backgrounds; (25, 25) grey.

    Origin: Labeled Faces in the Wild (G. Huang et al., University of Massachusetts); scikit-image names the source and
    a paper, but no licence for this file, and lists it among its sample data under BSD-3-Clause as a whole.  The file
    holds float64 in 0..1, rounded here to 0..255 (half up).
    """
    crops = np.floor(_skimage_sample("lfw_subset") * 255.0 + 0.5).astype(np.uint8)  # (200, 25, 25)
    names = [f"face/{i:03d}" if i < 100 else f"background/{i:03d}" for i in range(len(crops))]
    return _from_pairs(zip(names, crops, strict=True))


def digits_photos() -> ImageArrays:
    """Far OOD: the regular 48x48 grid over scikit-learn's two sample photographs (427x640 RGB, 104 patches each).

    Origin: ``china.jpg`` by danielbuechele and ``flower.jpg`` by vultilion, both on Flickr under CC BY 2.0.  The rows
    and columns beyond the last whole patch are not used.
    """
    from sklearn.datasets import load_sample_image

    names = ("china", "flower")
    return _from_pairs(pair for name in names for pair in _patches(name, load_sample_image(f"{name}.jpg")))


def digits_noise() -> ImageArrays:
    """Far OOD, generated: white noise smoothed to four grain sizes, then stretched to 0..255; 300 of (32, 32) grey.

    The white noise is the raw stream of numpy's PCG64 (which numpy keeps stable), the filter is the binomial kernel
    [1 2 1]/4 applied 1, 4, 16 or 48 times along both axes of a torus: a Gaussian in exact integers.
    """
    stream = np.random.PCG64(NOISE_SEED)
    pairs = (
        (f"noise/s{passes:02d}_{i:02d}", _smooth_noise(stream, passes))
        for passes in NOISE_PASSES
        for i in range(NOISE_PER_SCALE)
    )
    return _from_pairs(pairs)


def digits_halves() -> ImageArrays:
    """OOD validation: left half of a training picture beside the right half of one with another digit; (8, 8) grey.

    Picture i has its left half of training picture i, its right half of the first after it with another digit. No pixel
    of a test picture is in it: parameters that are chosen on these know nothing of any test set.
    """
    train = digits_train()
    count = len(train)

    def pairs() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for left in range(HALVES):
            right = next(
                j % count for j in range(left + 1, left + count) if train.labels[j % count] != train.labels[left]
            )
            picture = train.images[left].copy()
            picture[:, 4:] = train.images[right][:, 4:]
            numbers = (train.ids[left].rpartition("/")[2], train.ids[right].rpartition("/")[2])
            yield f"halves/left{numbers[0]}_right{numbers[1]}", picture

    return _from_pairs(pairs())


def _smooth_noise(stream: np.random.PCG64, passes: int) -> NDArray[np.uint8]:
    """One (NOISE_SIDE, NOISE_SIDE) picture from the next words of ``stream``."""
    words = stream.random_raw(NOISE_SIDE * NOISE_SIDE)
    field = (words >> np.uint64(40)).astype(np.int64).reshape(NOISE_SIDE, NOISE_SIDE)  # 24 random bits each
    for _ in range(passes):
        for axis in (0, 1):
            field = (np.roll(field, 1, axis) + 2 * field + np.roll(field, -1, axis) + 2) >> 2
    low, high = int(field.min()), int(field.max())
    return ((field - low) * 255 // (high - low)).astype(np.uint8)


def _skimage_sample(name: str) -> NDArray[Any]:
    """One of the sample arrays that the scikit-image wheel itself contains."""
    from skimage import data

    sample: NDArray[Any] = getattr(data, name)()
    return sample


def _patches(name: str, picture: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The whole PATCH x PATCH tiles of a picture (H, W[, 3]), row by row, named by their upper left pixel."""
    height, width = picture.shape[:2]
    for row in range(0, height - PATCH + 1, PATCH):
        for column in range(0, width - PATCH + 1, PATCH):
            yield f"{name}/r{row}_c{column}", picture[row : row + PATCH, column : column + PATCH].copy()


def _from_pairs(pairs: Iterator[tuple[str, NDArray[np.uint8]]]) -> ImageArrays:
    """Pictures without a class, from (id, picture) pairs."""
    ids, images = zip(*pairs, strict=True)
    return ImageArrays(images, _unknown(len(images)), ids)


def _unknown(count: int) -> NDArray[np.int64]:
    return np.full(count, -1, dtype=np.int64)


BUNDLED: dict[str, Callable[[], ImageArrays]] = {
    "digits_train": digits_train,
    "digits_test": digits_test,
    "digits_6_9": digits_6_9,
    "digits_textures": digits_textures,
    "digits_faces": digits_faces,
    "digits_photos": digits_photos,
    "digits_noise": digits_noise,
    "digits_halves": digits_halves,
}
