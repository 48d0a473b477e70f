"""Every score on arrays, with the habits of scikit-learn::

    from moodbench.detectors import ViM

    detector = ViM(dim=64).fit(features, labels, head=(weight, bias))
    scores = detector.score_samples(others)  # higher = more in-distribution

The classes are made from the scores themselves (`moodbench.scores`), have their parameters and give their bits.
`of` finds one by the name that the command line has for it.
"""

from __future__ import annotations

from typing import Any

from moodbench.detectors.estimator import ScoreDetector
from moodbench.detectors.made import class_names
from moodbench.detectors.made import class_of as of
from moodbench.detectors.sample import example

__all__ = ["ScoreDetector", "example", "of"]


def __getattr__(name: str) -> Any:
    score = None if name.startswith("_") else class_names().get(name)
    if score is None:
        raise AttributeError(f"module 'moodbench.detectors' has no attribute '{name}'")
    return of(score)


def __dir__() -> list[str]:
    return sorted([*__all__, *class_names()])
