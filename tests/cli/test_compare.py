"""``moodbench compare``: the answer, the formats, and the exit code that CI reads."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil

import pytest

from moodbench.cli import compare as module
from moodbench.cli.completion import METRICS
from moodbench.comparison import reference
from tests.commands import call, offered
from tests.comparing import DIGITS, HEADER, LINE, imagenet_row, write_imagenet

NAMES = ["benchmark", "model", "score", "ood", "metric", "ours", "theirs", "difference", "inside", "note"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DIGITS, tmp_path / "results")
    (tmp_path / "table.csv").write_text(HEADER + LINE.replace("99.52", "97"))
    return tmp_path


def test_json_has_the_names_that_others_parse(here):
    done = call("compare", "--reference", "table.csv", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)
    assert list(row) == NAMES
    assert row["difference"] == pytest.approx(row["ours"] - row["theirs"])
    assert row["theirs"] == 0.97
    assert row["inside"] is False
    assert call("compare", "--reference", "table.csv", "--format", "json").stdout == done.stdout


def test_the_first_line_is_the_answer(here):
    first = {
        "results": "Nothing changed: all 720 numbers equal the results in results.",
        "table.csv": "1 number of ours beside the numbers in table.csv: largest difference +2.52 points "
        "(ViM on MAE, digits, mean, AUROC), 2.52 on average. 0 of 1 lie in our 95 % interval of the AUROC.",
        "moodv2": "Nothing can be compared: none of the published numbers of MOODv2 (192) has one of ours beside it.",
    }
    for named, answer in first.items():
        done = call("compare", "--reference", named)
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0] == answer
    assert "no results of ours on cifar10 (moodbench extract --model vit@moodv2 --benchmark cifar10" in done.stdout


def test_differences_beyond_what_is_allowed_exit_with_1_and_name_the_worst(here):
    assert call("compare", "--reference", "table.csv", "--fail-over", "2.6").exit_code == 0
    done = call("compare", "--reference", "table.csv", "--fail-over", "2.5")
    assert done.exit_code == 1
    assert "1 of 1 differences exceed 2.5 points; the largest is +2.52 (vim on digits_mim" in done.stderr
    assert done.stdout.startswith("1 number of ours")
    assert call("compare", "--reference", "results", "--fail-over", "0").exit_code == 0
    nothing = call("compare", "--reference", "moodv2", "--fail-over", "100")
    assert nothing.exit_code == 1
    assert "nothing was compared" in nothing.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--reference", "moodv3"], 2, "there is no reference 'moodv3'. Did you mean 'moodv2'?"),
        (["--reference", "no/table.csv"], 1, "the reference does not exist"),
        (["--reference", "moodv2", "--metric", "aupr_in"], 2, "there is no metric to compare 'aupr_in'"),
        (["--reference", "moodv2", "--fail-over", "nan"], 2, "--fail-over cannot be nan"),
        (["--reference", "moodv2", "--fail-over", "-1"], 2, "--fail-over cannot be -1"),
        (["--reference", "moodv2", "--format", "word"], 2, "there is no table format 'word'"),
        (["--reference", "moodv2", "--json", "--format", "latex"], 2, "contradict"),
        (["--reference", "moodv2", "--out", "x.doc"], 2, "says no table format"),
        ([], 2, "--reference is missing"),
    ],
)
def test_what_makes_no_sense_is_one_message(here, args, code, said):
    done = call("compare", *args)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize("suffix", ["md", "txt", "tex", "csv", "html", "json"])
def test_every_format_can_be_written(here, suffix):
    write_imagenet(here / "results", "vit", [imagenet_row("vit", auroc=0.8)], "model")
    done = call("compare", "--reference", "moodv2", "--out", f"out.{suffix}")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"wrote out.{suffix}\n")
    text = (here / f"out.{suffix}").read_text(encoding="utf-8")
    assert "0.8" in text if suffix == "json" else "80.00" in text
    assert "other transform" in text
    if suffix == "tex":
        assert text.isascii()
        assert r"\label{tab:imagenet-auroc-ours-beside-the-published-numbers-of-moodv2}" in text
    if suffix == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        heads = {"ours": "ours_percent", "theirs": "theirs_percent", "difference": "difference_points"}
        assert list(rows[0]) == [heads.get(name, name) for name in NAMES]
        (row,) = (row for row in rows if row["ours_percent"] and row["metric"] == "auroc")
        assert (row["theirs_percent"], row["difference_points"], row["inside"]) == ("76.7700", "3.2300", "no")


def test_what_was_not_compared_can_be_written_too(here):
    for suffix in ("md", "txt", "tex", "html", "csv"):
        assert call("compare", "--reference", "moodv2", "--out", f"out.{suffix}").exit_code == 0
        assert "cifar10" in (here / f"out.{suffix}").read_text(encoding="utf-8")


def test_on_a_terminal_no_line_is_wider_than_it(here, monkeypatch):
    write_imagenet(here / "results", "vit", [imagenet_row("vit", auroc=0.8)], "model")
    monkeypatch.setattr(module, "terminal_width", lambda: 80)
    text = call("compare", "--reference", "moodv2").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "+3.23" in text
    assert "1: other transform" in text


def test_the_shell_offers_references_and_what_is_compared(here):
    assert {"moodv2", "results", "table.csv"} <= set(offered("moodbench compare --reference ")[0])
    assert offered("moodbench compare --metric ")[0] == ["auroc", "fpr95"]
    assert set(reference.METRICS) <= set(METRICS)


def test_what_it_says_to_run_are_commands(here):
    write_imagenet(here / "results", "vit", [imagenet_row("vit", auroc=0.8)], "model")
    text = call("compare", "--reference", "moodv2").stdout
    said = set(re.findall(r"moodbench (?:extract|score) [^,()\n;]*", text))
    assert {
        "moodbench score --benchmark imagenet",
        "moodbench score --benchmark imagenet --score vim",
        "moodbench extract --model beit@moodv2 --benchmark imagenet",
    } <= said
    for line in said:
        assert call(*line.split()[1:], "--help").exit_code == 0


def test_a_text_of_many_lines_stays_in_the_comments_of_latex(here):
    row = imagenet_row("vit", auroc=None, note="first\n\\input{second}")
    write_imagenet(here / "results", "vit", [row], "model")
    text = call("compare", "--reference", "moodv2", "--metric", "auroc", "--format", "latex").stdout
    assert all(line.startswith("%") for line in text.splitlines() if "second" in line)
    assert "second" in text
