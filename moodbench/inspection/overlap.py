"""The same picture twice: within a dataset, or as ID in one and as OOD in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodbench.inspection.findings import Finding

NEAR_BITS = 4
"""How many of 64 bits may differ in pictures that are nearly the same.

Measured on photographs of scikit-image and scikit-learn, micrographs, photographed hands and drawn characters (100 px
and larger): recoded as JPEG down to quality 40, halved, doubled or squeezed to a square, all stay within 4 bits. Of
890,000 pairs of different pictures of different kinds none is nearer than 10. Of pictures of 28 px, whose thumbnail is
larger than they are, 64 to 98 % are found; a picture that was cropped by 5 % is found in every second case at best.
"""

BLOCK = 1 << 21
"""Pairs of hashes that are compared at a time: 16 MiB."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of one dataset, by what they are.

    Attributes
    ----------
    dataset : str
    keys : mapping
        Path → a digest that equal pictures share; of the pixels, or where nothing was decoded of the file.
    likenesses : mapping
        Path → 64-bit perceptual hash.
    """

    dataset: str
    keys: Mapping[str, bytes]
    likenesses: Mapping[str, int]


def duplicates(pictures: Pictures) -> Iterator[Finding]:
    """Yield every picture that is the same as an earlier one of its dataset."""
    first: dict[bytes, str] = {}
    for path, key in pictures.keys.items():
        earlier = first.setdefault(key, path)
        if earlier != path:
            yield Finding("duplicate", pictures.dataset, path, other_path=earlier)


def overlaps(ood: Pictures, id_: Pictures, benchmarks: tuple[str, ...]) -> Iterator[Finding]:
    """Yield every OOD picture that is also a picture of the ID dataset."""
    known: dict[bytes, str] = {}
    wanted = set(ood.keys.values())
    for path, key in id_.keys.items():
        if key in wanted:
            known.setdefault(key, path)
    for path, key in ood.keys.items():
        if key in known:
            yield Finding(
                "overlap",
                ood.dataset,
                path,
                other_dataset=id_.dataset,
                other_path=known[key],
                benchmarks=benchmarks,
            )


def nearly_overlaps(ood: Pictures, id_: Pictures, benchmarks: tuple[str, ...], bits: int) -> Iterator[Finding]:
    """Yield every OOD picture within `bits` of a picture of the ID dataset, with the nearest; not what overlaps."""
    same = {finding.path for finding in overlaps(ood, id_, benchmarks)}
    left = {path: value for path, value in ood.likenesses.items() if path not in same}
    paths, others = list(left), list(id_.likenesses)
    nearest, distance = nearest_hashes(_array(left), _array(id_.likenesses))
    for i in np.flatnonzero(distance <= bits):
        yield Finding(
            "near",
            ood.dataset,
            paths[i],
            f"{distance[i]} of 64 bits differ",
            other_dataset=id_.dataset,
            other_path=others[nearest[i]],
            benchmarks=benchmarks,
        )


def _array(values: Mapping[str, int]) -> NDArray[np.uint64]:
    return np.fromiter(values.values(), dtype=np.uint64, count=len(values))


def nearest_hashes(
    queries: NDArray[np.uint64], hashes: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the nearest of `hashes` (M,) to every one of `queries` (N,), and how many bits differ.

    Returns
    -------
    nearest : (N,) int64
        The first of those equally near.
    distance : (N,) uint8
        0 to 64; 255 where there are no hashes.
    """
    nearest = np.zeros(len(queries), dtype=np.int64)
    distance = np.full(len(queries), 255, dtype=np.uint8)
    if len(hashes) == 0:
        return nearest, distance
    width = min(len(hashes), BLOCK)
    rows = max(1, BLOCK // width)
    for top in range(0, len(queries), rows):
        part = slice(top, top + rows)
        for left in range(0, len(hashes), width):
            differ = count_bits(queries[part, None] ^ hashes[None, left : left + width])
            best = differ.argmin(axis=1)
            least = differ[np.arange(len(best)), best]
            closer = least < distance[part]
            nearest[part] = np.where(closer, best + left, nearest[part])
            distance[part] = np.where(closer, least, distance[part])
    return nearest, distance


def count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return how many bits are set in each value."""
    counted: NDArray[np.uint8]
    counted = np.bitwise_count(values) if hasattr(np, "bitwise_count") else count_bits_by_table(values)
    return counted


def count_bits_by_table(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Do the same, 16 bits at a time; for NumPy 1."""
    numbers = np.arange(1 << 16, dtype=np.uint16)
    table = np.unpackbits(numbers.view(np.uint8)).reshape(-1, 16).sum(axis=1, dtype=np.uint8)
    quarters: NDArray[np.uint8] = table[np.ascontiguousarray(values).view(np.uint16)]
    summed: NDArray[np.uint8] = quarters.reshape(*values.shape, 4).sum(axis=-1, dtype=np.uint8)
    return summed
