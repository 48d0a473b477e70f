"""`moodbench list …` with a text and options that choose among what there is."""

from __future__ import annotations

import json

import pytest

from moodbench.commands.list_ import list_benchmarks, list_datasets, list_fair, list_models, list_scores
from moodbench.errors import UsageError
from moodbench.workspace import Workspace
from tests.commands import call


def names(*args):
    result = call("list", *args, "--json")
    assert result.exit_code == 0, result.stderr
    return [record["name"] for record in json.loads(result.stdout)]


def test_a_text_chooses_by_name_and_title_in_any_case(home):
    assert names("models", "DIGITS_mim") == ["digits_mim", "digits_mim_token"]
    assert names("scores", "mahala") == [r["name"] for r in list_scores() if "mahala" in r["title"].lower()]
    assert {"tiny_train", "tiny_test", "tiny_imagenet"} < set(names("datasets", "tiny"))
    assert names("benchmarks", "tiny") == ["tiny"]


def test_models_by_pretext_task_and_caches(home):
    assert names("models", "digits", "--pretext", "contrastive") == ["digits_contrastive"]
    both = names("models", "digits", "--pretext", "contrastive", "--pretext", "masked image modeling")
    assert both == ["digits_contrastive", "digits_mim", "digits_mim_token"]
    assert names("models", "--cached") == []
    file = home / "cache" / "mine" / "tiny_ood.h5"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert names("models", "--cached") == ["mine"]


def test_fair_groups_of_some_models(home):
    groups = json.loads(call("list", "models", "--fair", "--pretext", "contrastive", "--json").stdout)
    assert groups
    assert {model["pretext"] for group in groups for model in group["models"]} == {"contrastive"}
    result = call("list", "models", "--fair", "--cached")
    assert result.exit_code == 2
    assert "--fair groups the models of the catalogue" in result.stderr


def test_datasets_of_a_benchmark_and_on_this_disk(home):
    assert sorted(names("datasets", "--benchmark", "tiny")) == ["tiny_ood", "tiny_test", "tiny_train"]
    assert names("datasets", "--benchmark", "imagenet", "--present") == []
    absent = names("datasets", "--benchmark", "imagenet", "--benchmark", "tiny", "--absent")
    assert "imagenet_val" in absent
    assert "tiny_ood" not in absent
    result = call("list", "datasets", "--benchmark", "tinny")
    assert result.exit_code == 2
    assert "Did you mean 'tiny'" in result.stderr


def test_benchmarks_that_use_a_dataset(home):
    assert names("benchmarks", "--dataset", "tiny_ood") == ["tiny"]
    assert "imagenet" in names("benchmarks", "--dataset", "imagenet_val")
    assert "Did you mean" in call("list", "benchmarks", "--dataset", "imagenet_vall").stderr


def test_scores_by_family_and_needs(home):
    chosen = names("scores", "--family", "logit", "--family", "probability", "--needs", "labels")
    assert chosen == [
        r["name"] for r in list_scores() if r["family"] in ("logit", "probability") and "labels" in r["needs"]
    ]
    assert set(names("scores", "--needs", "nothing")) == {r["name"] for r in list_scores() if not r["needs"]}
    assert 0 < len(names("scores", "--needs", "nothing")) < len(names("scores"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("models", "--pretext", "contrastiv"), "--pretext cannot be 'contrastiv'. Did you mean 'contrastive'?"),
        (("scores", "--family", "logits"), "--family cannot be 'logits'. Did you mean 'logit'?"),
        (("scores", "--needs", "hed"), "--needs cannot be 'hed'. Did you mean 'head'?"),
    ],
)
def test_other_words_are_refused(home, args, message):
    result = call("list", *args)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    "args",
    [("models", "zzz"), ("models", "zzz", "--fair"), ("datasets", "zzz"), ("benchmarks", "zzz"), ("scores", "zzz")],
)
def test_nothing_is_no_error(home, args):
    result = call("list", *args)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "nothing matches 'zzz'\n")
    assert json.loads(call("list", *args, "--json").stdout) == []


def test_the_same_from_python():
    space = Workspace()
    assert [r["name"] for r in list_models(space, "digits", pretext="contrastive")] == ["digits_contrastive"]
    assert list_fair(space, "zzz") == []
    assert len(list_datasets(space, benchmark="digits", present=True)) == 8
    assert list_datasets(space, benchmark="digits", present=False) == []
    assert [r["name"] for r in list_benchmarks(space, dataset="digits_noise")] == ["digits"]
    with pytest.raises(UsageError, match="family cannot be 'none'"):
        list_scores(family="none")
