"""AUROC and FPR95 of classes against the comparison of each class by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.evaluation.by_class import measure_classes
from moodbench.ranking import Ranking, mean_auroc

values = st.sampled_from([-np.inf, -1.0, 0.0, 0.25, 1.0, np.inf]) | st.floats(-3, 3)
id_rows = st.lists(values, min_size=2, max_size=40)
ood_rows = st.lists(st.lists(values, min_size=1, max_size=12), min_size=1, max_size=5)


@settings(deadline=None)
@given(id_rows, ood_rows, st.randoms(use_true_random=False))
def test_classes_are_measured_as_datasets_are(inside, classes, random):
    pairs = [(value, number) for number, some in enumerate(classes) for value in some]
    random.shuffle(pairs)
    found = measure_classes(np.array(inside), np.array([v for v, _ in pairs]), np.array([n for _, n in pairs]))
    ranked = Ranking(inside)
    each = [ranked.against(some) for some in classes]
    for got, fpr95, c in zip(found.auroc, found.fpr95, each, strict=True):
        wanted = c.auroc_interval()
        assert (got.value, got.low, got.high) == pytest.approx((wanted.value, wanted.low, wanted.high), abs=1e-9)
        assert fpr95 == pytest.approx(c.fpr(), abs=1e-12)
    mean = mean_auroc(each)
    assert (found.mean.value, found.mean.low, found.mean.high) == pytest.approx(
        (mean.value, mean.low, mean.high), abs=1e-9
    )


def test_a_mean_counts_every_class_once():
    found = measure_classes(np.arange(10.0), np.r_[np.full(99, -1.0), 20.0], np.r_[np.zeros(99, int), 1])
    assert [one.value for one in found.auroc] == [1.0, 0.0]
    assert found.mean.value == 0.5
    assert found.fpr95.tolist() == [0.0, 1.0]
