"""Multinomial logistic regression on rows that need not fit into memory. Knows arrays only: no files, no names.

`rows` standardises, `objective` is the function that is minimised, `solve` minimises it, `choose` finds the penalty.
"""

from moodbench.logistic.choose import PENALTIES, Chosen, Settings, Tried, choose
from moodbench.logistic.objective import Quality, assess
from moodbench.logistic.rows import Batch, Batches, Moments, Standardised, measure
from moodbench.logistic.solve import Fit, Problem

__all__ = [
    "PENALTIES",
    "Batch",
    "Batches",
    "Chosen",
    "Fit",
    "Moments",
    "Problem",
    "Quality",
    "Settings",
    "Standardised",
    "Tried",
    "assess",
    "choose",
    "measure",
]
