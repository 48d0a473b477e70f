"""A score of moodbench on arrays, with the habits of scikit-learn: fit, score_samples, predict, get_params, clone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.exceptions import NotFittedError

from moodbench.arguments import as_path
from moodbench.detection.conformal import p_values
from moodbench.detection.fitted import Fitted, read_fitted, write_fitted
from moodbench.detection.packing import UnpackableError
from moodbench.detection.scoring import Scoring
from moodbench.detectors.rows import Rows, as_batch, as_head
from moodbench.devices import arithmetic, check_threads, resolve_device
from moodbench.errors import CacheError, ScoreError, UsageError
from moodbench.scores.base import SCORES, Score, Train, create_score
from moodbench.scores.machinery.answers import Answer, OtherQuestionsError, recorded
from moodbench.scores.machinery.passes import fit_scores

ARRAYS = "arrays"
"""What the file of such a detector says it was fitted on, in the place of a model and a benchmark."""

Scores = NDArray[np.float64]


class ScoreDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """One score, fitted on arrays. Its classes are made from the scores (`moodbench.detectors`).

    Parameters are those of the score, and:

    Parameters
    ----------
    device : str, default="auto"
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    threads : int, optional
        Of the CPU; by default torch's own choice.

    Attributes
    ----------
    score_ : str
        Name of the score, as ``moodbench score`` has it.
    n_features_in_ : int
        D, the width of the features that it was fitted on.
    calibration_ : (n,) float64
        Scores of the ID rows that verdicts are held against, once `calibrate` has seen some; higher = more ID.
    offset_ : float
        Rows with a lower score are called OOD by `predict`, at its default rate.
    """

    score_: ClassVar[str]
    device: str
    threads: int | None
    _rows: Rows | None

    def fit(self, X: Any, y: Any = None, *, logits: Any = None, head: Any = None) -> Self:
        """Learn from ID train rows.

        Parameters
        ----------
        X : (N, D) array or tensor, or iterable or callable of batches
            Features, which become float32. Batches are features, ``(features, labels)`` or mappings with ``features``,
            ``labels`` and ``logits``; they are read several times, so an iterator itself is refused.
        y : (N,) of int, optional
            Labels; -1 where unknown. With a head or logits they number its classes.
        logits : (N, C) array or tensor, optional
            Of the model's own head; else they are computed with `head`.
        head : (weight (C, D), bias (C,)), optional
            The last linear layer; a bias of None is zero.

        Returns
        -------
        self

        Raises
        ------
        UsageError
            Arrays do not fit one another.
        ScoreError
            The score lacks something (a head, labels, …) or cannot be fitted on these rows.
        """
        device = resolve_device(self.device)
        check_threads(self.threads)
        self._forget()
        rows = Rows(X, y, logits, None if head is None else as_head(head))
        score = self._unfitted()
        answers: list[Answer] = []
        with arithmetic(self.threads), torch.inference_mode():
            train = self._train(rows, device)
            noting = {self.score_: recorded(score, answers)}
            _, missing = fit_scores(noting, train, lambda: rows.blocks(device), tolerant=True)
        if missing:
            raise ScoreError(
                f"the score '{self.score_}' cannot be fitted: {missing[self.score_]}", fix=_advice(missing[self.score_])
            )
        self._rows = rows
        weight, bias = (None, None) if rows.head is None else (rows.head.weight, rows.head.bias)
        about = {
            "kind": ARRAYS,
            "score": self.score_,
            "params": self._score_params(),
            "train": rows.facts(),
            "logits": rows.classes is not None,
            "recompute": False,
            "columns": None,
            "inputs": {},
        }
        self._take(Fitted(about, np.empty(0), weight, bias, answers), device)
        return self

    def score_samples(self, X: Any, *, logits: Any = None) -> Scores:
        """Return the score of each row, (N,) float64, higher = more in-distribution.

        Parameters
        ----------
        X : (N, D) array or tensor
            As wide as those of the fit.
        logits : (N, C) array or tensor, optional
            Of these rows, where the fit was given logits.

        Raises
        ------
        NotFittedError
            `fit` was not called.
        UsageError
            Arrays do not fit what it was fitted on.
        """
        fitted = self._ready()
        batch = as_batch(X, None, logits)
        if batch.features.shape[1] != self.n_features_in_:
            raise UsageError(f"the features are {batch.features.shape[1]} wide; it was fitted on {self.n_features_in_}")
        classes = fitted.about["train"]["classes"]
        if batch.logits is not None and batch.logits.shape[1] != classes:
            raise UsageError(f"the logits have {batch.logits.shape[1]} classes; it was fitted on {classes or 'none'}")
        if batch.logits is None and fitted.about["logits"] and fitted.weight is None:
            raise UsageError("it was fitted with logits and without a head", fix="give logits= of these rows too")
        scores: Scores = self._scoring(batch.features, batch.logits)
        return scores

    def calibrate(self, X: Any, *, logits: Any = None, fpr_id: float = 0.05) -> Self:
        """Take ID rows that the fit has not seen to hold others against, for `predict` and `p_values`.

        Parameters
        ----------
        X, logits
            As of `score_samples`.
        fpr_id : float
            Share of ID rows that may be called OOD.

        Raises
        ------
        UsageError
            So few rows cannot keep to the rate, or it is none.
        """
        loose: Any = fpr_id  # what people write, not what they should
        if not isinstance(loose, Real) or not 0 < fpr_id < 1:
            raise UsageError(f"fpr_id is a share between 0 and 1, got {fpr_id!r:.80}")
        scores = np.sort(self.score_samples(X, logits=logits))
        below = math.floor(fpr_id * (len(scores) + 1) + 1e-9) - 1
        if below < 0:
            raise UsageError(
                f"{len(scores)} ID rows cannot tell a rate of {fpr_id:g}",
                fix=f"at least {math.ceil(1 / fpr_id) - 1} rows, or a higher rate",
            )
        self.calibration_, self.offset_ = scores, float(scores[below])
        return self

    def p_values(self, X: Any, *, logits: Any = None) -> Scores:
        """Return conformal p-values, (N,): (1 + calibration rows that score no higher) / (n + 1)."""
        self._calibrated()
        return p_values(self.calibration_, self.score_samples(X, logits=logits))

    def decision_function(self, X: Any, *, logits: Any = None) -> Scores:
        """Return `score_samples` less `offset_`, (N,): negative where a row is called OOD."""
        self._calibrated()
        return np.asarray(self.score_samples(X, logits=logits) - self.offset_)

    def predict(self, X: Any, *, logits: Any = None) -> NDArray[np.int64]:
        """Return 1 for in-distribution and -1 for OOD, (N,): a p-value of at most the calibrated rate is OOD."""
        return np.where(self.decision_function(X, logits=logits) < 0, -1, 1)

    def save(self, file: str | Path) -> None:
        """Write what was fitted to a sealed HDF5 file without pickles, whole or not at all.

        Of a score that compares with every ID train row the rows are in it.

        Raises
        ------
        NotFittedError
            `fit` was not called.
        CacheError
            The file cannot be written.
        """
        fitted = self._ready()
        banked = self._rows.arrays() if self._rows is not None and self._unfitted().cost == "memory bank" else {}
        about = {**fitted.about, "offset": getattr(self, "offset_", None)}
        calibration = getattr(self, "calibration_", np.empty(0))
        try:
            write_fitted(
                as_path(file), Fitted(about, calibration, fitted.weight, fitted.bias, fitted.answers, bank=banked)
            )
        except UnpackableError as error:
            raise CacheError(f"what was fitted cannot be saved: it has {error}", file=file) from None

    @classmethod
    def load(cls, file: str | Path, *, device: str = "auto", threads: int | None = None) -> Self:
        """Return the detector that `save` wrote.

        Raises
        ------
        CacheError
            The file is missing, damaged, or of another score, model or version.
        """
        place, path = resolve_device(device), as_path(file)
        fitted = read_fitted(path, place)
        about = fitted.about
        if about.get("kind") != ARRAYS:
            raise CacheError(
                "the detector is one of a model's caches", file=path, fix="moodbench.Detector.load(file=…)"
            )
        if about["score"] != cls.score_:
            raise CacheError(f"the detector is of the score '{about['score']}', not '{cls.score_}'", file=path)
        found = cls(**about["params"], device=device, threads=threads)
        head = None if fitted.weight is None or fitted.bias is None else as_head((fitted.weight, fitted.bias))
        found._rows = Rows(dict(fitted.bank), head=head) if fitted.bank else None
        try:
            found._take(fitted, place)
        except OtherQuestionsError as error:
            raise CacheError(
                f"it was fitted with other code: {error}", file=path, fix="fit and save it again"
            ) from None
        if len(fitted.calibration):
            found.calibration_, found.offset_ = fitted.calibration, float(about["offset"])
        return found

    def _score_params(self) -> dict[str, Any]:
        """Return the parameters of the score, numbers of NumPy as Python's, which a file can hold."""
        given = {name: getattr(self, name) for name in SCORES.get(self.score_).parameters()}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}

    def _unfitted(self) -> Score:
        return created(type(self).__name__, self.score_, self._score_params())

    def _train(self, rows: Rows, device: torch.device) -> Train:
        both = (None, None) if rows.head is None else (rows.head.weight, rows.head.bias)
        weight, bias = (None if array is None else torch.from_numpy(array).to(device) for array in both)
        texts = {} if rows.head is None else {k: torch.from_numpy(t).to(device) for k, t in rows.head.texts.items()}
        bank = partial(rows.blocks, device)
        return Train(weight=weight, bias=bias, device=device, bank=bank, texts=texts, **rows.facts())

    def _take(self, fitted: Fitted, device: torch.device) -> None:
        rows = self._rows
        bank = (lambda: ()) if rows is None else (lambda: rows.blocks(device))
        self._fitted = fitted
        self._scoring = Scoring(self._unfitted(), fitted, bank, device, self.threads)
        self.n_features_in_ = int(fitted.about["train"]["dim"])

    def _forget(self) -> None:
        for name in ("calibration_", "offset_", "n_features_in_", "_fitted", "_scoring", "_rows"):
            self.__dict__.pop(name, None)

    def _ready(self) -> Fitted:
        fitted: Fitted | None = self.__dict__.get("_fitted")
        if fitted is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit with ID train rows first")
        return fitted

    def _calibrated(self) -> None:
        self._ready()
        if "offset_" not in self.__dict__:
            raise NotFittedError("there is nothing to hold rows against: call calibrate with ID rows first")


def created(called: str, score: str, params: Mapping[str, Any]) -> Score:
    """Return the score with these parameters; what is refused is said in Python's words, of the class `called` so.

    Raises
    ------
    UsageError
        A value is none for its parameter.
    """
    try:
        return create_score(score, params, text=False)
    except UsageError as error:
        usual = ", ".join(f"{name}={value!r}" for name, value in SCORES.get(score).parameters().items())
        raise UsageError(error.what, fix=f"its defaults are {called}({usual})") from None


def _advice(lack: str) -> str | None:
    """Return what to give where something lacks."""
    wanted = {"head": "head=(weight, bias)", "labels": "y, a label of each row"}
    wanted["logits"] = "head=(weight, bias), or logits=…"
    return next((f"give {what}" for word, what in wanted.items() if lack.startswith(f"no {word}")), None)
