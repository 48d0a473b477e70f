"""NECO: the share of a standardised feature that lies in the principal space of ID train, times the largest logit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.reconstruction import check_explained, principal_count
from moodbench.scores.machinery.statistics import Mean, Moment, SecondMoment

CONSTANT = 1e-10
"""A feature whose standard deviation is below this part of its mean is constant, and is divided by 1."""


@SCORES.register("neco")
@dataclass
class NECO(Score):
    """``||P x'|| / ||x'|| · max_k l_k`` with x' the standardised feature, P its principal directions on ID train.

    Each feature is standardised with its mean and standard deviation over ID train, so P comes from the correlation
    matrix.

    Parameters
    ----------
    dim : int, default=0
        Number of principal directions. 0 takes as many as `explained` asks for. (The paper tunes the number to each
        model; no value of it is a default.)
    explained : float, default=0.9
        Share of the variance of ID train that P makes up, the rule of mueller-mp/maha-norm.
    logit : bool, default=True
        Multiply by the largest logit, as the paper does for transformers but not for ResNets.

    Attributes
    ----------
    mean_, scale_ : (D,) float32
        Mean of ID train, and one over the standard deviation of each feature.
    principal_ : (D, q) float32
        The principal directions.

    Notes
    -----
    Where the largest logit is negative, a larger share lowers the score.

    References
    ----------
    Ben Ammar et al., NECO: NEural Collapse Based Out-of-distribution detection, ICLR 2024, arXiv 2310.06823.
    Reference code: the authors' function `neco`, without its special case for DeiT and Swin, which divides by the
    length of the raw feature instead of that of the standardised one; and mueller-mp/maha-norm,
    NINCO/detection_methods.py.
    """

    title = "NECO"
    family = "feature+logit"
    needs = frozenset({"logits"})
    paper = "Ben Ammar et al., ICLR 2024, arXiv 2310.06823"
    year = 2024

    dim: int = 0
    explained: float = 0.9
    logit: bool = True

    def __post_init__(self) -> None:
        check_explained("neco", self.explained)

    def fit(self, train: Train) -> Fit:
        if not 0 <= self.dim <= train.dim:
            raise ScoreError(f"{self.dim} principal dimensions in {train.dim}")
        moment: Moment
        negative: float
        moment, negative = yield SecondMoment(), Mean("max_logit_is_negative", lambda b: (b.max_logit < 0).float())
        covariance = moment.covariance_about(moment.mean)
        deviation = covariance.diagonal().clamp_min(0).sqrt()
        deviation = torch.where(deviation > CONSTANT * moment.mean.abs(), deviation, 1.0)
        values, vectors = torch.linalg.eigh(covariance / torch.outer(deviation, deviation))
        kept = self.dim or principal_count(values, self.explained)
        self.mean_, self.scale_ = moment.mean.float(), deviation.reciprocal().float()
        self.principal_ = vectors[:, train.dim - kept :].float().contiguous()
        if negative > 0 and self.logit:
            self.note_ = f"{100 * negative:.3g} % of ID train has negative logits only, which turn the score around"

    def score(self, block: Block) -> Tensor:
        x = (block.features - self.mean_) * self.scale_
        size = torch.linalg.vector_norm(x, dim=1).clamp_min_(torch.finfo(torch.float32).tiny)
        share: Tensor = torch.linalg.vector_norm(product(x, self.principal_), dim=1) / size
        return share * block.max_logit if self.logit else share
