"""What detectors are given that is of another type or shape than it should be, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone

from moodbench.detectors import KNN, Mahalanobis, ViM, example, of
from moodbench.detectors.made import class_names
from moodbench.errors import UsageError
from moodbench.scores.base import SCORES

ROWS, LABELS, HEAD, UNSEEN, FAR = example()

NUMBERS = [
    (title, name)
    for title, score in class_names().items()
    for name, default in SCORES.get(score).parameters().items()
    if isinstance(default, (bool, int, float))
]


@pytest.mark.parametrize(("title", "name"), NUMBERS)
def test_no_number_and_no_truth_value_is_taken_from_a_text(title, name):
    made = of(class_names()[title])
    default = made().get_params()[name]
    text = str(default).lower()
    with pytest.raises(UsageError, match=rf"^the text '{text}' is not a .*\.{name}' should be"):
        made(**{name: text})
    assert clone(made(**{name: default})).get_params()[name] == default


@pytest.mark.parametrize(("made", "name"), [(KNN, "k"), (ViM, "dim")])
@pytest.mark.parametrize("value", [True, 2.5, None, np.float64(5), [5]])
def test_what_is_no_whole_number_is_none(made, name, value):
    with pytest.raises(UsageError, match="is not a whole number"):
        made(**{name: value})


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    made = KNN(k=np.int64(5), threads=np.int64(1)).fit(ROWS)
    plain = KNN(k=5).fit(ROWS).score_samples(FAR)
    assert (made.score_samples(FAR) == plain).all()
    made.save(tmp_path / "knn.h5")
    assert (KNN.load(tmp_path / "knn.h5").score_samples(FAR) == plain).all()


def test_a_parameter_that_is_set_later_is_checked_by_the_fit():
    with pytest.raises(UsageError, match="the text '5' is not a whole number"):
        KNN().set_params(k="5").fit(ROWS)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"threads": "2"}, "number of threads .* got '2'"),
        ({"threads": 1.5}, "number of threads .* got 1.5"),
        ({"threads": True}, "number of threads .* got True"),
        ({"device": 3}, "a device is a text, and 3 is none"),
        ({"device": None}, "a device is a text, and None is none"),
    ],
)
def test_device_and_threads_are_of_their_types(given, says):
    with pytest.raises(UsageError, match=says):
        KNN(**given).fit(ROWS)


@pytest.mark.parametrize("rate", ["0.05", True, None, 5, np.nan])
def test_a_rate_is_a_share(rate):
    with pytest.raises(UsageError, match="fpr_id is a share between 0 and 1, got"):
        KNN(k=5).fit(ROWS).calibrate(UNSEEN, fpr_id=rate)


@pytest.mark.parametrize(
    ("labels", "says", "fix"),
    [
        (np.array(["cat", "dog"])[LABELS % 2], "numbers of classes.*, got names", "np.unique"),
        ([f"c{label}" for label in LABELS], "numbers of classes.*, got names", "np.unique"),
        (np.where(LABELS == 0, np.nan, LABELS), "numbers of classes, 0, 1, …, and -1 where unknown$", None),
        (np.eye(4)[LABELS], "one for each of 240 rows", "argmax"),
        (LABELS[:-1], "one for each of 240 rows", "one number for each row$"),
    ],
)
def test_labels_that_are_no_numbers_of_classes(labels, says, fix):
    with pytest.raises(UsageError, match=says) as wrong:
        Mahalanobis().fit(ROWS, labels)
    assert (wrong.value.fix is None) is (fix is None)
    if fix is not None:
        assert wrong.match(fix)


def test_what_the_advice_for_names_gives_is_taken():
    names = np.array(["dog", "cat", "eel", "ant"])[LABELS]
    made = Mahalanobis().fit(ROWS, np.unique(names, return_inverse=True)[1])
    np.testing.assert_allclose(made.score_samples(FAR), Mahalanobis().fit(ROWS, LABELS).score_samples(FAR))


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (None, "features are None"),
        (sparse.csr_matrix(ROWS), "features are a sparse matrix"),
        (ROWS[0], r"must be \(rows, width\), got \(16,\)[^;]*of one image alone: x\[None\]|got \(16,\)"),
    ],
)
def test_what_is_no_matrix_of_rows(x, says):
    with pytest.raises(UsageError, match=says):
        KNN(k=5).fit(x)


@pytest.mark.parametrize(
    ("head", "says", "fix"),
    [
        ((HEAD[0].T, HEAD[1]), r"16 rows, and its bias is \(4,\)", "weight.T"),
        ((HEAD[0], HEAD[1][:3]), r"4 rows, and its bias is \(3,\)", r"bias \(classes,\)$"),
        ((HEAD[0], HEAD[1] * np.nan), "biases of the head are not finite", "is it the one"),
        ((HEAD[0] * np.nan, HEAD[1]), "weights of the head are not finite", "is it the one"),
        ((HEAD[0], list("abcd")), "biases of the head must be numbers", None),
    ],
)
def test_heads_that_fit_nothing(head, says, fix):
    with pytest.raises(UsageError, match=says) as wrong:
        ViM(dim=8).fit(ROWS, LABELS, head=head)
    assert fix is None or wrong.match(fix)


def test_a_layer_without_a_bias_has_a_bias_of_zero():
    layer = torch.nn.Linear(16, 4, bias=False)
    made = ViM(dim=8).fit(ROWS, LABELS, head=(layer.weight, layer.bias)).score_samples(FAR)
    assert (made == ViM(dim=8).fit(ROWS, LABELS, head=(layer.weight, np.zeros(4))).score_samples(FAR)).all()
