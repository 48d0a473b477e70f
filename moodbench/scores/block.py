"""A block of rows with everything that several scores read, each thing computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar

import torch
from torch import Tensor

from moodbench.scores.machinery.vectorised import row_argmax
from moodbench.views import LayerView

T = TypeVar("T")

TINY = torch.finfo(torch.float32).tiny
"""Smallest normal float32: what is below is flushed to zero, because a product of two matrices that hold denormal
numbers runs more than ten times slower on a CPU."""

LOG2_E = math.log2(math.e)

HELD_OUT = 10
"""One row of ID train in so many is held out for the scores that tune on ID rows they were not fitted on."""


class Block:
    """B rows of one dataset.

    Parameters
    ----------
    features : (B, D) float32
    logits : (B, C) float32, optional
    labels : (B,) int64, optional
        -1 where unknown.
    start : int
        Number of the first row within its dataset.
    views : mapping of name to Block, optional
        Other vectors of the same images, under the names of their caches (``layer-blocks.3``, ``view-odin-0.0014``).

    Notes
    -----
    All arrays are shared between scores: nobody writes to them.
    """

    def __init__(
        self,
        features: Tensor,
        logits: Tensor | None = None,
        labels: Tensor | None = None,
        start: int = 0,
        views: Mapping[str, Block] | None = None,
    ) -> None:
        self.features = features
        self.start = start
        self._logits = logits
        self._labels = labels
        self.views: Mapping[str, Block] = views or {}
        self._memo: dict[Hashable, Any] = {}
        self._locks: dict[Hashable, Lock] = {}
        self._held_out: Block | None = None

    def __len__(self) -> int:
        return self.features.shape[0]

    @property
    def logits(self) -> Tensor:
        """(B, C) float32. Asking for them where there are none is a bug: the score should declare the need."""
        if self._logits is None:
            raise LookupError("this block has no logits; declare needs = {'logits'}")
        return self._logits

    @property
    def labels(self) -> Tensor:
        """(B,) int64, -1 where unknown."""
        if self._labels is None:
            raise LookupError("this block has no labels; declare needs = {'labels'}")
        return self._labels

    @property
    def layers(self) -> Mapping[str, Tensor]:
        """(B, D) float32 of each layer that is cached, by its name (``blocks.3``, ``blocks.3-cls``), input first."""
        return self.shared(
            "layers",
            lambda: {
                view.name: block.features
                for name, block in self.views.items()
                if (view := LayerView.parse(name)) is not None
            },
        )

    @property
    def _top(self) -> tuple[Tensor, Tensor]:
        return self.shared("top", lambda: _largest(self.logits))

    @property
    def max_logit(self) -> Tensor:
        """(B,) float32, the largest logit."""
        return self._top[0]

    @property
    def predicted(self) -> Tensor:
        """(B,) int64, the predicted class."""
        return self._top[1]

    @property
    def _softmax(self) -> tuple[Tensor, Tensor]:
        return self.shared("softmax", lambda: softmax_and_rest(self.logits, self.predicted))

    @property
    def rest(self) -> Tensor:
        """(B,) float32, sum of exp(l_k - l_max) over all classes but the predicted one; max p = 1 / (1 + rest)."""
        return self._softmax[1]

    @property
    def confidence(self) -> Tensor:
        """(B,) float32, the softmax probability of the predicted class."""
        return 1 / (1 + self.rest)

    @property
    def probabilities(self) -> Tensor:
        """(B, C) float32, the softmax of the logits; values below the smallest normal float32 are 0."""
        return self._softmax[0]

    @property
    def log_sum_exp(self) -> Tensor:
        """(B,) float32, log of the sum of exp(l), shifted by the largest logit so that it cannot overflow."""
        return self.shared("log_sum_exp", lambda: self.max_logit + torch.log1p(self.rest))

    def rows(self, chosen: Tensor) -> Block:
        """Return some rows, (B,) bool or their numbers, as a block of their own."""
        return Block(
            self.features[chosen],
            None if self._logits is None else self._logits[chosen],
            None if self._labels is None else self._labels[chosen],
            views={name: view.rows(chosen) for name, view in self.views.items()},
        )

    def unlabelled(self) -> Block:
        """Return the same rows without labels."""
        return Block(self.features, self._logits, None, self.start, {n: v.unlabelled() for n, v in self.views.items()})

    def apart(self) -> Block:
        """Return the same rows as a block that shares nothing: for code that may not know that nobody writes to one."""
        logits, labels = (None if some is None else some.clone() for some in (self._logits, self._labels))
        return Block(
            self.features.clone(), logits, labels, self.start, {name: view.apart() for name, view in self.views.items()}
        )

    def held_out(self) -> Block:
        """Return the rows that are held out for tuning (every tenth of the dataset) as a block."""
        if self._held_out is None:
            rows = torch.arange(self.start, self.start + len(self), device=self.features.device)
            self._held_out = self.rows(rows % HELD_OUT == HELD_OUT - 1)
        return self._held_out

    def shared(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what is filed under `key`, computed by the first score that asks for it; others wait for it."""
        if key not in self._memo:
            with self._locks.setdefault(key, Lock()):
                if key not in self._memo:
                    self._memo[key] = compute()
        found: T = self._memo[key]
        return found


def joined(blocks: Sequence[Block]) -> Block:
    """Return blocks, which all have logits and labels or all have none, as one; a single one as it is."""
    if len(blocks) == 1:
        return blocks[0]
    logits, labels = ([getattr(block, name) for block in blocks] for name in ("_logits", "_labels"))
    return Block(
        torch.cat([block.features for block in blocks]),
        None if logits[0] is None else torch.cat(logits),
        None if labels[0] is None else torch.cat(labels),
        views={name: joined([block.views[name] for block in blocks]) for name in blocks[0].views},
    )


def _largest(logits: Tensor) -> tuple[Tensor, Tensor]:
    best = row_argmax(logits)
    return logits.gather(1, best[:, None])[:, 0], best


def softmax_and_rest(logits: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    """Return the softmax, (B, C), and the sum of exp(l_k - l_max) over all classes but the `best` (B,) one, (B,).

    Adding the largest term, which is exactly 1, to the others would round away every sum below 6e-8, and with it the
    order of all confident rows. So the sum of the others is taken by itself, from their own small values.
    """
    p = torch.softmax(logits, dim=1)
    place = best[:, None]
    top = p.gather(1, place)
    p.scatter_(1, place, 0.0)
    rest = p.sum(dim=1, keepdim=True) / top
    p.scatter_(1, place, top)
    return torch.threshold_(p, TINY, 0.0), rest[:, 0]


def log_sum_exp(logits: Tensor) -> Tensor:
    """Return log(sum(exp(logits))) over the classes, (B,), overwriting `logits` (B, C) on the way.

    Rows of -inf give -inf.
    """
    top = logits.amax(dim=1).clamp_min_(torch.finfo(logits.dtype).min)
    # a power of two: on a CPU exp takes 15 times longer where its results are too small for a normal float32
    return top + logits.sub_(top[:, None]).mul_(LOG2_E).exp2_().sum(dim=1).log_()
