"""`moodbench import-scores` from the command line: somebody's CSV beside our own scores, and what is said of it."""

from __future__ import annotations

import json

import pytest

from moodbench.features.cache import FeatureCache
from moodbench.workspace import ModelName, Workspace
from tests.commands import call, offered, read

DATASETS = ("tiny_test", "tiny_ood")


@pytest.fixture
def brought(scored):
    """The tiny benchmark, scored, and a CSV with a number for each test image."""
    for name in DATASETS:
        with FeatureCache(Workspace().cache_file(ModelName("tiny"), name)) as cache:
            ids = cache.ids
        lines = [f"{one},{i + 10 * (name == 'tiny_test')}" for i, one in enumerate(ids)]
        (scored / f"{name}.csv").write_text("\n".join(["id,score", *lines[::-1]]) + "\n", encoding="utf-8")
    return scored


def bring(name, *more, model="tiny"):
    return call("import-scores", "--model", model, "--dataset", name, "--score", "theirs", f"{name}.csv", *more)


def test_somebodys_numbers_stand_beside_ours(brought):
    for name in DATASETS:
        result = bring(name)
        assert (result.exit_code, result.stdout) == (0, "")
        assert f"imported theirs of tiny on {name}" in result.stderr
    assert "skip theirs of tiny on tiny_ood" in bring("tiny_ood").stderr
    before = {row["score"] for row in read(brought / "results" / "tiny" / "tiny.csv")}
    assert call("score", "--model", "tiny", "--score", "theirs", "--benchmark", "tiny").exit_code == 0
    rows = read(brought / "results" / "tiny" / "tiny.csv")
    assert {row["score"] for row in rows} == {*before, "theirs"}
    assert {row["family"] for row in rows if row["score"] == "theirs"} == {"imported"}
    shown = call("table", "--benchmark", "tiny", "--format", "plain").stdout
    assert "theirs" in shown
    assert "imported from 2 files" in shown
    assert call("rank", "--benchmark", "tiny").exit_code == 0
    assert "tiny_ood.csv (sha256 " in call("results", "show", "tiny/theirs/tiny_ood").stdout
    assert "Files" in call("show", "score", "theirs").stdout
    assert any(line.startswith("theirs") for line in call("list", "scores", "theirs").stdout.splitlines())
    assert "theirs" in offered("moodbench score --score thei")[0]
    turned = bring("tiny_ood", "--orientation", "ood")
    assert "replaced theirs of tiny on tiny_ood" in turned.stderr
    assert "results of it on tiny are stale until moodbench score --score theirs runs again" in turned.stderr
    table = call("table", "--benchmark", "tiny", "--format", "plain").stdout
    assert "§ stale: its numbers were imported anew since" in table
    back = bring("tiny_ood")  # the numbers that the results were made from
    assert "replaced theirs of tiny on tiny_ood" in back.stderr
    assert "stale" not in back.stderr
    assert "stale" not in call("table", "--benchmark", "tiny", "--format", "plain").stdout


def test_a_score_that_was_imported_for_another_model_is_known(brought):
    for name in DATASETS:
        bring(name, "--like", "tiny", model="ddpm")
    result = call("score", "--model", "tiny", "--score", "theirs")
    assert result.exit_code == 2
    assert "the score 'theirs' was imported for ddpm, and not for tiny" in result.stderr
    assert "--model ddpm, or moodbench import-scores --model tiny --score theirs" in result.stderr
    assert call("probe", "--model", "tiny", "--benchmark", "tiny", "--name", "p").exit_code == 0
    bring("tiny_ood")
    result = call("score", "--model", "tiny", "--head", "p", "--score", "theirs")
    assert result.exit_code == 2
    assert "'theirs' is an imported score of ddpm, tiny: it belongs to the model itself" in result.stderr
    assert "there is no score 'thiers'" in call("score", "--model", "tiny", "--score", "thiers").stderr


def test_what_was_imported_for_one_of_two_models_is_said_of_the_other(brought):
    for name in DATASETS:
        bring(name, "--like", "tiny", model="ddpm")
    result = call("score", "--benchmark", "tiny", "--score", "theirs")
    assert result.exit_code == 0, result.stderr
    assert "skip tiny on tiny: no score that is asked for was imported for it" in result.stderr
    assert "it has no features" not in result.stderr


def test_a_named_score_without_all_numbers_is_not_silently_left_out_of_a_ranking(brought):
    bring("tiny_test")
    assert call("score", "--benchmark", "tiny", "--model", "tiny", "--score", "theirs").exit_code == 1
    result = call("rank", "--score", "msp", "--score", "theirs")
    assert result.exit_code == 0, result.stderr
    assert "Left out: theirs of tiny lacks tiny_ood." in result.stdout + result.stderr


def test_imported_and_stale_have_signs_of_their_own(brought):
    for name in DATASETS:
        bring(name, "--like", "tiny", model="ddpm")
    assert call("score", "--model", "ddpm", "--benchmark", "tiny").exit_code == 0
    shown = call("table", "--benchmark", "tiny", "--format", "plain").stdout
    assert "ddpm †" in shown
    assert "† imported from 2 files: ddpm" in shown
    assert "§" not in shown
    bring("tiny_ood", "--orientation", "ood", model="ddpm")
    shown = call("table", "--benchmark", "tiny", "--format", "plain").stdout
    assert "ddpm †§" in shown
    assert "§ stale: its numbers were imported anew since" in shown


def test_files_of_them_are_listed_checked_and_removed(brought):
    bring("tiny_ood")
    listed = json.loads(call("cache", "list", "--json").stdout)
    assert [one["orientation"] for one in listed if one["name"] == "tiny/imported/theirs/tiny_ood"] == ["id"]
    assert "imported score" in call("cache", "list").stdout
    assert "ok tiny: imported/theirs/tiny_ood" in call("cache", "verify").stderr
    result = call("cache", "remove", "--model", "tiny", "--yes")
    assert "imported scores of 'tiny' stay (theirs)" in result.stderr
    assert "theirs" in call("cache", "list", "--model", "tiny").stdout
    assert call("cache", "remove", "--model", "tiny", "--score", "theirs").exit_code == 2
    assert call("cache", "remove", "--model", "tiny", "--score", "theirs", "--yes").exit_code == 0
    assert not (brought / "cache" / "tiny" / "imported").exists()


def test_a_method_without_features_has_a_column(brought):
    result = bring("tiny_ood", model="ddpm")
    assert result.exit_code == 1
    assert "--like takes the rows of a model that has some: tiny" in result.stderr
    for name in DATASETS:
        assert bring(name, "--like", "tiny", "--pretext", "diffusion", model="ddpm").exit_code == 0
    assert call("score", "--model", "ddpm", "--benchmark", "tiny").exit_code == 0
    shown = call("table", "--benchmark", "tiny", "--format", "plain").stdout
    assert "ddpm" in shown
    assert "diffusion" in shown
    assert call("cache", "verify").exit_code == 0
    assert "imported scores alone" in call("show", "model", "ddpm").stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--orientation", "up"], "--orientation cannot be 'up'"),
        (["--family", "logits"], "--family cannot be 'logits'"),
    ],
)
def test_other_words_are_refused(brought, more, message):
    result = bring("tiny_ood", *more)
    assert result.exit_code == 2
    assert message in result.stderr
