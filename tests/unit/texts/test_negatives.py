"""Lists of candidates for negative labels, and which of them are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moodbench.errors import UsageError
from moodbench.texts.candidates import id_classes, read_candidates
from moodbench.texts.negatives import farthest


def test_lists_have_their_own_prompts_and_share_no_word(tmp_path):
    nouns, adjectives = tmp_path / "nouns.txt", tmp_path / "adjectives.txt"
    nouns.write_text("Cat\nstone\n\nstone\noak_tree\n")
    adjectives.write_text("This is a {} photo\nstone\nblue\n")
    first, second = read_candidates([nouns, adjectives], ("the nice {}",), ["cat", "oak tree"])
    assert (first.prompts, first.words, first.left_out) == (("the nice {}",), ("stone",), ("Cat", "oak_tree"))
    assert (second.prompts, second.words, second.left_out) == (("This is a {} photo",), ("blue",), ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n", "is empty"),
        ("a {} photo\n", "is empty"),
        (
            "cat\nCAT\nold  Classic\n",
            r"is left: it has 3 words \('cat', 'CAT', 'old  Classic'\), which are ID classes",
        ),
        ("stone\n", "is left: the lists before it have them all"),
        ("{} and {}\na\n", "should have one"),
    ],
)
def test_lists_without_words(tmp_path, text, said):
    first, file = tmp_path / "first.txt", tmp_path / "words.txt"
    first.write_text("stone\n")
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        read_candidates([first, file], ("{}",), ["cat", "Old_classic"])
    assert error.value.file == file
    assert error.value.fix


def test_words_that_are_left_out_are_named_as_they_are():
    assert id_classes(["classic car"]) == "1 word ('classic car'), which is an ID class"
    assert id_classes(list("abcdefg")) == "7 words ('a', 'b', 'c', 'd', 'e' and 2 more), which are ID classes"


def test_what_is_kept_is_far_from_nearly_all_classes():
    rng = np.random.default_rng(0)
    classes, words = (torch.from_numpy(rng.normal(size=(n, 8)).astype(np.float32)) for n in (30, 200))
    classes, words = (torch.nn.functional.normalize(one, dim=1) for one in (classes, words))
    near = np.quantile(words.double().numpy() @ classes.double().numpy().T, 0.9, axis=1)
    assert farthest(words, classes, 0.1, 0.9) == np.argsort(near)[:20].tolist()
    assert farthest(words[:5], classes, 0.1) == []
    assert farthest(words[[3, 3, 3, 3]], classes, 0.5) == [0, 1]


def test_many_classes_are_no_trouble():
    """torch's quantile takes no more than 16 million numbers at once."""
    classes = torch.nn.functional.normalize(torch.rand(20_000, 2), dim=1)
    words = torch.nn.functional.normalize(torch.rand(1000, 2), dim=1)
    assert len(farthest(words, classes)) == 150
