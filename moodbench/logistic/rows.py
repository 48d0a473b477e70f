"""Rows in batches, their moments, and the same rows standardised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import CacheError

Batch = tuple[Tensor, Tensor]
"""Features (B, D) and labels (B,) int64, both on the device that the work runs on."""

Batches = Callable[[], Iterable[Batch]]
"""Starts a new pass over the rows."""


@dataclass(frozen=True)
class Moments:
    """What one pass over the rows tells.

    Attributes
    ----------
    rows : int
        N.
    counts : (C,) int64
        Rows of each class.
    mean : (D,) float64
    inverse_std : (D,) float64
        0 where a column is constant: it says nothing, and gets no weight.
    values, vectors : (D,) and (D, D) float64
        Eigenvalues and eigenvectors of the correlations between the columns.
    """

    rows: int
    counts: Tensor
    mean: Tensor
    inverse_std: Tensor
    values: Tensor
    vectors: Tensor

    def standardise(self, features: Tensor) -> Tensor:
        """Return (x - mean) / std, overwriting `features`."""
        return features.sub_(self.mean.float()).mul_(self.inverse_std.float())

    def fold(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (C, D) and bias (C,) on plain rows that say the same as these on standardised ones."""
        plain = weight * self.inverse_std
        return plain, bias - plain @ self.mean


def measure(batches: Batches, classes: int) -> Moments:
    """Read the rows once and return their moments. Products are formed in float32 around a shift, summed in float64.

    Raises
    ------
    CacheError
        The values are too large for that.
    """
    counts = torch.zeros(classes, dtype=torch.int64)
    shift = sums = products = torch.empty(0)
    for features, labels in batches():
        if not len(shift):
            # near the mean, so that little is lost to cancellation, and exact for a column that is constant
            shift = features[0] + (features - features[0]).mean(dim=0)
            sums = torch.zeros_like(shift, dtype=torch.float64)
            products = torch.zeros(len(shift), len(shift), dtype=torch.float64, device=shift.device)
        shifted = features - shift
        sums += shifted.sum(dim=0, dtype=torch.float64)
        products += shifted.T @ shifted
        counts += torch.bincount(labels, minlength=classes).cpu()
    rows = int(counts.sum())
    offset = sums / rows
    covariance = products / rows - torch.outer(offset, offset)
    if not torch.isfinite(covariance).all():
        raise CacheError("the features are too large: their squares overflow", fix="scale them down")
    std = covariance.diagonal().clamp_min(0).sqrt()
    inverse = torch.where(std > 0, 1 / std, 0)
    values, vectors = torch.linalg.eigh(covariance * inverse * inverse[:, None])
    return Moments(rows, counts, shift.double() + offset, inverse, values.clamp_min(0), vectors)


class StandardisedRows:
    """The rows, standardised: kept in memory where they take no more than `keep` bytes, else read in every pass.

    Attributes
    ----------
    rows : int
    dtype : torch.dtype
        In which batches come, and products with them are formed.
    """

    def __init__(self, batches: Batches, moments: Moments, rows: int, *, keep: int, dtype: torch.dtype) -> None:
        self.rows, self.dtype = rows, dtype
        self._batches, self._moments = batches, moments
        size = rows * len(moments.mean) * dtype.itemsize
        self._kept = list(self._read()) if size <= keep else None

    def __call__(self) -> Iterable[Batch]:
        """Start a new pass."""
        return self._read() if self._kept is None else self._kept

    def _read(self) -> Iterator[Batch]:
        for features, labels in self._batches():
            yield self._moments.standardise(features).to(self.dtype), labels
