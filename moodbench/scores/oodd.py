"""OODD: nearest ID train rows against the most OOD-like test rows that were met so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.bank import Bank, Guest, Meeting, Visit, bank_of
from moodbench.scores.machinery.directions import Directions
from moodbench.scores.machinery.sample import priority
from moodbench.scores.machinery.similar import MostSimilar
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.scores.machinery.streaming import Batch, OverStream


@SCORES.register("oodd")
@dataclass
class OODD(OverStream):
    """``s(x) - cos(x, q_(k_ood))`` with ``s(x) = cos(x, d_(k))``: like ID rows d, unlike OOD rows q.

    d are the most confident ID train rows of each class (by MSP), together a share of all. q is a queue of the `queue`
    test rows with the smallest s so far, those of the batch itself included; cos(·, q_(k)) is the k-th largest cosine.
    Transductive: the number of a row depends on the rows before it in the stream, and beside it in its batch.

    Parameters
    ----------
    batch : int, default=512
        Test rows that come together, as in the code.
    seed : int, default=0
        Of the order of the stream.
    k : int, default=10
        Which neighbour among the ID rows. The program's are 10 (CIFAR-100), 5 (CIFAR-10) and 100 (ImageNet).
    k_ood : int, default=5
        Which neighbour in the queue.
    share : float, default=0.5
        alpha: of the ID train rows, the share that is kept.
    queue : int, default=512
        Length of the queue: 512 (CIFAR-100), 128 (CIFAR-10), 2048 (ImageNet).

    Attributes
    ----------
    directions_ : Directions
        The mean of all unit rows of ID train.
    bank_ : Bank
        The ID train rows.
    kept_ : (N,) bool
        Which of them are d.

    Notes
    -----
    Rows of equal confidence in a class are told apart by their bits. Fewer rows than k or k_ood: the farthest of them.

    Left out: the program takes the most confident of five random crops of each ID train image, and a cache holds one;
    and the paper's outliers that fill the queue before the test (dual OOD stabilization), which are generated from ID
    images: the published program runs without them, and stops with an error where it is given some. It puts 1e-10 onto
    every unit feature.

    References
    ----------
    Yang et al., OODD: Test-time Out-of-Distribution Detection with Dynamic Dictionary, CVPR 2025, arXiv 2503.10468.
    Reference code: zxk1212/OODD, openood/postprocessors/knn_postprocessor.py.
    """

    title = "OODD"
    family = "feature+logit"
    needs = frozenset({"logits", "labels", "stream"})
    paper = "Yang et al., CVPR 2025, arXiv 2503.10468"
    year = 2025
    cost = "memory bank"

    batch: int = 512
    seed: int = 0
    k: int = 10
    k_ood: int = 5
    share: float = 0.5
    queue: int = 512

    def __post_init__(self) -> None:
        if min(self.batch, self.k, self.k_ood, self.queue) < 1 or not 0 < self.share <= 1:
            raise UsageError(
                f"'oodd' needs batch, k, k_ood and queue >= 1 and share in (0, 1], got batch={self.batch}, k={self.k}, "
                f"k_ood={self.k_ood}, queue={self.queue} and share={self.share:g}"
            )

    def fit(self, train: Train) -> Fit:
        mean: Tensor = yield UnitMean()
        self.directions_ = Directions(mean)
        self.kept_ = _most_confident(train, self.share)
        self.bank_ = bank_of(train, mean)
        self._place = self.bank_.join(lambda block: _AmongKept(self.k, self.bank_, block, self.kept_))

    def score(self, block: Block) -> Tensor:
        """Return s: the cosine with the k-th nearest of the ID rows, (B,) float64."""
        return self.bank_.of(self._place, block)[:, -1]

    def stream(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        rows: Tensor | None = None
        alone: Tensor | None = None
        for batch in batches:
            features = batch.block.features
            rows = features if rows is None else torch.cat([rows, features])
            alone = batch.alone if alone is None else torch.cat([alone, batch.alone])
            lowest = torch.argsort(alone, stable=True)[: self.queue]
            rows, alone = rows[lowest], alone[lowest]
            cosines = self.directions_.relative(batch.block, self.directions_.fan(rows.double()))
            near = torch.topk(cosines, min(self.k_ood, len(rows)), dim=1).values[:, -1]
            yield batch.alone - (near.double() + self.directions_.own(batch.block))


def _most_confident(train: Train, share: float) -> Tensor:
    """Return which rows of the bank are kept, (N,) bool: of all classes in turn the most confident that is left."""
    parts = [(block.labels, _doubt(block), priority(block, 0)) for block in train.bank()]
    labels, doubt, bits = (torch.cat(list(some)) for some in zip(*parts, strict=True))
    order = torch.argsort(bits, stable=True)
    order = order[torch.argsort(doubt[order], stable=True)]
    order = order[torch.argsort(labels[order], stable=True)]
    counts = torch.bincount(labels)
    starts = (counts.cumsum(0) - counts).index_select(0, labels[order])
    turns = torch.arange(len(order), device=order.device) - starts
    wanted = order[torch.argsort(turns, stable=True)][: max(1, int(share * len(order)))]
    kept = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    kept[wanted] = True
    return kept


def _doubt(block: Block) -> Tensor:
    """Return log((1 - p) / p) of p = MSP, (B,) float64: it tells rows apart whose MSP is 1 in any precision."""
    logits = block.logits.double()
    top = logits.gather(1, block.predicted[:, None])
    return torch.logsumexp(logits.scatter(1, block.predicted[:, None], -torch.inf), dim=1) - top[:, 0]


class _AmongKept(Guest):
    """The k-th largest cosine of every row with the rows of the bank that are kept, among the k largest."""

    def __init__(self, k: int, bank: Bank, block: Block, kept: Tensor) -> None:
        self._similar = MostSimilar(k, bank, block)
        self._kept, self._directions = kept, bank.directions

    def facing(self, stored: Block) -> Visit:
        some = stored.rows(self._kept[stored.start : stored.start + len(stored)])
        visit = self._similar.facing(some) if len(some) else None

        def meet(meeting: Meeting) -> None:
            if visit is not None:
                visit(Meeting(meeting.block, meeting.rows, some, self._directions))

        return meet

    def leave(self) -> Tensor:
        return self._similar.leave()
