"""PCA reconstruction errors: of features, of unit features, and of random Fourier features."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.gaussian import principal_axes
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import Moment, SecondMoment
from moodbench.scores.machinery.unit import unit_features


@dataclass(frozen=True, eq=False)
class ResidualSpace:
    """The directions that a PCA leaves out.

    Attributes
    ----------
    key : hashable
        Names the space, so that blocks compute their errors once.
    coordinates : callable
        Block → the coordinates of rows less the mean along the M - q directions, (B, M - q) float32.
    """

    key: Hashable
    coordinates: Callable[[Block], Tensor]

    def error(self, block: Block) -> Tensor:
        """Return the length of what the q principal directions do not reconstruct of a row less the mean, (B,)."""
        length: Tensor = block.shared(
            ("reconstruction_error", self.key),
            lambda: torch.linalg.vector_norm(self.coordinates(block), dim=1),
        )
        return length


def residual_space(train: Train, moment: Moment, explained: float, *, unit: bool) -> ResidualSpace:
    """Return what a PCA of the features (of unit length if `unit`) about their mean leaves out."""
    axes = principal_axes(train, "total", moment.mean, lambda: moment.covariance_about(moment.mean), unit=unit)
    left = train.dim - principal_count(axes.values, explained)
    return ResidualSpace(("unit" if unit else "raw", explained), lambda block: axes.rows(block)[:, :left])


def fourier_space(fourier: Fourier, moment: Moment, explained: float) -> ResidualSpace:
    """Return what a PCA of random Fourier features about their mean leaves out."""
    values, vectors = torch.linalg.eigh(moment.covariance_about(moment.mean))
    left = vectors[:, : len(values) - principal_count(values, explained)]
    basis, offset = left.float().contiguous(), (moment.mean @ left).float()
    return ResidualSpace((*fourier.key, explained), lambda block: product(fourier.rows(block), basis, -offset))


def principal_count(values: Tensor, explained: float) -> int:
    """Return the least number of largest eigenvalues that make up the share `explained` of all, at most all but one.

    `values` (M,) float64 ascending.

    Raises
    ------
    ScoreError
        There is no variance.
    """
    descending = values.clamp_min(0).flip(0).cumsum(0)
    if not float(descending[-1]) > 0:
        raise ScoreError("ID train features do not vary")
    below = int((descending < explained * descending[-1]).sum())
    return min(below + 1, len(values) - 1)


def check_explained(score: str, explained: float) -> None:
    """Refuse a share of variance outside (0, 1]."""
    if not 0 < explained <= 1:
        raise UsageError(f"the explained variance of '{score}' lies in (0, 1], got {explained:g}")


class Fourier:
    """Random Fourier features of unit features: their inner products approximate exp(-gamma ||z - z'||^2).

    sqrt(2/M) cos(A z + u) with the rows of A drawn from N(0, 2 gamma I) and u uniform in [0, 2 pi). A, then u, come
    from torch's CPU generator, so they depend on M, D, gamma and the seed alone.
    """

    def __init__(self, train: Train, dimensions: int, gamma: float, seed: int = 0) -> None:
        self.key: tuple[Hashable, ...] = ("fourier", dimensions, gamma, seed)
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(dimensions, train.dim, generator=generator, dtype=torch.float64)
        phases = torch.rand(dimensions, generator=generator, dtype=torch.float64)
        self._directions = (directions * (2 * gamma) ** 0.5).float().to(train.device)
        self._phases = (phases * (2 * torch.pi)).float().to(train.device)
        self._scale = (2 / dimensions) ** 0.5

    def rows(self, block: Block) -> Tensor:
        """Return the mapped rows, (B, M) float32."""
        return block.shared(
            self.key,
            lambda: product(unit_features(block), self._directions.T, self._phases).cos_().mul_(self._scale),
        )


class FourierMoment(SecondMoment):
    """The second moment of random Fourier features."""

    def __init__(self, fourier: Fourier) -> None:
        super().__init__()
        self.fourier = fourier

    @property
    def key(self) -> Hashable:
        return ("second_moment", *self.fourier.key)

    def update(self, block: Block) -> None:
        super().update(Block(self.fourier.rows(block)))
