"""What the pictures of NINCO's unit tests look like: a generator and a canvas → pixels.

Every painter takes a random generator, the shape of the picture and the photograph that gave the shape, and returns
(H, W, 3) float64 in [0, 1], which `to_bytes` cuts to 8 bits. `PAINTERS` maps the name of a test to its painter.

References
----------
Bitterwolf, Müller and Hein, "In or Out? Fixing ImageNet Out-of-Distribution Detection Evaluation", ICML 2023; the
parameters are those of ``noise_functions.py`` and ``create_unit_test_data.ipynb`` in github.com/j-cb/NINCO.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Pixels = NDArray[np.float64]
Photo = Callable[[], NDArray[np.uint8]]
"""Returns the (H, W, 3) photograph; only two tests call it."""

Painter = Callable[[RandomState, tuple[int, int], Photo], Pixels]

GAUSSIAN_DEVIATIONS = (0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
STRIPES = (4, 5, 7, 10, 15, 20)
LOW_FREQUENCY_SIGMAS = (10, 15, 25, 40, 60, 85)
PERMUTED_SIGMAS = (1, 1.5, 2, 3, 4, 6, 8)
BLOB_SIGMAS = (1.5, 2, 2.5, 3, 3.5, 4)
BLOB_SHARE = 0.7  # of ones before the blur
BLOB_FLOOR = 0.75  # what is darker after the blur becomes black
COLOUR_QUANTILES = (0.025, 0.975)


def to_bytes(pixels: Pixels) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8: clipped to [0, 1], times 255, cut and not rounded, as the published pictures were."""
    return (np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Return `pixels` (H, W, C) after a Gaussian filter with wrap-around borders.

    The same filter as ``scipy.ndimage.gaussian_filter(mode="wrap")`` with its kernel cut at four sigmas, but as a
    product of Fourier transforms: with a sigma of 85 pixels that is a hundred times quicker.
    """
    from scipy import fft

    height, width = pixels.shape[:2]
    response = np.outer(_response(height, sigma), _response(width, sigma)[: width // 2 + 1])
    channels = [fft.irfft2(fft.rfft2(pixels[..., c]) * response, s=(height, width)) for c in range(pixels.shape[2])]
    return np.stack(channels, axis=-1)


def _response(length: int, sigma: float) -> Pixels:
    """Return the (length,) frequency response of the kernel, wrapped round as often as it is longer than that."""
    radius = int(4.0 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = np.bincount(offsets % length, weights / weights.sum(), minlength=length)
    return np.asarray(np.fft.fft(kernel).real)


def _uniform(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    return rng.random_sample((*shape, 3))


def _gaussian(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    deviation = float(rng.choice(GAUSSIAN_DEVIATIONS))
    return 0.5 + rng.standard_normal((*shape, 3)) * deviation


def _rademacher(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    return (rng.random_sample((*shape, 3)) > 0.5).astype(np.float64)


def _pixel_perm(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    picture = photo()
    flat = picture.reshape(-1, 3)
    return (flat[rng.permutation(len(flat))] / 255).reshape(picture.shape)


def _plain(rng: RandomState, shape: tuple[int, int], photo: Photo, *, level: float) -> Pixels:
    return np.full((*shape, 3), level)


def _grey(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    return np.full((*shape, 3), rng.random_sample())


def _monochrome(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    return np.tile(rng.random_sample(3), (*shape, 1))


def _tricolour(rng: RandomState, shape: tuple[int, int], photo: Photo, *, primary: bool) -> Pixels:
    axis = rng.randint(2)
    colours = rng.randint(2, size=(3, 3)).astype(np.float64) if primary else rng.random_sample((3, 3))
    return _bands(shape, colours, axis)


def _stripes(rng: RandomState, shape: tuple[int, int], photo: Photo, *, axis: int) -> Pixels:
    return _bands(shape, rng.random_sample((rng.choice(STRIPES), 3)), axis)


def _bands(shape: tuple[int, int], colours: Pixels, axis: int) -> Pixels:
    """Return equal bands one below the other (`axis` 0) or side by side (1); the last has what is left over."""
    breadth = shape[axis] // len(colours)
    band = np.minimum(np.arange(shape[axis]) // max(breadth, 1), len(colours) - 1)
    if breadth == 0:
        band[:] = len(colours) - 1
    line = colours[band]
    return np.broadcast_to(line[:, None] if axis == 0 else line[None], (*shape, 3)).copy()


def _low_freq(rng: RandomState, shape: tuple[int, int], photo: Photo, *, axes: tuple[int, ...]) -> Pixels:
    """Blurred uniform noise, stretched to [0, 1] over `axes` together."""
    noise = blur(rng.random_sample((*shape, 3)), rng.choice(LOW_FREQUENCY_SIGMAS))
    noise -= noise.min(axis=axes, keepdims=True)
    noise /= noise.max(axis=axes, keepdims=True)
    return noise


def _low_freq_colorrange(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    """Blurred uniform noise around a random colour; 95 % of each channel lie within twice a random deviation."""
    sigma, centre, deviation = rng.choice(LOW_FREQUENCY_SIGMAS), rng.random_sample(3), rng.uniform(0.1, 0.3)
    noise = blur(rng.random_sample((*shape, 3)), sigma)
    low, high = COLOUR_QUANTILES
    noise -= np.quantile(noise, low, axis=(0, 1))
    noise /= np.quantile(noise, high, axis=(0, 1))
    return 2 * noise * deviation + centre


def _low_freq_pixel_perm(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    sigma = rng.choice(PERMUTED_SIGMAS)
    return blur(_pixel_perm(rng, shape, photo), sigma)


def _blobs(rng: RandomState, shape: tuple[int, int], photo: Photo) -> Pixels:
    sigma = rng.choice(BLOB_SIGMAS)
    cloud = blur((rng.random_sample((*shape, 3)) < BLOB_SHARE).astype(np.float64), sigma)
    return np.where(cloud < BLOB_FLOOR, 0.0, cloud)


PAINTERS: dict[str, Painter] = {
    "uni": _uniform,
    "Gaussian": _gaussian,
    "Rademacher": _rademacher,
    "pixel_perm": _pixel_perm,
    "white": partial(_plain, level=1.0),
    "black": partial(_plain, level=0.0),
    "grey": _grey,
    "monochrome": _monochrome,
    "tricolour": partial(_tricolour, primary=False),
    "tricolour_primary": partial(_tricolour, primary=True),
    "horizontal_stripes": partial(_stripes, axis=0),
    "vertical_stripes": partial(_stripes, axis=1),
    "low_freq": partial(_low_freq, axes=(0, 1, 2)),
    "low_freq_channelfullscale": partial(_low_freq, axes=(0, 1)),
    "low_freq_colorrange": _low_freq_colorrange,
    "low_freq_pixel_perm": _low_freq_pixel_perm,
    "blobs": _blobs,
}
FROM_PHOTO = frozenset(("pixel_perm", "low_freq_pixel_perm"))
"""The tests that show the pixels of a photograph; the others take only its size."""
