"""Prompts and the words of classes, as they are given and as they are not to be."""

from __future__ import annotations

import pytest

from moodbench.datasets.labels import imagenet_wnids
from moodbench.errors import ModelError, UsageError
from moodbench.texts.prompts import filled, read_prompts
from moodbench.texts.words import words_of


def test_the_eighty_of_imagenet():
    prompts = read_prompts("imagenet80")
    assert len(prompts) == 80
    assert prompts[0] == "a bad photo of a {}."
    assert filled(prompts[0], "{cat}") == "a bad photo of a {cat}."


def test_a_sentence_and_a_file(tmp_path):
    assert read_prompts("a photo of a {}") == ("a photo of a {}",)
    file = tmp_path / "prompts.txt"
    file.write_text("a {}\n\n  the {} \n")
    assert read_prompts(str(file)) == ("a {}", "the {}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a photo of a cat", r"has no \{\} for the name of a class and is no file"),
        ("{} and {}", r"should have one \{\}, where the name of a class goes, and has 2"),
    ],
)
def test_prompts_without_a_place(given, said):
    with pytest.raises(UsageError, match=said):
        read_prompts(given)


def test_files_of_prompts_that_are_none(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("a {}\nnothing\n")
    with pytest.raises(UsageError, match=r"'nothing' \(line 2\) should have one \{\}, .* has none"):
        read_prompts(str(file))
    file.write_text("\n")
    with pytest.raises(UsageError, match="is empty") as error:
        read_prompts(str(file))
    assert error.value.fix == 'write one a line, as "a photo of a {}"'
    file.write_bytes(b"a caf\xe9 of {}\n")
    with pytest.raises(UsageError, match=r"is not UTF-8 text: .* at byte 5") as error:
        read_prompts(str(file))
    assert error.value.fix == "save it as UTF-8, if it is the right file"


def test_wordnet_ids_have_openais_names():
    found = words_of(["n01440764", "n02017213", "n03126707"], 3)
    assert found.words == ("tench", "common gallinule", "construction crane")
    assert found.remarks == ()
    every = words_of(imagenet_wnids(), 1000)
    assert len(every.words) == 1000
    assert every.words[134] == "crane bird"
    (remark,) = every.remarks
    assert "call two classes 'missile' and two 'sunglasses'" in remark
    with pytest.raises(ModelError, match=r"1 class \('n99999999'\), which ImageNet-1k does not have") as error:
        words_of(["n01440764", "n99999999"], 2)
    assert "--class-names FILE" in error.value.fix


def test_names_of_folders():
    assert words_of(["aquarium_fish", "oak  tree"], 2).words == ("aquarium fish", "oak tree")
    (remark,) = words_of(["0", "1"], 2).remarks
    assert "by their numbers: 2 classes ('0', '1')" in remark
    with pytest.raises(ModelError, match=r"\('oak_tree', 'oak tree'\) are all called 'oak tree'"):
        words_of(["oak_tree", "elm", "oak tree"], 3)
    with pytest.raises(ModelError, match="there are no words in the name of 1 class"):
        words_of(["_", "a"], 2)
    with pytest.raises(ModelError, match="the names of the 3 classes are unknown"):
        words_of(None, 3)


def test_a_file_of_names(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("b\tbee\na\tant, or pismire\nc\tcow\n", encoding="utf-8")
    found = words_of(["a", "b"], 2, file)
    assert found.words == ("ant, or pismire", "bee")
    assert found.remarks == ("names.txt: left out 1 class ('c'), which is not among the 2 here",)
    file.write_text("ant\nbee\n")
    found = words_of(["a", "b"], 2, file)
    assert (found.words, found.remarks) == (("ant", "bee"), ())
    found = words_of(None, 2, file)
    assert (found.classes, found.words) == (None, ("ant", "bee"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ant\n", "there are 2 classes, and 1 line\\n"),
        ("a\tant\nb\t\n", "line 2 has no words behind its tab"),
        ("\tant\nb\tbee\n", "line 1 has no name before its tab"),
        ("Big Ant\nbig  ant\n", r"\('a', 'b'\) are all called 'Big Ant'"),
        ("a\tant\n", r"no words for 1 class \('b'\)"),
        ("a\tant\nb\n", "line 2 has no tab, and others have"),
        ("a\tant\na\tbee\n", r"two lines are about 1 class \('a'\)"),
        ("a\tant\nb\tant\n", r"\('a', 'b'\) are all called 'ant'"),
        ("ant\nant\n", r"\('a', 'b'\) are all called 'ant'"),
    ],
)
def test_files_of_names_that_do_not_fit(tmp_path, text, said):
    file = tmp_path / "names.txt"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        words_of(["a", "b"], 2, file)
    assert error.value.file == file
