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
        ([], "is empty"),
        ([1.0, np.nan], "has NaN in row 1"),
        ([1.0, None], "has NaN in row 1"),
        (["1", "2"], "holds no numbers, but <U1"),
        ([1, "a", None], "holds no numbers"),
        (np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"), "holds no numbers, but datetime64"),
        ([[1, 2], [3]], "is no array of one dimension"),
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


def test_one_id_row_is_too_few_and_one_ood_row_is_not():
    with pytest.raises(ValueError, match=r"^id_scores has 1 row, and FPR at 95 % TPR needs 2"):
        evaluate([1.0], OODS)
    found = evaluate(IDS, [2.5])
    assert (round(found["auroc"] or 0, 4), found["fpr95_ood"]) == (0.3333, None)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"correct": [1, 0]}, "^correct has 2 rows, and id_scores 3"),
        ({"correct": ["yes", "no", "no"]}, "^correct holds no numbers"),  # each would be true
        ({"correct": [1, 0, 5]}, "^correct holds more than True and False"),
        ({"correct": [1, 0, np.nan]}, "^correct has NaN in row 2"),
        ({"correct": [1, 0, 1], "confidence": [0.5]}, "^confidence has 1 rows, and id_scores 3"),
        ({"correct": [1, 0, 1], "confidence": [0.5, np.nan, 1]}, "^confidence has NaN in row 1"),
        ({"correct": [1, 0, 1], "confidence": [0.5, 50, 1]}, "^confidence goes from 0.5 to 50"),
        ({"correct": [1, 0, 1], "confidence": [-0.5, 0.5, 1]}, "^confidence goes from -0.5 to 1"),
    ],
)
def test_what_goes_with_the_scores_means_what_it_says(more, says):
    with pytest.raises(ValueError, match=says):
        evaluate(IDS, OODS, **more)


def test_float32_may_round_a_probability_up():
    sure = np.array([1, 0.5, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    assert evaluate(IDS, OODS, correct=[1, 0, 1], confidence=sure)["ece"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_of_a_graph_are_taken_as_numbers(dtype):
    made = [torch.tensor(one, dtype=dtype, requires_grad=True) * 1 for one in (IDS, OODS)]
    assert evaluate(*made, correct=torch.tensor([True, False, True])) == evaluate(IDS, OODS, correct=[1, 0, 1])
    assert auroc_difference(*made, *made).value == 0


def test_lists_and_whole_numbers_are_scores():
    assert evaluate([3, 2, 1.5], range(1, 3)) == evaluate(IDS, OODS)
