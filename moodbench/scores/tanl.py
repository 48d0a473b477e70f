"""TANL: those of many words are negative labels that sure OOD pictures of the test activate, and sure ID ones not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.products import product
from moodbench.scores.machinery.streaming import Batch, OverStream
from moodbench.scores.machinery.texts import HeadTexts
from moodbench.scores.machinery.unit import unit_features, unit_rows

THRESHOLDS = 100
"""Thresholds that are tried: 0, 0.01, ... 0.99."""


@SCORES.register("tanl")
@dataclass
class TANL(OverStream):
    """``mean over m = 1..M of P / (P + N_m)``, N_m the sum over the m most activated labels.

    ``P = sum_k exp(cos(x, w_k) / tau)`` is that of the classes, N_m a sum of the same terms. The activation of a label
    by a picture is its softmax probability among the classes and all negatives of the head; labels are ordered by the
    mean activation of sure OOD pictures minus that of sure ID ones. A first score, with what earlier batches had, says
    which pictures are sure: those above t + gap (1 - t), or below t - gap t. The sure ones of its own batch then give a
    row its number. The queues of both begin with the classes' own texts and with the noise images of the head. t parts
    the first scores so far into two with the least variance within. Transductive: the number of a row depends on the
    rows before it in the stream, and beside it in its batch.

    Parameters
    ----------
    batch : int, default=256
        Test rows that come together, as in the code.
    seed : int, default=0
        Of the order of the stream, and of that in which texts and noise images leave the queues.
    temperature : float, default=0.01
        tau, which divides cosines.
    labels : int, default=1000
        M; all negatives if these are fewer.
    queue : int, default=300
        L: so many pictures of either side are remembered, the latest.
    gap : float, default=0.5
        g.
    history : float, default=0.0
        alpha: how much the queue counts beside the pictures of a batch, where this has sure ones.
    step : int, default=1
        m is step, 2 step, ... M; 0: M alone, which leaves out how much more the most activated labels count.
    window : int, default=20000
        First scores that the threshold is found from, the latest.

    Attributes
    ----------
    texts_ : (C + N, D) float32
        Unit rows of the head, and of its negatives.
    classes_ : int
        C.
    sure_id_, sure_ood_ : (n, N) float32
        Activations by the classes' texts and by noise images, with which the queues begin.
    first_ : (C + P,) float64
        Scores of these.

    Notes
    -----
    Candidates are all negatives of the head. The paper's are the whole corpus: ``head text`` with
    ``--negative-share 1``.

    Numbers are those of ``scripts/ood/TANL/official.sh``: history is 0 there, which its comment calls better where test
    images are at hand, and 0.95 in others of its scripts. With fewer than M negatives, the program counts the last term
    over and over; here M is their number.

    A form for SigLIP, which compares a picture with each text by a sigmoid instead of with all by a softmax, is not
    here: the program has a script for it, and the file that the script runs is not among its files. On a SigLIP head
    this takes the softmax too, of cosines alone, over `temperature`.

    Noise images are the program's fifteen, three each of five kinds, drawn anew from a fixed seed
    (`moodbench.texts.noise`).

    References
    ----------
    Zhang et al., Activation Matters: Test-time Activated Negative Labels for OOD Detection with Vision-Language Models,
    CVPR 2026, arXiv 2603.25250. Reference code: YBZh/OpenOOD-VLM,
    openood/postprocessors/activated_neg_postprocessor.py.
    """

    title = "TANL"
    family = "feature+logit"
    needs = frozenset({"head", "negatives", "noise", "stream"})
    paper = "Zhang et al., CVPR 2026, arXiv 2603.25250"
    year = 2026
    cost = "many directions"

    batch: int = 256
    seed: int = 0
    temperature: float = 0.01
    labels: int = 1000
    queue: int = 300
    gap: float = 0.5
    history: float = 0.0
    step: int = 1
    window: int = 20000

    def __post_init__(self) -> None:
        if self.temperature <= 0 or min(self.batch, self.labels, self.queue, self.window) < 1 or self.step < 0:
            raise UsageError(
                f"'tanl' needs temperature > 0, batch, labels, queue and window >= 1 and step >= 0, got temperature="
                f"{self.temperature:g}, batch={self.batch}, labels={self.labels}, queue={self.queue}, window="
                f"{self.window} and step={self.step}"
            )
        if not (0 <= self.gap <= 1 and 0 <= self.history <= 1):
            raise UsageError(f"'tanl' needs gap and history in [0, 1], got gap={self.gap} and history={self.history}")

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        negatives, noise = yield (HeadTexts("negatives", train), HeadTexts("noise", train))
        if len(negatives) < self.labels:
            self.note_ = f"{len(negatives)} negatives, which are all labels"
        self.classes_ = len(train.weight)
        self.texts_ = torch.cat([unit_rows(train.weight), unit_rows(negatives)])
        of_texts = self._logits(self.texts_[: self.classes_])
        of_noise = self._logits(unit_rows(noise))
        draw = torch.Generator().manual_seed(self.seed)
        self.sure_id_, self.sure_ood_ = (
            self._activations(some)[torch.randperm(len(some), generator=draw).to(some.device)][-self.queue :]
            for some in (of_texts, of_noise)
        )
        self.first_ = self._score(torch.cat([of_texts, of_noise]), _mean(self.sure_ood_) - _mean(self.sure_id_))

    def score(self, block: Block) -> Tensor:
        """Return the first score that a row has at the beginning of a stream, (B,) float64."""
        return self._score(self._logits(unit_features(block)), _mean(self.sure_ood_) - _mean(self.sure_id_))

    def stream(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        queues = [self.sure_id_, self.sure_ood_]
        scores = self.first_
        for batch in batches:
            logits = self._logits(unit_features(batch.block))
            found = self._activations(logits)
            means = [_mean(queue) for queue in queues]
            first = self._score(logits, means[1] - means[0])
            scores = torch.cat([scores, first[~first.isnan()]])[-self.window :]
            t = best_threshold(scores)
            for side, sure in enumerate((first > t + self.gap * (1 - t), first < t - self.gap * t)):
                if bool(sure.any()):
                    means[side] = self.history * means[side] + (1 - self.history) * _mean(found[sure])
                    queues[side] = torch.cat([queues[side], found[sure]])[-self.queue :]
            yield self._score(logits, means[1] - means[0])

    def _logits(self, z: Tensor) -> Tensor:
        """Return cosines of unit rows with classes and negatives over the temperature, (B, C + N) float32."""
        return product(z, self.texts_.T).div_(self.temperature)

    def _activations(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, dim=1)[:, self.classes_ :]

    def _score(self, logits: Tensor, activation: Tensor) -> Tensor:
        """Return the scores of rows (B, C + N), (B,) float64, where the labels are activated so much, (N,)."""
        labels = torch.argsort(activation, descending=True, stable=True)[: self.labels]
        positive = torch.logsumexp(logits[:, : self.classes_].double(), dim=1)
        negative = torch.logcumsumexp(logits[:, self.classes_ + labels].double(), dim=1)
        step = self.step or len(labels)
        terms = [*range(step - 1, len(labels) - 1, step), len(labels) - 1]
        return torch.sigmoid(positive[:, None] - negative[:, terms]).mean(dim=1)


def _mean(activations: Tensor) -> Tensor:
    return activations.mean(dim=0, dtype=torch.float64)


def best_threshold(scores: Tensor) -> float:
    """Return the threshold that parts numbers in [0, 1] into two with the least variance within, as Otsu's does.

    Parameters
    ----------
    scores : (n,) float64

    Returns
    -------
    float
        One of 0, 0.01, ... 0.99; of equally good ones that in the middle; 0.5 where none parts them.
    """
    ordered = scores.sort().values
    grid = torch.arange(THRESHOLDS, dtype=torch.float64, device=scores.device) / THRESHOLDS
    below = torch.searchsorted(ordered, grid)  # how many are smaller: a part holds what is at least the threshold
    above = len(scores) - below
    sums = torch.nn.functional.pad(ordered.cumsum(0), (1, 0))
    part = sums[below]
    # the squares add up to the same whatever the parts: the least variance is the most of n mean^2 in both
    between = part.square() / below + (sums[-1] - part).square() / above
    between[(below == 0) | (above == 0)] = -torch.inf
    best = (between == between.max()).nonzero()[:, 0]
    return float(grid[best[len(best) // 2]])
