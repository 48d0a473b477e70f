"""The null space that Residual and ViM measure rows in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import Moment


@dataclass(frozen=True, eq=False)
class NullSpace:
    """An origin u and an orthonormal basis R of the directions in which ID train rows hardly vary.

    Attributes
    ----------
    key : hashable
        Names the space, so that blocks compute its residuals once.
    basis : (D, D - dim) float32
    offset : (D - dim,) float32
        R^T u, so that R^T (x - u) costs one product and one subtraction.
    """

    key: tuple[object, ...]
    basis: Tensor
    offset: Tensor

    def residual(self, block: Block) -> Tensor:
        """Return ||R^T (x - u)||, (B,) float32."""
        length: Tensor = block.shared(
            ("residual", *self.key),
            lambda: torch.linalg.vector_norm(product(block.features, self.basis, -self.offset), dim=1),
        )
        return length


def null_space(train: Train, moment: Moment, dim: int) -> NullSpace:
    """Return the null space of ID train: all but the `dim` principal directions about the head's origin.

    The origin is u = -pinv(W) b, the point whose logits are closest to zero; without a head it is the mean row. The
    second moment about u is not mean-centred otherwise. Eigenvectors come from a symmetric solver in float64: the
    reference's general one returns non-orthogonal, even complex vectors where the moment is singular, as it always is
    after a LayerNorm.

    Raises
    ------
    ScoreError
        `dim` leaves no direction over.

    References
    ----------
    Wang et al., ViM: Out-of-Distribution with Virtual-logit Matching, CVPR 2022, arXiv 2203.10807, section 4.
    """
    if not 0 <= dim < train.dim:
        raise ScoreError(f"{dim} principal dimensions leave no null space in {train.dim}")

    def eigenvectors() -> tuple[Tensor, Tensor]:
        if train.weight is None or train.bias is None:
            origin = moment.mean
        else:
            origin = -torch.linalg.pinv(train.weight.double()) @ train.bias.double()
        return origin, torch.linalg.eigh(moment.covariance_about(origin)).eigenvectors

    def build() -> NullSpace:
        origin, vectors = train.shared("second_moment_eigenvectors", eigenvectors)
        basis = vectors[:, : train.dim - dim]  # eigh sorts ascending: the smallest eigenvalues come first
        return NullSpace((dim,), basis.float().contiguous(), (origin @ basis).float())

    return train.shared(("null_space", dim), build)
