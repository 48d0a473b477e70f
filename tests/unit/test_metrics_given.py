"""What `moodbench.metrics` takes for scores, and what it refuses: a matrix of logits would get a plausible AUROC."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moodbench.metrics import auroc_difference, evaluate

IDS, OODS = np.array([3.0, 2.0, 1.5]), np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.ones((50, 10)), r"\(50, 10\) and must be one-dimensional, \(n,\): give one"),
        (np.ones((50, 1)), r"\(50, 1\).*ravel"),
        (torch.ones(1, 50), r"\(1, 50\).*ravel"),
        (1.5, r"\(\) and must be"),
        (None, "is None"),
        (np.array([1 + 2j, 0]), "complex"),
        (torch.tensor([1j, 0]), "complex"),
    ],
)
def test_what_is_no_score_of_each_row_is_refused(given, says):
    with pytest.raises(ValueError, match="id_scores.*" + says):
        evaluate(given, OODS)
    with pytest.raises(ValueError, match="ood_scores.*" + says):
        evaluate(IDS, given)
    with pytest.raises(ValueError, match="other_ood_scores.*" + says):
        auroc_difference(IDS, OODS, IDS, given)


def test_what_goes_with_the_scores_is_one_of_each_row_too():
    for more in ({"correct": np.ones((3, 1))}, {"correct": [1, 0, 1], "confidence": np.ones((1, 3))}):
        with pytest.raises(ValueError, match="one-dimensional"):
            evaluate(IDS, OODS, **more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_of_a_graph_are_taken_as_numbers(dtype):
    made = [torch.tensor(one, dtype=dtype, requires_grad=True) * 1 for one in (IDS, OODS)]
    assert evaluate(*made, correct=torch.tensor([True, False, True])) == evaluate(IDS, OODS, correct=[1, 0, 1])
    assert auroc_difference(*made, *made).value == 0


def test_lists_and_whole_numbers_are_scores():
    assert evaluate([3, 2, 1.5], range(1, 3)) == evaluate(IDS, OODS)
