"""What may be said about a model's pictures, in an entry and on the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, get_args

from moodbench.choices import CropMode, Interpolation

IMAGE_KEYS = ("size", "crop", "crop_mode", "interpolation", "mean", "std")
"""What may be said about the pictures over what the transform says by itself: the side of the square in pixels; the
share of the resized edge that the crop keeps; how it is cut (`CROP_MODES`); the filter; mean and standard deviation of
red, green and blue on the scale 0 to 1."""

MOST_PIXELS = 10_000
"""Of the side of a picture that a network is given."""

CROP_MODES: tuple[CropMode, ...] = get_args(CropMode)
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)


def check_image(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said about pictures with numbers as they are computed with, or raise a `ValueError` in words."""
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in IMAGE_KEYS:
            raise ValueError(f"the unknown key '{key}'; known: {', '.join(IMAGE_KEYS)}")
        checked[key] = _IMAGE_CHECKS[key](key, value)
    return checked


def _size(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_PIXELS:
        raise ValueError(f"{key}: {value!r}, which should be a number of pixels, at most {MOST_PIXELS}")
    return value


def _share(key: str, value: Any) -> float:
    if not _is_number(value) or not 0 < value <= 1:
        raise ValueError(f"{key}: {value!r}, which should be a share above 0 and at most 1")
    return float(value)


def _one_of(allowed: tuple[str, ...]) -> Callable[[str, Any], str]:
    def check(key: str, value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"{key}: {value!r}, which should be one of {', '.join(allowed)}")
        return str(value)

    return check


def _channels(key: str, value: Any) -> list[float]:
    if not isinstance(value, (list, tuple)) or len(value) != 3 or not all(map(_is_number, value)):
        raise ValueError(f"{key}: {value!r}, which should be three numbers, for red, green and blue")
    if key == "std" and min(value) <= 0:
        raise ValueError(f"{key}: {value!r}, which should be above zero")
    return [float(v) for v in value]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


_IMAGE_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "size": _size,
    "crop": _share,
    "crop_mode": _one_of(CROP_MODES),
    "interpolation": _one_of(INTERPOLATIONS),
    "mean": _channels,
    "std": _channels,
}
