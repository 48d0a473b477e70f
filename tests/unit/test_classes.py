"""Labels are names: datasets with other numberings, orders and gaps, against the right numbers."""

from __future__ import annotations

import numpy as np
import pytest

from moodbench.classes import NumberedLabels, join, natural_key, orders_differ, shown
from moodbench.errors import CacheError, CacheMismatchError
from moodbench.evaluation.predictions import Predictions


def labelled(dataset, labels, names=None):
    return NumberedLabels(dataset, np.array(labels, np.int64), None if names is None else tuple(names))


TRAIN = labelled("train", [0, 1, 2, 2], "abc")


def test_datasets_are_joined_by_name():
    joined = join(TRAIN, [labelled("test", [0, 1, -1], "bc")], head=3)
    assert joined.labels["test"].tolist() == [1, 2, -1]
    assert joined.own is True  # as many names as the head has outputs


def test_the_head_gives_the_numbers_where_it_has_the_names():
    joined = join(TRAIN, [labelled("test", [1, 0], "ba")], head=5, head_names=tuple("xcbay"))
    assert joined.labels["train"].tolist() == [3, 2, 1, 1]
    assert joined.labels["test"].tolist() == [3, 2]
    assert (joined.own, joined.present) == (True, (1, 2, 3))
    assert joined.numbers(["a", 2]) == (3, 1)  # a number is that of ID train
    assert joined.part_remark() == "3 of the head's 5 classes are in ID train"


@pytest.mark.parametrize(("names", "known"), [("vwxyz", 0), ("abxyz", 2)])
def test_a_head_of_other_classes_is_not_the_data_s(names, known):
    joined = join(TRAIN, [], head=5, head_names=tuple(names))
    assert (joined.own, joined.known) == (False, known)
    assert joined.head_remark().startswith("the head has 5 classes, and ID train has 3 others")
    assert joined.labels["train"] is TRAIN.labels


def test_a_head_without_names_is_the_data_s_if_it_has_as_many_outputs():
    absent = labelled("train", [0, 1], "abc")  # no row of the last class
    assert join(absent, [], head=3).own is True
    assert join(absent, [], head=4).own is False
    assert join(labelled("train", [0, 1]), [], head=2).own is True
    assert join(labelled("train", [0, 1]), [], head=1).own is False
    assert join(labelled("train", [0, 1]), [], head=9).own is None  # predictions have to tell
    assert join(labelled("train", [0, 1], "01"), [], head=9).own is None  # names that only count
    assert join(labelled("train", [0, 3]), [], head=2, head_names=("0", "3")).labels["train"].tolist() == [0, 1]


def test_names_that_differ_are_refused_with_both_lists_unless_an_alias_says_which_is_which():
    test = labelled("test", [0, 1, 2], ["a", "bee", "see"])
    with pytest.raises(CacheMismatchError) as caught:
        join(TRAIN, [test])
    for part in ("'test' has rows of 2 classes ('bee', 'see')", "'train' has 3 classes ('a', 'b', 'c')", "aliases"):
        assert part in str(caught.value)
    joined = join(TRAIN, [test], aliases={"bee": "c", "see": "b"})
    assert joined.labels["test"].tolist() == [0, 2, 1]
    with pytest.raises(CacheError, match="aliases lead to 'x'"):
        join(TRAIN, [test], aliases={"bee": "x"})


def test_a_class_protocol_may_have_classes_that_id_train_lacks():
    joined = join(TRAIN, [labelled("test", [0, 1, 2], "bxy")], head=3, some=True)
    assert joined.labels["test"].tolist() == [1, 3, 4]


def test_where_names_are_unknown_numbers_are_what_there_is():
    joined = join(TRAIN, [labelled("test", [2, 0])])
    assert joined.labels["test"].tolist() == [2, 0]
    assert joined.unnamed == ("test",)
    with pytest.raises(CacheMismatchError, match=r"1 class \('3'\)"):
        join(TRAIN, [labelled("test", [3])])
    with pytest.raises(CacheError, match="names of those of 'train' are unknown"):
        join(labelled("train", [0]), []).numbers(["a"])


def test_restricted_to_some_classes_the_numbers_are_dense():
    joined = join(TRAIN, [labelled("test", [0, 1, 2], "abc")], head=5, head_names=tuple("xcbay")).restricted((1, 3))
    assert joined.labels["test"].tolist() == [1, 2, 0]  # a is the second of two, b is none of them
    assert (joined.head, joined.numbers(["c", "a"])) == (2, (0, 1))


def test_natural_order_is_timm_s():
    """As ``timm.data.readers.reader_image_folder.natural_key`` sorts these."""
    names = ["x", "10", "ab10", "9", "a1b10", "", "Ab2", "007", "a1b2"]
    assert sorted(names, key=natural_key) == ["", "007", "9", "10", "a1b2", "a1b10", "Ab2", "ab10", "x"]
    assert natural_key("²") == ["²"]
    assert orders_differ(["1", "2", "10"])
    assert not orders_differ(["01", "02", "10"])


def test_lists_are_shortened():
    assert shown("abcdefg") == "7 classes ('a', 'b', 'c', 'd', 'e' and 2 more)"


def predictions(rng, labels, share):
    """Rows of which `share` are predicted as their label says under a shift by one, others at random."""
    shifted = (labels + 1) % (labels.max() + 1)
    return np.where(rng.random(len(labels)) < share, shifted, rng.integers(0, labels.max() + 1, len(labels)))


def test_another_order_that_explains_the_predictions_is_hinted_at():
    rng = np.random.default_rng(0)
    labels = np.arange(2000) % 10  # every other row has an even label: halves are taken of each class
    found = Predictions(labels, predictions(rng, labels, 0.4))
    assert found.best_order() == pytest.approx(0.4 + 0.6 / 10, abs=0.03)
    assert "ID accuracy" in found.remark()
    assert f"{100 * found.best_order():.2f} %" in found.remark()


@pytest.mark.parametrize(("classes", "rows"), [(10, 500), (200, 400), (1000, 1500)])
def test_chance_is_no_hint(classes, rows):
    """Few rows among many classes: some order explains any of them, so the order is chosen by the other half."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, classes, rows)
    assert Predictions(labels, rng.integers(0, classes, rows)).remark() is None
    assert Predictions(labels, labels).remark() is None


def test_numbers_as_names_are_names_where_both_sides_have_them():
    """Folders 0 … 11 in the order of code points, and a head that names its outputs 0 … 11."""
    names = tuple(sorted(map(str, range(12))))
    train = NumberedLabels("train", np.arange(12), names)
    joined = join(train, [], head=12, head_names=tuple(map(str, range(12))))
    assert joined.labels["train"].tolist() == [int(name) for name in names]
    assert joined.own


def test_an_alias_does_not_take_the_place_of_an_output_of_that_name():
    train = NumberedLabels("train", np.array([0, 1]), ("cat", "dog"))
    joined = join(train, [], head=3, head_names=("cat", "dog", "hound"), aliases={"hound": "dog"})
    assert joined.labels["train"].tolist() == [0, 1]
    with pytest.raises(CacheError, match="two outputs of the head the same name, 'dog'"):
        join(train, [], head=3, head_names=("cat", "hound", "hund"), aliases={"hound": "dog", "hund": "dog"})


def test_labels_that_id_train_does_not_have_are_refused_like_names():
    train = NumberedLabels("train", np.array([0, 1, 2]), ("a", "b", "c"))
    strange = NumberedLabels("test", np.array([0, 1]), ("a", "x"))
    with pytest.raises(CacheError, match="the label 3"):
        join(train, [strange], classes=[0, 3])
    with pytest.raises(CacheError, match="'c' twice"):
        join(train, [], classes=["c", 2])


def test_labels_from_1_are_called_so():
    joined = join(NumberedLabels("train", np.arange(1, 11)), [], head=10)
    assert joined.head_remark() == "labels of ID train go from 1 to 10, and the head's 10 outputs count from 0"


def test_two_classes_have_but_one_other_order():
    labels = np.arange(20) % 2
    some = Predictions(labels, np.where(np.arange(20) < 13, 1 - labels, labels))  # 35 %: as chance has it
    assert some.remark() is None
    exchanged = Predictions(
        np.tile(labels, 5), np.where(np.arange(100) % 10 == 0, np.tile(labels, 5), 1 - np.tile(labels, 5))
    )
    assert "ID accuracy 10.00 % with the labels as they are, 90.00 %" in exchanged.remark()
