"""GROOD: how far a row's gradient at an artificial OOD prototype is from those of ID train rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from moodbench.errors import ScoreError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import Guest, Meeting, Visit, bank_of
from moodbench.scores.machinery.class_means import FeatureSumsWhenCorrect, correct_class, head_classes
from moodbench.scores.machinery.coarse import Coarse, left_side, pairs_above, pays, right_side
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.statistics import FeatureSumsByLabel, GroupSums

PAIRS = 1024
"""Pairs of rows whose distances are taken at once."""


@SCORES.register("grood")
@dataclass
class GROOD(Score):
    """``-min_i || g(x) - g(x_i) ||^2`` with ``g(x) = q(x) (x - p) / || x - p ||``, over ID train rows x_i.

    q(x) is what a softmax of minus the distances of x to the class means mu_k and to p gives p, the OOD prototype. g
    is the gradient with respect to p of the cross-entropy of that softmax, whichever class is taken for the right one,
    so no autograd is needed. p is the mean of the mu_k, each class counting once; the x_i are the rows that the head
    predicts correctly.

    Attributes
    ----------
    prototypes_ : (K, D) float64
        The class means; classes without rows are left out.
    ood_ : (D,) float64
        p.
    bank_ : Bank
        All ID train rows, which the scores that need them walk over together.

    Notes
    -----
    This p is one of the program's choices (``use_proto_mean``), and the one that features of ID train settle. The
    paper's algorithm makes p of synthetic rows that are mixed at an early layer. The program can do so too (maps of
    an early layer, half and half with a class's mean map, whatever the mixing weight of its settings says, passed
    through the rest of the network); as it is set up for its leaderboard, it takes the mean of OOD validation
    images. None of these is a function of cached features.

    The program looks its rows up in an approximate index, and does not file the batch at which that index is trained;
    here the nearest is exact. Its distances are squared, too.

    References
    ----------
    ElAraby et al., GROOD: GRadient-Aware Out-of-Distribution Detection, TMLR 2025, arXiv 2312.14427. Reference code:
    Jingkang50/OpenOOD, openood/postprocessors/grood.py, by the authors.
    """

    title = "GROOD (mean prototype)"
    family = "feature+logit"
    needs = frozenset({"logits", "labels"})
    paper = "ElAraby et al., TMLR 2025, arXiv 2312.14427"
    year = 2025
    cost = "memory bank"

    def fit(self, train: Train) -> Fit:
        classes = head_classes(train)
        labelled: GroupSums
        correct: GroupSums
        labelled, correct = yield FeatureSumsByLabel(classes), FeatureSumsWhenCorrect(classes)
        if not bool((correct.counts > 0).any()):
            raise ScoreError("no ID train row is predicted correctly")
        self.prototypes_ = labelled.means[labelled.counts > 0].double()
        self.ood_ = self.prototypes_.mean(dim=0)
        self._ways = (self.prototypes_ - self.ood_).T.contiguous()
        self._squares = self._ways.square().sum(dim=0)
        self._kept: dict[tuple[int, int], Tensor] = {}  # of the blocks of the bank, a number a row
        self.bank_ = bank_of(train)
        self._place = self.bank_.join(lambda block: _NearestGradient(self, block))

    def gradients(self, features: Tensor) -> Tensor:
        """Return g of rows (n, D), (n, D) float64."""
        way = features.double() - self.ood_
        return way.mul_(self._factors(way)[:, None])

    def stored_gradients(self, stored: Block) -> Tensor:
        """Return g of the rows of the bank that are predicted correctly; what needs all means is kept."""
        chosen = correct_class(stored) >= 0
        way = stored.features[chosen].double() - self.ood_
        which = (stored.start, len(stored))
        factors = self._kept.get(which)
        if factors is None:
            factors = self._kept[which] = self._factors(way)
        return way.mul_(factors[:, None])

    def _factors(self, way: Tensor) -> Tensor:
        """Return q(x) / ||x - p|| of x - p (n, D), (n,) float64."""
        length = torch.linalg.vector_norm(way, dim=1, keepdim=True)
        # a product takes a twentieth of the time of differences, and about the mean of the prototypes loses nothing
        squares = torch.addmm(self._squares, way, self._ways, alpha=-2).add_(length.square())
        distances = squares.clamp_min_(0).sqrt_()
        share = torch.softmax(-torch.cat([distances, length], dim=1), dim=1)[:, -1]
        factors: Tensor = share / length[:, 0].clamp_min(torch.finfo(torch.float64).tiny)
        return factors

    def score(self, block: Block) -> Tensor:
        return self.bank_.of(self._place, block)


class _NearestGradient(Guest):
    """Minus the squared distance of every row's gradient to the nearest of the bank's, (B,) float64.

    A product of matrices finds which rows of a meeting may be nearer than those before; their distances are then taken
    one by one, so that they do not cancel. ``|g - g_i|^2 = |g|^2 - 2 (g · g_i - |g_i|^2 / 2)``.
    """

    def __init__(self, score: GROOD, block: Block) -> None:
        self._score = score
        self._gradients = score.gradients(block.features)
        self._halves = self._gradients.square().sum(dim=1) / 2
        self._best = torch.full_like(self._halves, -torch.inf)
        self._left: Coarse | None = None
        if pays(block.features):
            self._left = left_side(self._gradients.float(), torch.ones_like(self._halves))

    def facing(self, stored: Block) -> Visit:
        others = self._score.stored_gradients(stored)
        halves = others.square().sum(dim=1) / 2
        right = None if self._left is None or not len(others) else right_side(others.float(), -halves)
        return partial(self._meet, others, halves, right)

    def _meet(self, others: Tensor, halves: Tensor, right: Coarse | None, meeting: Meeting) -> None:
        if not len(others):
            return
        mine, best = self._gradients[meeting.rows], self._best[meeting.rows]
        pairs = None
        if self._left is not None and right is not None:
            if bool(torch.isinf(best).any()):  # any row's distance is a first limit
                guess = product(mine.float(), others.T.float(), -halves.float()).argmax(dim=1)
                _approach(best, mine, others, torch.arange(len(mine), device=mine.device), guess)
            limits = self._halves[meeting.rows] + best / 2
            pairs = pairs_above(self._left.some(meeting.rows), right, limits)
        if pairs is None:
            nearest = torch.addmm(-halves, mine, others.T).argmax(dim=1)
            pairs = torch.arange(len(mine), device=mine.device), nearest
        _approach(best, mine, others, *pairs)

    def leave(self) -> Tensor:
        return self._best


def _approach(best: Tensor, mine: Tensor, others: Tensor, row: Tensor, column: Tensor) -> None:
    """Raise `best` (b,), minus squared distances, to those of the pairs."""
    for some, which in zip(torch.split(row, PAIRS), torch.split(column, PAIRS), strict=True):
        found = (mine.index_select(0, some) - others.index_select(0, which)).square_().sum(dim=1).neg_()
        best.scatter_reduce_(0, some, found, "amax")
