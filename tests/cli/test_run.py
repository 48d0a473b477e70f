"""``moodbench run``: examples, schema, what it will cost, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import call, offered

STUDY = "models: [tiny]\nbenchmarks: [tiny]\nscores: [msp]\ntables: [{file: grid.md}]\n"


@pytest.fixture
def study(home):
    """The file of a small study in the folder that is worked in."""
    Path("small.yaml").write_text(STUDY, encoding="utf-8")
    return home


def test_examples_and_the_schema_are_printed():
    demo = call("run", "--example", "demo")
    assert demo.exit_code == 0
    assert demo.stdout.startswith("# The study that `moodbench demo` runs")
    assert "vit@moodv2" in call("run", "--example", "paper").stdout
    assert json.loads(call("run", "--schema").stdout)["required"] == ["models", "benchmarks"]
    wrong = call("run", "--example", "papers")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "there is no example 'papers'. Did you mean 'paper'?" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "no study is named"),
        (["a.yaml", "--schema"], "STUDY and --schema cannot be asked for at once"),
        (["a.yaml", "--measure"], "--measure belongs to --dry-run"),
        (["a.yaml", "--json"], "--json belongs to --dry-run"),
        (["a.yaml", "--dry-run", "--prune"], "--prune belongs to a run"),
        (["--schema", "--prune"], "--prune belongs to a run"),
        (["a.yaml"], "the study does not exist"),
    ],
)
def test_what_makes_no_sense_is_said(home, words, what):
    result = call("run", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {what}")


def test_a_study_from_its_cost_to_its_end(study):
    before = call("run", "small.yaml", "--dry-run", "--measure")
    assert before.exit_code == 0, before.stderr
    assert "3 of 3 steps to do; 74 images to extract" in before.stdout
    assert "trial: " in before.stderr
    assert not Path("small").exists()
    assert not Path("cache").exists()
    costs = json.loads(call("run", "small.yaml", "--dry-run", "--json").stdout)
    assert [(one["step"], one["left"], one["unit"]) for one in costs] == [
        ("extract tiny", 74, "images"),
        ("score tiny", 1, "scores"),
        ("table grid.md", 1, "files"),
    ]
    done = call("run", "small.yaml")
    assert (done.exit_code, done.stdout) == (0, "done: 3 steps; everything is in small\n")
    assert Path("small/results/tiny/tiny.csv").exists()
    assert not Path("results").exists()
    again = call("run", "small.yaml", "--quiet")
    assert again.stdout == "nothing was to do: all 3 steps of the study are up to date in small\n"
    assert again.stderr == ""
    assert "Nothing is to do." in call("run", "small.yaml", "--dry-run").stdout
    assert call("run", "small.yaml", "--out", "other").stdout.startswith("done: 2 steps, 1 were up to date")


def test_files_that_a_study_no_longer_asks_for_are_named_and_removed_where_that_is_asked_for(study):
    more = "  - {file: tables/old.md}\n  - {file: depth.md}\nranks: [{file: rank.csv}]\n"
    Path("small.yaml").write_text(STUDY.replace(" [{file: grid.md}]\n", "\n  - {file: grid.md}\n") + more)
    assert "no longer" not in call("run", "small.yaml").stderr
    Path("small/notes.md").write_text("of somebody")
    Path("small/depth.md").unlink()
    Path("small.yaml").write_text(STUDY, encoding="utf-8")
    said = (
        "note: small holds 2 files that the study no longer asks for: rank.csv, tables/old.md; --prune removes them\n"
    )
    for words in (["--dry-run"], ["--dry-run", "--json"], [], []):  # also where nothing else is to do
        assert call("run", "small.yaml", *words).stderr.endswith(said)
    assert Path("small/tables/old.md").exists()
    done = call("run", "small.yaml", "--prune")
    assert done.exit_code == 0
    assert "removed small/rank.csv: the study no longer asks for it" in done.stderr
    assert not Path("small/tables").exists()
    assert not Path("small/rank.csv").exists()
    assert {"notes.md", "grid.md", "run.log"} <= {one.name for one in Path("small").iterdir()}
    assert "no longer" not in call("run", "small.yaml").stderr


def test_nothing_is_removed_where_a_step_fails(study):
    Path("small.yaml").write_text(STUDY + "ranks: [{file: rank.csv}]\n", encoding="utf-8")
    assert call("run", "small.yaml").exit_code == 0
    Path("bad.pth").write_bytes(b"nothing")
    text = STUDY.replace("[tiny]\nb", "[tiny, {model: tiny, checkpoint: bad.pth, variant: bad}]\nb")
    Path("small.yaml").write_text(text, encoding="utf-8")
    failed = call("run", "small.yaml", "--prune")
    assert failed.exit_code == 1
    assert "note: small holds 1 file that the study no longer asks for: rank.csv" in failed.stderr
    assert Path("small/rank.csv").exists()


def test_a_study_that_is_wrong_begins_nothing(study):
    Path("small.yaml").write_text(STUDY.replace("msp", "mps"), encoding="utf-8")
    result = call("run", "small.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: scores[1]: there is no score 'mps'")
    assert "file: small.yaml" in result.stderr
    assert sorted(one.name for one in Path().iterdir()) == ["catalog.yaml", "small.yaml"]


def test_a_step_that_fails_is_said_with_exit_code_1(study):
    Path("bad.pth").write_bytes(b"nothing")
    text = STUDY.replace("[tiny]\nb", "[tiny, {model: tiny, checkpoint: bad.pth, variant: bad}]\nb")
    Path("small.yaml").write_text(text, encoding="utf-8")
    result = call("run", "small.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: 1 of 5 steps of the study failed:\n    extract tiny@bad: " in result.stderr
    assert Path("small/grid.md").exists()


def test_names_of_examples_are_offered():
    names, _ = offered("moodbench run --example ")
    assert names == ["demo", "paper"]


def test_score_runs_only_what_is_missing(scored):
    results = Path("results/tiny/tiny.csv")
    before = results.read_bytes()
    same = call("score", "--benchmark", "tiny", "--missing", "--score", "msp", "--score", "vim")
    assert same.exit_code == 0
    assert "skip tiny on tiny: the results of 2 scores are there" in same.stderr
    assert results.read_bytes() == before
    more = call("score", "--benchmark", "tiny", "--missing", "--score", "msp", "--score", "random", "--seeds", "2")
    assert "tiny on tiny: the results of 1 score are there, 1 to run" in more.stderr
    again = call("score", "--benchmark", "tiny", "--missing", "--score", "msp", "--score", "random", "--seeds", "2")
    assert "skip tiny on tiny: the results of 2 scores are there" in again.stderr
    other = call("score", "--benchmark", "tiny", "--missing", "--score", "random", "--seeds", "3")
    assert "skip" not in other.stderr
