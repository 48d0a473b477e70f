"""The text of a result's parameters, ``name=value`` joined by ``;``, and what stands in it besides parameters.

A score that was fitted with wrong labels says so (``label_noise=0.1;label_noise_seed=0``), and one whose parameters
were chosen on validation sets names these in the place of their values (``tuned=k``): such results are rows of their
own beside the ordinary ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

LABEL_NOISE = "label_noise"
LABEL_NOISE_SEED = "label_noise_seed"
TUNED = "tuned"

RESERVED = (LABEL_NOISE, LABEL_NOISE_SEED, TUNED)
"""What no parameter of a score may be called."""


def parsed(params: str) -> dict[str, str]:
    """Return the names and values, in their order."""
    pairs = (part.partition("=") for part in params.split(";") if part)
    return {name: value for name, _, value in pairs}


def joined(values: Mapping[str, object]) -> str:
    """Return the text of names and values."""
    return ";".join(f"{name}={value}" for name, value in values.items())


def by_value(params: str) -> list[tuple[str, float, str]]:
    """Return what parameters are sorted by: their names, and values that are numbers as such, 5 before 10."""
    return [(name, *_number(value)) for name, value in parsed(params).items()]


def _number(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return math.inf, value


def is_noisy(params: str) -> bool:
    """Say whether a score was fitted with wrong labels on purpose."""
    return LABEL_NOISE in parsed(params)


def without_noise(params: str) -> tuple[str, float | None]:
    """Return the parameters of the same score with the labels as they are, and the share that was wrong, if any."""
    values = parsed(params)
    share = values.pop(LABEL_NOISE, None)
    values.pop(LABEL_NOISE_SEED, None)
    return joined(values), None if share is None else float(share)


def is_tuned(params: str) -> bool:
    """Say whether parameters were chosen on validation sets."""
    return TUNED in parsed(params)
