"""Arrays that `moodbench.metrics` is given, checked: a message names the argument and says what to give."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_scores(given: Any, what: str, *, least: int = 1) -> np.ndarray[Any, Any]:
    """Return scores (n,) float64, at least so many."""
    values = _real(given, what)
    if values.size < least:
        raise ValueError(f"{what} has {values.size} row, and FPR at 95 % TPR needs {least}: give more rows")
    return values


def as_right(given: Any, rows: int) -> np.ndarray[Any, Any]:
    """Return whether the classifier is right about each of so many ID rows, (n,) bool."""
    values = _of_rows(_real(given, "correct"), rows, "correct")
    if not np.isin(values, (0, 1)).all():
        raise ValueError("correct holds more than True and False (1 and 0): give predicted == labels")
    return values.astype(np.bool_)


def as_shares(given: Any, rows: int) -> np.ndarray[Any, Any]:
    """Return probabilities of so many ID rows, (n,) float64."""
    values = _of_rows(_real(given, "confidence"), rows, "confidence")
    if values.min() < 0 or values.max() > 1 + 1e-6:  # a float32 may round up
        raise ValueError(f"confidence goes from {values.min():g} to {values.max():g}: give probabilities, 0 to 1")
    return values


def _one_of_each(given: Any, what: str) -> np.ndarray[Any, Any]:
    """Return numbers of rows as an array (n,); tensors may be on a device and of a graph.

    Raises
    ------
    ValueError
        They are not one of each row, or no real numbers: a matrix of logits is no score, and would look like one.
    """
    if given is None:
        raise ValueError(f"{what} is None: give an array (n,), a number of each row")
    loose = given.detach().cpu() if callable(getattr(given, "detach", None)) else given
    if callable(getattr(loose, "is_floating_point", None)) and loose.is_floating_point():
        loose = loose.double()  # numpy has no bfloat16
    try:
        values = np.asarray(loose)
    except ValueError:  # lists of several lengths
        raise ValueError(f"{what} is no array of one dimension, (n,): give one number of each row") from None
    if values.ndim != 1:
        fix = "flatten it with .ravel()" if values.ndim and max(values.shape) == values.size else "give one of each row"
        raise ValueError(f"{what} has the shape {values.shape} and must be one-dimensional, (n,): {fix}")
    if np.iscomplexobj(values):
        raise ValueError(f"{what} holds complex numbers, and these have no order: give real ones")
    if values.dtype.kind not in "biufO":
        raise ValueError(f"{what} holds no numbers, but {values.dtype}: give numbers")
    return values


def _real(given: Any, what: str) -> np.ndarray[Any, Any]:
    """Return real numbers (n,), at least one and none of them NaN; a `ValueError` names the argument `what`."""
    values = _one_of_each(given, what)
    if values.size == 0:
        raise ValueError(f"{what} is empty: give at least one row")
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):  # objects, as lists of mixed things become
        raise ValueError(f"{what} holds no numbers, but {values.dtype}: give numbers") from None
    if np.isnan(numbers).any():
        raise ValueError(f"{what} has NaN in row {int(np.isnan(numbers).argmax())}: leave such rows out")
    return numbers


def _of_rows(values: np.ndarray[Any, Any], rows: int, what: str) -> np.ndarray[Any, Any]:
    if len(values) != rows:
        raise ValueError(f"{what} has {len(values)} rows, and id_scores {rows}: give one of each ID row")
    return values
