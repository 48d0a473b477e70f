"""What ``moodbench table`` shows of what there is, and in which format."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import moodbench
from moodbench.cli import app, completion, listing, table
from moodbench.errors import UnknownNameError, UsageError
from moodbench.results import write_results
from moodbench.workspace import Workspace
from tests.tables import result

OOD = [("digits_textures", "far"), ("digits_noise", "far"), ("digits_6_9", "near")]


@pytest.fixture
def space(tmp_path, monkeypatch):
    """Results of three models; `lone` has one score."""
    monkeypatch.chdir(tmp_path)
    for model, scores in (("one", ("msp", "knn")), ("two", ("msp", "knn")), ("lone", ("msp",))):
        rows = [
            result(model, score, 0.9, ood=ood, group=group, benchmark="digits")
            for score in scores
            for ood, group in OOD
        ]
        rows += [
            result(model, score, 0.9, group=group, benchmark="digits") for score in scores for group in ("far", "all")
        ]
        write_results(tmp_path / "results" / "digits" / f"{model}.csv", rows, {})
    return Workspace()


def call(*args):
    return CliRunner().invoke(app, ["table", *args])


def records(*args):
    shown = call("--format", "json", *args)
    assert (shown.exit_code, shown.stderr) == (0, "")
    (made,) = json.loads(shown.stdout)
    return made["records"]


def test_models_may_be_named_repeatedly_and_the_layout_is_what_was_asked_for(space):
    assert {r["model"] for r in records("--model", "one", "--model", "two")} == {"one", "two"}
    assert {r["ood"] for r in records("--model", "one", "--model", "two")} == {"mean"}
    assert {r["ood"] for r in records("--model", "one", "--layout", "grid")} == {"mean"}
    assert {r["ood"] for r in records("--model", "one")} == {*dict(OOD), "mean"}
    assert {r["model"] for r in records("--model", "one", "--model", "two", "--layout", "datasets")} == {"one", "two"}
    assert len(json.loads(call("--model", "one", "--layout", "all", "--format", "json").stdout)) == 2
    wrong = call("--model", "one", "--model", "twoo")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "there is no model with results 'twoo'. Did you mean 'two'?" in wrong.stderr


def test_python_takes_one_name_or_several(space):
    assert moodbench.table(model="one", layout="grid") == moodbench.table(model=["one"], layout="grid")
    assert moodbench.table(model=["one", "two", "lone"]) == moodbench.table()
    assert moodbench.table(score="msp") == moodbench.table(score=["msp"])
    with pytest.raises(UnknownNameError, match="no score with results 'mspp'"):
        moodbench.table(score="mspp")


def test_scores_and_datasets_are_chosen(space):
    assert {r["score"] for r in records("--score", "knn")} == {"knn"}
    assert {r["score"] for r in records("--score", "knn", "--score", "msp")} == {"knn", "msp"}
    assert {r["ood"] for r in records("--dataset", "digits_6_9")} == {"digits_6_9"}
    chosen = ["--dataset", "digits_noise", "--dataset", "digits_textures"]
    assert {(r["ood"], r["group"]) for r in records(*chosen)} == {*OOD[:2]}
    wrong = call("--dataset", "digits_69")
    assert "there is no OOD dataset with results 'digits_69'. Did you mean 'digits_6_9'" in wrong.stderr
    wrong = call("--dataset", "digits_6_9", "--layout", "grid")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "the grid shows means" in wrong.stderr
    with pytest.raises(UnknownNameError, match="no score with results 'knn'"):  # of this model
        moodbench.table(model="lone", score="knn")


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        ("md", "**digits"),
        ("tex", "% preamble"),
        ("csv", "table,"),
        ("html", "<!doctype"),
        ("json", "[\n"),
        ("txt", "digits: mean"),
        ("TEX", "% preamble"),
    ],
)
def test_the_suffix_of_the_file_says_the_format(space, tmp_path, suffix, start):
    assert call("--out", f"t.{suffix}").exit_code == 0
    assert (tmp_path / f"t.{suffix}").read_text("utf-8").startswith(start)


def test_a_format_that_is_named_wins_and_a_suffix_that_says_nothing_is_refused(space, tmp_path):
    assert call("--out", "t.csv", "--format", "latex").exit_code == 0
    assert (tmp_path / "t.csv").read_text("utf-8").startswith("% preamble")
    for name in ("t.doc", "t"):
        wrong = call("--out", name)
        assert (wrong.exit_code, wrong.stdout) == (2, "")
        assert f"the name '{name}' says no table format" in wrong.stderr
        assert ".csv, .html, .json, .md, .tex, .txt" in wrong.stderr
        assert not (tmp_path / name).exists()
        assert call("--out", name, "--format", "csv").exit_code == 0


def test_a_pipe_gets_markdown_and_a_terminal_plain_text_that_fits(space, monkeypatch):
    assert call().stdout == moodbench.table(format="markdown")
    monkeypatch.setattr(table, "terminal_width", lambda: 60)
    shown = call().stdout
    assert shown == moodbench.table(format="plain", width=60)
    assert max(map(len, shown.splitlines())) <= 60
    assert call("--format", "markdown").stdout == moodbench.table(format="markdown")


ROWS = [
    {"name": f"model_{i}", "task": "masked image modeling", "size": "1 MB", "all of them": "several, words, " * (i % 9)}
    for i in range(12)
]


@pytest.mark.parametrize("width", [40, 60, 80, 300])
def test_lists_fit_a_terminal_and_lose_nothing(monkeypatch, width):
    monkeypatch.setattr(listing, "terminal_width", lambda: width)
    text = listing.as_text(ROWS, indent=2)
    assert max(map(len, text.splitlines())) <= width
    monkeypatch.setattr(listing, "terminal_width", lambda: None)
    whole = listing.as_text(ROWS)
    assert len(whole.splitlines()) == len(ROWS) + 1
    for word in ("several", "modeling", "MB", *(row["name"] for row in ROWS)):
        assert len(re.findall(rf"\b{word}\b", text)) == len(re.findall(rf"\b{word}\b", whole))


def test_wide_rows_are_paragraphs_on_a_terminal(monkeypatch):
    monkeypatch.setattr(listing, "terminal_width", lambda: 40)
    lines = listing.as_text(ROWS).splitlines()
    assert lines[:3] == ["model_0", "  task: masked image modeling ·", "  size: 1 MB"]
    assert all(line.startswith(("model_", "  ")) for line in lines)


def test_errors_of_python_callers_are_the_same(space):
    with pytest.raises(UsageError, match="the grid shows means"):
        moodbench.table(dataset="digits_noise", layout="grid")


def test_shells_are_offered_the_scores_that_have_results(space, tmp_path):
    titles = {"scores": {name: {"year": 2017, "title": name} for name in ("msp", "knn")}}
    write_results(tmp_path / "results" / "imagenet" / "vit.csv", [result("vit", "msp", 0.9)], titles)
    typed = SimpleNamespace(args=[], params={"benchmark": ["imagenet"]})
    assert completion.scored_scores(typed, "") == ["knn", "msp"]
    assert completion.scored_scores(typed, "m") == ["msp"]
    typed = SimpleNamespace(args=[], params={"benchmark": ["digits"]})
    assert completion.scored_datasets(typed, "digits_6") == ["digits_6_9"]
