"""`moodbench rank` as people and programs meet it."""

from __future__ import annotations

import json
import shutil

from tests.commands import call


def test_the_first_line_is_the_answer(scored):
    result = call("rank")
    assert result.exit_code == 0, result.stderr
    first = result.stdout.splitlines()[0]
    assert "Tiny" in first or "tiny" in first
    assert "±" in first
    assert "significantly worse" in first
    assert len([line for line in result.stdout.splitlines() if line.startswith("| ")]) == 4
    assert call("rank", "--benchmark", "tiny", "--score", "vim").stdout.splitlines()[0].count("ViM") == 1


def test_json_is_an_array_best_first(scored):
    records = json.loads(call("rank", "--json").stdout)
    assert {record["score"] for record in records} == {"msp", "vim", "mahalanobis"}
    assert [record["mean"] for record in records] == sorted((r["mean"] for r in records), reverse=True)
    assert call("rank", "--out", "rank.json").exit_code == 0
    assert json.loads((scored / "rank.json").read_text(encoding="utf-8")) == records


def test_a_file_is_written_in_the_format_of_its_suffix(scored):
    for suffix, begins in ((".md", "**"), (".txt", ""), (".tex", ""), (".html", "<")):
        result = call("rank", "--out", f"rank{suffix}")
        assert result.exit_code == 0
        assert f"wrote rank{suffix}" in result.stderr
        assert (scored / f"rank{suffix}").read_text(encoding="utf-8").startswith(begins)
    assert call("rank", "--out", "rank.csv").exit_code == 0
    assert (scored / "rank.csv").read_text(encoding="utf-8").startswith("model,score,params,mean_percent")
    result = call("rank", "--out", "rank.ods")
    assert result.exit_code == 2
    assert "end it in one of .csv" in result.stderr
    assert not (scored / "rank.ods").exists()
    assert call("rank", "--json", "--format", "latex").exit_code == 2


def test_models_scores_and_another_metric(scored):
    result = call("rank", "--by", "model", "--metric", "fpr95")
    assert result.exit_code == 0, result.stderr
    assert "FPR95" in result.stdout.splitlines()[0]
    assert "there is no other model" in result.stdout.splitlines()[0]
    assert len(json.loads(call("rank", "--by", "score", "--json").stdout)) == 3
    assert call("rank", "--by", "head").exit_code == 2
    assert call("rank", "--metric", "aupr_in").exit_code == 2


def test_without_row_scores_it_says_what_to_run(scored):
    shutil.rmtree(scored / "cache" / "tiny" / "scores")
    result = call("rank")
    assert result.exit_code == 1
    assert "moodbench score --benchmark tiny --model tiny" in result.stderr
    assert result.stdout == ""


def test_without_results_it_says_so(home):
    result = call("rank")
    assert result.exit_code == 1
    assert "there are no results" in result.stderr


def test_unknown_names_exit_with_two(scored):
    for option in ("--model", "--score", "--group", "--benchmark"):
        assert call("rank", option, "nonsense").exit_code == 2
