"""Temperature scaling: the largest softmax probability of a calibrated model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.class_means import head_classes
from moodbench.scores.machinery.sample import Rows, Sample
from moodbench.scores.machinery.tempered import log_rest

LOWEST, HIGHEST = 0.01, 100.0
"""Temperatures are sought between these. Rows that are all classified correctly have none: the likelihood grows for
ever as T falls."""

CHUNK = 512
"""Rows whose softmax is held in memory at a time."""


@SCORES.register("temp_scaling")
@dataclass
class TemperatureScaling(Score):
    """``max_k softmax(l / T)_k``, given as its logit, with T the temperature of the most likely labels.

    T minimises the mean of log sum_k exp(l_k / T) - l_y / T over held-out ID rows with label y.

    Parameters
    ----------
    temperature : float, default=0
        T. 0 fits it.
    rows : int, default=5000
        Number of held-out rows that T is fitted on, drawn at random if there are more. Their features and logits stay
        in memory while fitting: 4 · rows · (D + C) bytes.
    seed : int, default=0
        Of that draw.

    Attributes
    ----------
    temperature_ : float
        T.

    Notes
    -----
    The objective is convex in 1/T, and Newton's method in 1/T, kept between bounds, converges to all digits.
    Given as the logit, -log sum_{k != c} exp((l_k - l_c) / T), confident rows do not tie.
    Rows that the head was trained on are classified too well, which biases T downwards; a benchmark with `id_val`
    avoids it. Labels that are no likelier under the logits than under equal probabilities cannot be the head's classes:
    the score is left out.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv 1706.04599, section 4.2. Difference from the
    public programs (gpleiss/temperature_scaling, OpenOOD, pytorch-ood): their optimiser stops far from the optimum, on
    data made for T = 5 at 1.8 (OpenOOD) and 1.3 (pytorch-ood), so that published numbers differ.
    """

    title = "Temperature scaling"
    family = "logit"
    needs = frozenset({"logits", "labels"})
    paper = "Guo et al., ICML 2017, arXiv 1706.04599"
    year = 2017

    temperature: float = 0.0
    rows: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.rows < 1:
            raise UsageError(
                "'temp_scaling' needs temperature >= 0 and rows >= 1, "
                f"got temperature={self.temperature} and rows={self.rows}"
            )

    def fit(self, train: Train) -> Fit:
        self.temperature_ = self.temperature
        if self.temperature > 0:
            return
        classes = head_classes(train)
        if classes < 2:
            raise ScoreError("a temperature needs two classes")
        sample: Rows = yield Sample(self.rows, seed=self.seed, logits=True, labels=True).on("held_out")
        if sample.logits is None or sample.labels is None:
            raise ValueError("the sample has no logits or no labels")
        known = (sample.labels >= 0) & (sample.labels < classes)
        self.temperature_ = best_temperature(sample.logits[known], sample.labels[known])
        if self.temperature_ in (LOWEST, HIGHEST):
            self.note_ = f"T = {self.temperature_:g} is the end of the range it is sought in"

    def score(self, block: Block) -> Tensor:
        return -log_rest(block, self.temperature_)


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return T in [LOWEST, HIGHEST] that makes the labels (n,) most likely under the logits (n, C).

    Raises
    ------
    ScoreError
        The labels are no likelier under the logits than under equal probabilities.
    """
    if len(labels) == 0:
        raise ScoreError("no held-out row has a label")
    if _derivatives(logits, labels, 0.0)[0] >= 0:
        raise ScoreError("the logits tell nothing of the labels")
    low, high = 1 / HIGHEST, 1 / LOWEST
    if _derivatives(logits, labels, low)[0] >= 0:
        return HIGHEST
    if _derivatives(logits, labels, high)[0] <= 0:
        return LOWEST
    inverse = 1.0
    for _ in range(60):
        slope, curvature = _derivatives(logits, labels, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        following = inverse - slope / curvature if curvature > 0 else math.inf
        if not low < following < high:
            following = math.sqrt(low * high)
        converged = abs(following - inverse) <= 1e-12 * inverse
        inverse = following
        if converged:
            break
    return 1 / inverse


def _derivatives(logits: Tensor, labels: Tensor, inverse: float) -> tuple[float, float]:
    """Return the first and second derivative with respect to 1/T of the mean negative log likelihood."""
    slope = curvature = 0.0
    for start in range(0, len(labels), CHUNK):
        centred = logits[start : start + CHUNK].double()
        centred = centred - centred.gather(1, labels[start : start + CHUNK, None])
        p = torch.softmax(inverse * centred, dim=1)
        mean = (p * centred).sum(dim=1)
        slope += float(mean.sum())
        curvature += float((p * (centred - mean[:, None]).square()).sum())
    return slope / len(labels), curvature / len(labels)
