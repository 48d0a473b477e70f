"""Generic outlier detectors of scikit-learn, fitted to a sample of ID train features without labels."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import SCORES, Fit, Score, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.libraries import heard
from moodbench.scores.machinery.sample import Rows, Sample


class _Detector(Score):
    """A detector of scikit-learn: `make` it, fit it to a sample, and score with its score_samples."""

    family = "feature"

    rows: int
    seed: int

    @abstractmethod
    def make(self, rows: int) -> Any:
        """Return the estimator to fit to so many rows."""

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise UsageError(f"a sample needs at least 2 rows, got {self.rows}")

    def fit(self, train: Train) -> Fit:
        sample: Rows = yield Sample(self.rows, seed=self.seed)
        features = sample.features.cpu().numpy()
        if len(features) < 2:
            raise ScoreError("ID train has one row only")
        detector = self.make(len(features))
        # many equal rows: the detector says that its densities are huge then, which ranks them as it should
        self.detector_, self.note_ = heard(lambda: detector.fit(features), known=["Duplicate values"])

    def score(self, block: Block) -> Tensor:
        values = self.detector_.score_samples(block.features.cpu().numpy())
        return torch.as_tensor(values, device=block.features.device)


@SCORES.register("lof")
@dataclass
class LocalOutlierFactor(_Detector):
    """``-LOF(x)``, the local density of a row relative to that of its nearest ID train rows.

    With N(x) the k nearest rows, reach(x, o) = max(k-distance(o), ||x - o||) and
    density(x) = 1 / mean_{o in N(x)} reach(x, o): LOF(x) = mean_{o in N(x)} density(o) / density(x).

    Parameters
    ----------
    k : int, default=20
        Neighbours, at most one less than rows in the sample.
    rows : int, default=5000
        A random sample of so many ID train rows stands for ID train.
    seed : int, default=0
        Of the sample.

    Attributes
    ----------
    detector_ : sklearn.neighbors.LocalOutlierFactor

    Notes
    -----
    Features as they are, Euclidean distances, exact search. Not published for OOD detection of features: a baseline
    with scikit-learn's defaults.

    References
    ----------
    Breunig et al., LOF: Identifying Density-Based Local Outliers, SIGMOD 2000, as in scikit-learn's LocalOutlierFactor
    with novelty=True.
    """

    title = "LOF"
    paper = "Breunig et al., SIGMOD 2000"
    year = 2000
    cost = "scikit-learn"

    k: int = 20
    rows: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise UsageError(f"the number of neighbours must be at least 1, got {self.k}")

    def make(self, rows: int) -> Any:
        from sklearn.neighbors import LocalOutlierFactor as Detector

        return Detector(n_neighbors=min(self.k, rows - 1), novelty=True, algorithm="brute")


@SCORES.register("iforest")
@dataclass
class IsolationForest(_Detector):
    """``-2^(-E[h(x)] / c)``, from the mean depth h at which random trees isolate a row.

    Each tree splits a random part of ID train at random thresholds of random features; c is the mean depth expected in
    a tree of that many rows.

    Parameters
    ----------
    trees : int, default=100
    rows : int, default=10000
        The trees draw their rows, 256 each, from a random sample of so many ID train rows.
    seed : int, default=0
        Of the sample and of the trees.

    Attributes
    ----------
    detector_ : sklearn.ensemble.IsolationForest

    Notes
    -----
    Splits along single features make it weak above a hundred or so features: a baseline, with scikit-learn's defaults.

    References
    ----------
    Liu et al., Isolation Forest, ICDM 2008, as in scikit-learn's IsolationForest.
    """

    title = "Isolation forest"
    paper = "Liu et al., ICDM 2008"
    year = 2008
    cost = "scikit-learn"

    trees: int = 100
    rows: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trees < 1:
            raise UsageError(f"the number of trees must be at least 1, got {self.trees}")

    def make(self, rows: int) -> Any:
        from sklearn.ensemble import IsolationForest as Detector

        return Detector(n_estimators=self.trees, random_state=self.seed)


@SCORES.register("ocsvm")
@dataclass
class OneClassSVM(_Detector):
    """``sum_i alpha_i exp(-||s - s_i||^2 / D)`` over the support vectors s_i of a one-class SVM.

    s are features standardised with mean and standard deviation of the sample.

    Parameters
    ----------
    nu : float, default=0.5
        Bound on the share of outliers in the sample and of support vectors among its rows.
    rows : int, default=2000
        The SVM is fitted to a random sample of so many ID train rows; time grows with its square.
    seed : int, default=0
        Of the sample.

    Attributes
    ----------
    detector_ : sklearn.pipeline.Pipeline
    mean_, scale_ : (D,) float32
        Mean and standard deviation of the sample.
    vectors_, weights_ : (S, D) and (S,) float32
        s_i and alpha_i.

    Notes
    -----
    The support vectors are found by scikit-learn, with its defaults; the sum over them is a matrix product.

    References
    ----------
    Schölkopf et al., Estimating the Support of a High-Dimensional Distribution, Neural Computation 13 (2001), as in
    scikit-learn's OneClassSVM.
    """

    title = "One-class SVM"
    paper = "Schölkopf et al., Neural Computation 2001"
    year = 2001
    cost = "scikit-learn"

    nu: float = 0.5
    rows: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.nu <= 1:
            raise UsageError(f"nu lies in (0, 1], got {self.nu:g}")

    def make(self, rows: int) -> Any:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import OneClassSVM as Detector

        return make_pipeline(StandardScaler(), Detector(nu=self.nu, gamma="auto"))

    def fit(self, train: Train) -> Fit:
        yield from super().fit(train)
        scaler, svm = (step for _, step in self.detector_.steps)

        def tensor(array: Any) -> Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=train.device)

        self.mean_, self.scale_ = tensor(scaler.mean_), tensor(scaler.scale_)
        self.vectors_, self.weights_ = tensor(svm.support_vectors_), tensor(svm.dual_coef_[0])

    def score(self, block: Block) -> Tensor:
        rows = (block.features - self.mean_) / self.scale_
        lengths = rows.square().sum(dim=1, keepdim=True) + self.vectors_.square().sum(dim=1)
        squares = torch.addmm(lengths, rows, self.vectors_.T, alpha=-2).clamp_min_(0)
        return squares.div_(-rows.shape[1]).exp_() @ self.weights_
