"""Changed images as people meet them: from `extract --view` to a table with the scores that read them."""

from __future__ import annotations

import json

import pytest

from tests.commands import call

SCORES = [word for name in ("odin", "odin0", "adascale_l", "she_noise", "mc_dropout") for word in ("--score", name)]
VIEWS = ["--view", "odin:eps=0.01", "--view", "adascale", "--view", "dropout", "--view", "dropout:seed=1"]


@pytest.fixture
def changed(home):
    """The tiny benchmark with four views of changed images."""
    done = call("extract", "--model", "tiny", "--benchmark", "tiny", "--layers", "blocks.1", *VIEWS)
    assert done.exit_code == 0, done.stderr
    names = "1 layer, view-odin-0.01, view-adascale-0.05, view-dropout-0.1 and view-dropout-0.1-seed1"
    assert f"extracted tiny, {names} on tiny_train: 42 images" in done.stderr
    return home


def numbers(folder):
    made = json.loads(call("table", "--format", "json", "--metric", "auroc", "--model", "tiny").stdout)
    return {(one["score"], one["ood"]): one["auroc"] for table in made for one in table["records"]}


def test_scores_read_the_views_that_are_there(changed):
    done = call("score", "--all", *SCORES)
    assert done.exit_code == 0, done.stderr
    assert "she_noise" in done.stderr  # whose view was not asked for
    empty = call("score", "--model", "tiny", "--score", "she_noise")
    assert empty.exit_code == 1
    assert "no number came of the scores that are named: she_noise (no view 'she'" in empty.stderr
    assert sorted(file.name for file in (changed / "results" / "tiny").glob("*.csv")) == ["tiny.csv"]
    table = call("table", "--model", "tiny")
    assert table.exit_code == 0, table.stderr
    for title in ("ODIN", "AdaSCALE-L", "MC dropout"):
        assert title in table.stdout


def test_a_view_is_a_model_with_the_models_head(changed):
    done = call("score", "--model", "tiny@view-odin-0.01", "--score", "odin0", "--score", "vim")
    assert done.exit_code == 0, done.stderr
    assert "2 scores" in done.stderr
    # ODIN is ODIN (epsilon = 0) of the changed images
    assert call("score", "--model", "tiny", "--score", "odin").exit_code == 0
    text = (changed / "results" / "tiny" / "tiny.csv").read_text(encoding="utf-8")
    other = (changed / "results" / "tiny" / "tiny@view-odin-0.01.csv").read_text(encoding="utf-8")
    aurocs = [
        [line.split(",")[11:14] for line in csv.splitlines() if f",{name}," in line]
        for csv, name in ((text, "odin"), (other, "odin0"))
    ]
    assert aurocs[0] == aurocs[1] != []


def test_what_is_shown_of_a_view(changed):
    shown = json.loads(call("show", "model", "tiny@view-odin-0.01", "--json").stdout)
    assert shown["view_of"] == "tiny"
    assert shown["head"] == "own"
    assert shown["view"]["parameters"] == {"eps": 0.01, "temperature": 1000.0}
    assert "odin (eps=0.01, temperature=1000)" in call("show", "model", "tiny@view-odin-0.01").stdout
    assert "tiny@view-dropout-0.1-seed1" in call("cache", "list").stdout
    assert call("cache", "verify").exit_code == 0
    (record,) = json.loads(call("list", "models", "--json", "--cached").stdout)
    assert "tiny@view-adascale-0.05" in record["views"]


def test_a_second_run_has_nothing_to_do(changed):
    done = call("extract", "--model", "tiny", "--benchmark", "tiny", *VIEWS)
    assert done.exit_code == 0
    assert "skip tiny, view-odin-0.01, view-adascale-0.05" in done.stderr


def test_scores_of_other_heads_do_not_read_views_of_the_models_own(changed):
    done = call("score", "--model", "tiny", "--score", "odin")
    assert done.exit_code == 0
    assert call("probe", "--model", "tiny", "--benchmark", "tiny").exit_code == 0
    done = call("score", "--model", "tiny", "--head", "probe", "--score", "odin")
    assert "no view 'odin'" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--view", "odin:eps"], "does not say which view"),
        (["--view", "odim"], "there is no view 'odim'. Did you mean"),
        (["--view", "odin:eps=-1"], "must lie between 0 and 1"),
        (["--view", "odin", "--compile"], "a compiled network gives no gradients"),
    ],
)
def test_one_message_and_nothing_half_written(home, given, said):
    done = call("extract", "--model", "tiny", "--benchmark", "tiny", *given)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(home.rglob("*.h5"))


def test_a_view_is_extracted_with_its_model(changed):
    done = call("extract", "--model", "tiny@view-odin-0.01-temperature10", "--benchmark", "tiny")
    assert done.exit_code == 2
    assert "--model tiny --view odin:eps=0.01,temperature=10" in done.stderr
