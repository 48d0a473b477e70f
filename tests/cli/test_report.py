"""`moodbench report` as people meet it: one file, the same each time, and a word for what is missing."""

from __future__ import annotations

import json
import shutil

import pytest

from moodbench.features.rowscores import read_row_scores
from tests.commands import call
from tests.pages import parsed


def test_it_writes_one_file_with_everything(scored):
    result = call("report")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "wrote report.html" in result.stderr
    page = parsed((scored / "report.html").read_text(encoding="utf-8"))
    answer = call("rank").stdout.splitlines()[0].strip("*")
    (heading,) = page.found("h1")
    assert answer.startswith(heading.text)
    shown = [tag.attributes["alt"] for tag in page.found("img", src="^data:image/png;base64,")]
    assert len(shown) == 11 + 12  # all of the OOD dataset, and 12 of 21 ID test images
    assert {name for name in shown if "/" not in name} == {f"{i:02}.png" for i in range(11)}
    assert page.problems() == []


def test_equal_inputs_give_equal_bytes(scored):
    for name in ("one.html", "two.html"):
        assert call("report", "--out", name).exit_code == 0
    assert (scored / "one.html").read_bytes() == (scored / "two.html").read_bytes()


def gone(folder):
    shutil.rmtree(folder)


def damaged(folder):
    file = folder / "tiny.h5"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)


def no_file_of_scores(folder):
    (folder / "tiny.h5").write_text("nothing of the kind")


@pytest.mark.parametrize("harm", [gone, damaged, no_file_of_scores])
def test_without_row_scores_it_says_what_to_run_where_they_are_needed(scored, harm):
    harm(scored / "cache" / "tiny" / "scores")
    result = call("report")
    assert result.exit_code == 0, result.stderr
    page = parsed((scored / "report.html").read_text(encoding="utf-8"))
    assert page.problems() == []
    (lead,) = page.found("p", **{"class": "lead"})
    assert "cannot be said without the scores of all rows" in lead.text
    for part in ("rank", "pictures", "sets"):
        (section,) = page.found("section", id=f"^b0-{part}$")
        assert "moodbench score --benchmark tiny" in section.text
    assert page.found("table", **{"class": "rank"}) == []
    assert {tag.text for tag in page.found("h2")} >= {"Which is best, and is that luck?", "Dataset by dataset"}


def test_row_scores_are_read_for_the_ranking_and_once_for_all_pictures(scored, monkeypatch):
    read = []

    def counted(file, form):
        read.append(file)
        return read_row_scores(file, form)

    monkeypatch.setattr("moodbench.evaluation.kept.read_row_scores", counted)
    assert call("report").exit_code == 0
    assert len(read) == 2


def test_without_caches_it_still_works(scored):
    shutil.rmtree(scored / "cache")
    assert call("report").exit_code == 0


def test_bad_input_is_one_message(scored):
    for options, code in (
        (["--out", "report.pdf"], 2),
        (["--images", "-1"], 2),
        (["--benchmark", "nonsense"], 2),
    ):
        result = call("report", *options)
        assert result.exit_code == code
        assert "Traceback" not in result.stderr
    assert not list(scored.glob("report*"))


def test_without_results_it_says_so(home):
    result = call("report")
    assert result.exit_code == 1
    assert "there are no results" in result.stderr
    assert not (home / "report.html").exists()


def test_numbers_of_the_page_are_those_of_the_table(scored):
    call("report")
    page = parsed((scored / "report.html").read_text(encoding="utf-8"))
    data = json.loads(page.script("b0-data"))
    tables = json.loads(call("table", "--format", "json", "--layout", "all", "--metric", "fpr95").stdout)
    names = [metric["name"] for metric in data["metrics"]]
    compared = 0
    for record in (record for table in tables for record in table["records"]):
        row = [score["name"] for score in data["scores"]].index(record["score"])
        where = [(v["ood"], v["group"]) for v in data["views"]].index((record["ood"], record["group"]))
        cell = data["cells"][row][0][where]
        assert cell[2 + names.index("fpr95")] == round(100 * float(f"{100 * record['fpr95']:.2f}"))
        compared += 1
    assert compared == 3 * 3


def test_a_trial_is_called_one_at_the_head_of_the_page(scored):
    def head_of_page():
        assert call("report").exit_code == 0
        page = parsed((scored / "report.html").read_text(encoding="utf-8"))
        return page, " ".join(tag.text for tag in page.found("p", **{"class": "lead"}))

    assert "trial" not in head_of_page()[1]
    shutil.rmtree(scored / "cache")
    assert call("extract", "--model", "tiny", "--benchmark", "tiny", "--limit", 6).exit_code == 0
    assert call("score", "--benchmark", "tiny", "--score", "energy", "--score", "knn").exit_code == 0
    page, lead = head_of_page()
    assert lead.startswith("All are trial runs, on a part of the images (--limit).")
    assert page.problems() == []
