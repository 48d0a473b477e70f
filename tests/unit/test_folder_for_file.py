"""A folder where a file is named, and the reverse: the message says which it is, and not that nothing is there."""

from __future__ import annotations

import pytest

from moodbench import score
from moodbench.catalog import ModelSpec
from moodbench.comparison.folder import results_in
from moodbench.datasets.labels import read_class_file
from moodbench.errors import CacheError, DataError, ModelError, ResultsError, UsageError
from moodbench.features.arrays import load_arrays
from moodbench.features.given_scores import read_given_scores
from moodbench.features.heads import read_head
from moodbench.models.sources import own_file
from moodbench.models.weights import fetch_weights
from moodbench.reading import check_regular, lack_of
from moodbench.results.files import benchmarks_with_results
from moodbench.studies.file import parse_study
from moodbench.studies.known import know, with_catalogs
from moodbench.texts.prompts import read_prompts
from moodbench.workspace import Workspace


def test_what_stands_in_the_place_of_a_file_is_said(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert lack_of(file) is None
    assert lack_of(tmp_path) == "that is a folder, and no file"
    assert lack_of(tmp_path / "gone") == lack_of(file / "below") == "there is no such file"
    check_regular(file, "the thing", DataError)
    with pytest.raises(DataError, match="the thing should be a file, but this is a folder"):
        check_regular(tmp_path, "the thing", DataError)


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (read_head, "the head file"),
        (read_class_file, "the file of class folders"),
        (lambda folder: own_file("head of 'm'", folder, None), "the head of 'm'"),
        (lambda folder: fetch_weights(spec(folder)), "the checkpoint of 'm'"),
    ],
)
def test_a_folder_is_not_called_missing_or_a_file_without_a_suffix(read, what, tmp_path):
    with pytest.raises((DataError, ModelError), match=f"^{what} should be a file, but this is a folder"):
        read(tmp_path)
    with pytest.raises((DataError, ModelError), match=f"^{what} does not exist"):
        read(tmp_path / "gone")


@pytest.mark.parametrize("read", [load_arrays, read_given_scores])
@pytest.mark.parametrize("name", ["sub", "sub.npz"])
def test_what_is_imported_is_no_folder(read, name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="should be a file, but this is a folder"):
        read(tmp_path / name)


def test_a_prompt_longer_than_a_name_of_a_file_is_one_message():
    with pytest.raises(UsageError, match="and is no file"):
        read_prompts("a photo of a cat " * 500)


def spec(checkpoint):
    return ModelSpec(name="m", timm="resnet18", pretext="classification", title="M", checkpoint=checkpoint)


STUDY = "models: [digits_mim]\nbenchmarks: [digits]\nscores: [msp]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (STUDY + "catalogs: [{}]\n", r"catalogs\[1\] is '{}', and "),
        (STUDY.replace("[digits_mim]", "[{{model: timm:resnet18, checkpoint: {}}}]"), r"checkpoint is '{}', and "),
        (STUDY.replace("[digits_mim]", "[{{model: timm:resnet18, head_file: {}}}]"), r"head_file is '{}', and "),
        (STUDY + "text_head: {{negatives: [{}]}}\n", "negatives names '{}', and "),
        (STUDY + "text_head: {{class_names: {}}}\n", "class_names names '{}', and "),
    ],
)
def test_a_study_says_so_too(text, says, tmp_path):
    (tmp_path / "sub").mkdir()
    for name, what in (("sub", "that is a folder, and no file"), ("gone", "there is no such file")):
        with pytest.raises(UsageError, match=says.format(name) + what):
            made(parse_study(text.format(name), tmp_path / "study.yaml"))


def made(study):
    return know(study, with_catalogs(study, Workspace()))


def test_prompts_in_a_folder(tmp_path):
    with pytest.raises(UsageError, match=r"has no \{\} for the name of a class and is a folder"):
        read_prompts(str(tmp_path))


def test_a_file_is_no_folder_of_results_or_caches(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for read in (benchmarks_with_results, results_in, lambda file: score(workspace=Workspace(results_dir=file))):
        with pytest.raises(ResultsError, match="results lie in a folder, but this is a file"):
            read(file)
    assert benchmarks_with_results(tmp_path / "gone") == []
    with pytest.raises(CacheError, match="caches lie in a folder, but this is a file"):
        Workspace(cache_dir=file).cached_models()
    assert Workspace(cache_dir=tmp_path / "gone").cached_models() == []
