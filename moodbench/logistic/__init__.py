"""Multinomial logistic regression on rows that need not fit into memory. Knows arrays only: no files, no names.

`rows` standardises, `objective` is the function that is minimised, `solve` minimises it, `penalty` finds the penalty.
"""

from moodbench.logistic.objective import Quality, assess
from moodbench.logistic.penalty import PENALTIES, Choice, Settings, Trial, choose
from moodbench.logistic.rows import Batch, Batches, Moments, StandardisedRows, measure
from moodbench.logistic.solve import Fit, Problem

__all__ = [
    "PENALTIES",
    "Batch",
    "Batches",
    "Choice",
    "Fit",
    "Moments",
    "Problem",
    "Quality",
    "Settings",
    "StandardisedRows",
    "Trial",
    "assess",
    "choose",
    "measure",
]
