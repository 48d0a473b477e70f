"""`moodbench detect` as people and programs meet it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil

import pytest
from typer.testing import CliRunner

from moodbench.cli import app
from moodbench.cli import detect as detecting
from tests.commands import call, offered

PAIR = ("--model", "tiny", "--score", "mahalanobis", "--device", "cpu")
NAMES = {"image", "model", "score", "value", "p_value", "verdict", "error", "neighbours"}


def test_images_a_folder_and_a_list_of_paths(scored, pictures):
    image = pictures / "test" / "blue" / "00.png"
    (scored / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    result = call("detect", image, "broken.png", pictures / "ood", "--json", "--fpr-id", "0.1", *PAIR)
    assert result.exit_code == 1, result.stderr  # it was named, and could not be read
    assert "broken.png: " in result.stderr
    *records, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records) == 13
    assert {frozenset(record) for record in records} == {frozenset(NAMES)}
    first, broken, *others = records
    assert (first["image"], first["verdict"], len(first["neighbours"])) == (str(image), "in", 3)
    assert set(first["neighbours"][0]) == {"image", "class", "cosine", "identical"}
    assert (broken["verdict"], broken["value"], broken["p_value"]) == (None, None, None)
    assert broken["error"]
    assert all(record["verdict"] == ("out" if record["p_value"] <= 0.1 else "in") for record in others)
    assert set(last) == {"folder", "images", "share_out", "share_out_low", "share_out_high"}
    assert (last["folder"], last["images"]) == (str(pictures / "ood"), 11)

    listed = CliRunner().invoke(app, ["detect", "-", "--json", *PAIR], input=f"{image}\n\nbroken.png\n")
    assert [json.loads(line)["image"] for line in listed.stdout.splitlines()] == [str(image), "broken.png"]


def test_table_csv_and_files(scored, pictures):
    image = pictures / "test" / "blue" / "00.png"
    table = call("detect", image, *PAIR)
    assert table.exit_code == 0
    assert table.stdout.startswith("**in: p = 0.")
    assert "nearest images of tiny_train" in table.stdout
    assert "by 21 ID test images" in table.stdout
    assert "fitted mahalanobis" in table.stderr
    again = call("detect", image, *PAIR)
    assert again.stdout == table.stdout
    assert again.stderr == ""
    assert "nearest" not in call("detect", image, "--neighbours", "0", *PAIR).stdout
    rows = list(csv.DictReader(io.StringIO(call("detect", pictures / "ood", "--csv", *PAIR).stdout)))
    assert len(rows) == 11
    assert set(rows[0]) == NAMES
    folder = call("detect", pictures / "ood", "--fdr", "0.2", *PAIR).stdout
    assert "of 11 images are out, at a false discovery rate of 0.2" in folder
    assert "of its 11 images are OOD (95 %:" in folder
    few = call("detect", image, "--fpr-id", "0.01", *PAIR).stdout
    assert "no image can be out at p ≤ 0.01" in few
    for suffix in (".md", ".txt", ".html", ".csv", ".jsonl"):
        assert f"wrote out{suffix}" in call("detect", image, "--out", f"out{suffix}", *PAIR).stderr
        assert (scored / f"out{suffix}").stat().st_size > 20


def test_a_format_is_named_or_suits_what_is_written_to(scored, pictures, monkeypatch):
    image = pictures / "test" / "blue" / "00.png"

    def shown(*more):
        result = call("detect", image, "--neighbours", "1", *more, *PAIR)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    markdown, plain = shown("--format", "markdown"), shown("--format", "plain")
    assert shown() == markdown
    assert plain.startswith("in: p = 0.")
    assert "\\begin{tabular}" in shown("--format", "latex")
    assert shown("--format", "json") == shown("--json")
    assert shown("--format", "csv") == shown("--csv")
    for name in ("v.json", "v.jsonl"):
        shown("--out", name)
        assert (scored / name).read_text("utf-8") == shown("--json")
    shown("--out", "v.csv", "--format", "plain")
    assert (scored / "v.csv").read_text("utf-8") == plain

    for width in (30, 60, 80, 120):
        monkeypatch.setattr(detecting, "terminal_width", lambda width=width: width)
        fitted = shown()
        assert "|" not in fitted
        assert max(map(len, fitted.splitlines())) <= width
    assert shown("--format", "markdown") == markdown


WRONG = [
    (["x.png", "--model", "tinny", "--score", "msp"], 2, "there is no cached model 'tinny'"),
    (["x.png", "--model", "tiny", "--score", "mspp"], 2, "there is no score 'mspp'"),
    (
        ["x.png", "--model", "tiny", "--score", "energy"],
        1,
        "moodbench score --benchmark tiny --model tiny --score energy",
    ),
    (["x.png", "--benchmark", "big", *PAIR], 2, "there is no benchmark 'big'"),
    (["x.png", "--fpr-id", "5", *PAIR], 2, "--fpr-id is a share between 0 and 1"),
    (["x.png", "--fpr-id", "0.1", "--fdr", "0.1", *PAIR], 2, "two rules"),
    (["x.png", "--json", "--csv", *PAIR], 2, "two formats"),
    (["x.png", "--json", "--format", "latex", *PAIR], 2, "--json and --format latex contradict"),
    (["x.png", "--csv", "--format", "plain", *PAIR], 2, "--csv and --format plain contradict"),
    (["x.png", "--format", "word", *PAIR], 2, "there is no table format 'word'"),
    (["x.png", "--out", ".", *PAIR], 2, "--out '.' is a folder"),
    (["x.png", "--out", "x.pdf", *PAIR], 2, "says no table format"),
    (["x.png", "--param", "knn.k=3", *PAIR], 2, "parameters for the score 'knn'"),
    (["empty", *PAIR], 1, "the folder holds no images"),
    (["-", *PAIR], 2, "lists no image"),
    (["gone.png", *PAIR], 1, "the file does not exist"),
    ([*PAIR], 2, "IMAGE"),
]


def test_bad_input_is_one_clear_message(scored):
    (scored / "empty").mkdir()
    for arguments, code, said in WRONG:
        result = call("detect", *arguments)
        assert (result.exit_code, said in result.stderr) == (code, True), (arguments, result.stderr)
    assert not (scored / "x.pdf").exists()


@pytest.mark.parametrize(
    ("score", "reads"), [("ensemble", "other models"), ("odin", "more than one vector of an image")]
)
def test_scores_that_detect_can_never_run_are_refused_at_once(scored, pictures, score, reads):
    result = call("detect", "--benchmark", "tiny", "--model", "tiny", "--score", score, pictures / "ood")
    assert result.exit_code == 2
    assert f"the score '{score}' reads {reads}, and detect makes one vector of an image" in result.stderr
    assert "moodbench score" not in result.stderr  # which would not help


def test_whatever_lies_in_a_folder_stops_no_other_image(scored, pictures):
    image = pictures / "test" / "blue" / "00.png"
    inbox = scored / "inbox"
    (inbox / "below").mkdir(parents=True)
    shutil.copy(image, os.fsencode(inbox) + b"/caf\xe9.png")
    shutil.copy(image, inbox / "below" / "two words.png")
    (inbox / "cut.png").write_bytes(image.read_bytes()[:40])
    (inbox / "nowhere.png").symlink_to("gone.png")
    result = call("detect", inbox, "--json", *PAIR)
    assert result.exit_code == 0, result.stderr
    *records, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["image"].removeprefix(f"{inbox}/") for record in records] == [
        "below/two words.png",
        "caf\\xe9.png",
        "cut.png",
        "nowhere.png",
    ]
    assert [record["error"] is None for record in records] == [True, True, False, False]
    assert (last["folder"], last["images"]) == (str(inbox), 2)
    assert "xe9.png" in call("detect", inbox, *PAIR).stdout  # Markdown escapes the backslash

    listed = CliRunner().invoke(app, ["detect", "-", "--json", *PAIR], input=f"{inbox}\n{image}\n")
    assert listed.exit_code == 0
    assert [json.loads(line).get("folder") for line in listed.stdout.splitlines()][-1] == str(inbox)
    named = CliRunner().invoke(app, ["detect", "-", "--json", *PAIR], input=f"{inbox}\ngone.png\n")
    assert named.exit_code == 1
    assert len(named.stdout.splitlines()) == 6


def test_an_id_train_image_is_known_again_and_formulas_are_texts(scored, pictures):
    train = sorted((pictures / "train").rglob("*.png"))[0]
    shutil.copy(train, scored / "=1+1.png")
    result = call("detect", "=1+1.png", "--json", *PAIR)
    near = json.loads(result.stdout)["neighbours"]
    assert [one["identical"] for one in near] == [True, False, False]
    assert near[0]["image"] == train.relative_to(pictures / "train").as_posix()
    assert "identical to an ID train image" in call("detect", "=1+1.png", *PAIR).stdout
    (row,) = csv.DictReader(io.StringIO(call("detect", "=1+1.png", "--csv", *PAIR).stdout))
    assert row["image"] == "'=1+1.png"
    assert json.loads(row["neighbours"]) == [one["image"] for one in near]
    assert float(row["value"]) == json.loads(result.stdout)["value"]


def test_an_image_on_stdin_is_no_list(scored, pictures):
    data = (pictures / "test" / "blue" / "00.png").read_bytes()
    result = CliRunner().invoke(app, ["detect", "-", *PAIR], input=data)
    assert result.exit_code == 2
    assert "should list paths, one a line" in result.stderr


def test_without_results_or_row_scores_it_says_what_to_run(home):
    assert call("extract", "--model", "tiny", "--benchmark", "tiny", "--quiet").exit_code == 0
    for options in ((), ("--benchmark", "tiny")):
        result = call("detect", "x.png", *options, *PAIR)
        assert result.exit_code == 1
        assert "moodbench score" in result.stderr


def test_caches_are_verified_and_removed_with_their_detectors(scored, pictures):
    image = pictures / "test" / "blue" / "00.png"
    assert call("detect", image, *PAIR).exit_code == 0
    file = scored / "cache" / "tiny" / "detectors" / "tiny" / "mahalanobis.h5"
    assert "detectors/tiny/mahalanobis" in call("cache", "verify").output
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    result = call("cache", "verify")
    assert result.exit_code == 1
    assert "no detector can be read from this file" in result.output
    assert call("cache", "remove", "--model", "tiny", "--yes").exit_code == 0
    assert not file.parents[1].exists()


def test_shells_complete_models_and_scores(scored):
    assert offered("moodbench detect x.png --model ti")[0] == ["tiny"]
    assert offered("moodbench detect x.png --score mah")[0] == ["mahalanobis"]


def test_only_a_line_feed_ends_a_line_of_the_list_or_of_csv(scored, pictures):
    names = ["BMW.png", "a\u2028b.png", "c\x0cd.png", "e\rf.png"]
    for name in names:
        shutil.copy(pictures / "test" / "blue" / "00.png", scored / name)
    listed = b"\xef\xbb\xbf" + "".join(f"{name}\r\n" for name in names).encode()
    found = CliRunner().invoke(app, ["detect", "-", "--json", *PAIR], input=listed).stdout.split("\n")[:-1]
    assert [json.loads(line)["image"] for line in found] == names
    table = CliRunner().invoke(app, ["detect", "-", "--csv", *PAIR], input=listed).stdout_bytes.decode()
    assert [len(row) for row in csv.reader(io.StringIO(table, newline=""))] == 5 * [len(NAMES)]
