"""The command line as people meet it: output, messages and exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from moodbench.cli import app, main

COMMANDS = [
    ["demo"],
    ["list", "models"],
    ["list", "datasets"],
    ["list", "benchmarks"],
    ["list", "scores"],
    ["download"],
    ["verify"],
    ["extract"],
    ["import"],
    ["cache", "list"],
    ["cache", "verify"],
    ["cache", "remove"],
    ["probe"],
    ["score"],
    ["table"],
    ["plot"],
]
SCORES = ["--score", "msp", "--score", "vim", "--score", "mahalanobis"]


def call(*args):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


def read(file):
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


@pytest.fixture
def home(tmp_path, monkeypatch, catalog):
    """An empty folder to work in, with the tiny catalogue in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", str(catalog))
    return tmp_path


@pytest.fixture
def scored(home):
    """The tiny benchmark, extracted and scored."""
    assert call("extract", "--model", "tiny", "--benchmark", "tiny", "--quiet").exit_code == 0
    result = call("score", "--benchmark", "tiny", *SCORES)
    assert result.exit_code == 0, result.stderr
    return home


def test_the_whole_road(home):
    result = call("extract", "--model", "tiny", "--benchmark", "tiny", "--batch-size", 8)
    assert result.exit_code == 0
    assert result.stdout == ""
    lines = [re.sub(r", \d+ images/s", "", line) for line in result.stderr.splitlines()]
    assert lines == [
        "extracted tiny on tiny_train: 42 images",
        "extracted tiny on tiny_test: 21 images",
        "extracted tiny on tiny_ood: 11 images",
    ]
    again = call("extract", "--model", "tiny", "--benchmark", "tiny")
    assert again.stderr.splitlines()[0] == "skip tiny on tiny_train: complete (42 images)"
    result = call("score", "--benchmark", "tiny", *SCORES, "--save-scores")
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(r"scored tiny on tiny: 3 scores, ID accuracy \d+\.\d\d%\n(note: .*\n)?", result.stderr)
    result = call("table", "--format", "csv")
    assert result.exit_code == 0
    assert result.stderr == ""
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["score"] for row in rows} == {"msp", "vim", "mahalanobis"}
    result = call("plot", "grid", "--out", "grid.svg")
    assert (result.exit_code, result.stderr) == (0, "wrote grid.svg\n")
    assert (home / "grid.svg").read_text().startswith("<?xml")
    assert {p.name for p in (home / "results" / "tiny").iterdir()} == {"tiny.csv", "tiny.json", "tiny.scores.h5"}


def test_running_again_gives_the_same_bytes(scored):
    files = sorted((scored / "results").rglob("tiny.*"))
    before = [f.read_bytes() for f in files]
    assert call("score", "--benchmark", "tiny", *SCORES).exit_code == 0
    assert [f.read_bytes() for f in files] == before
    (scored / "results" / "tiny" / "tiny.csv").unlink()
    assert call("score", "--benchmark", "tiny", *SCORES).exit_code == 0
    assert [f.read_bytes() for f in files] == before


def test_some_scores_again_replace_their_rows_and_keep_the_others(scored):
    file = scored / "results" / "tiny" / "tiny.csv"
    before = file.read_bytes()
    assert call("score", "--score", "energy", "--benchmark", "tiny").exit_code == 0
    rows = read(file)
    assert {row["score"] for row in rows} == {"msp", "vim", "mahalanobis", "energy"}
    assert set(before.splitlines()) <= set(file.read_bytes().splitlines())
    assert call("score", "--score", "vim", "--param", "vim.dim=2", "--benchmark", "tiny").exit_code == 0
    assert {row["params"] for row in read(file) if row["score"] == "vim"} == {"dim=0", "dim=2"}


def test_results_of_other_caches_are_dropped_and_said(scored):
    call("cache", "remove", "--model", "tiny", "--dataset", "tiny_ood")
    call("extract", "--model", "tiny", "--dataset", "tiny_ood", "--limit", 5)
    result = call("score", "--score", "energy", "--benchmark", "tiny")
    assert "made from other caches; its rows are dropped" in result.stderr
    rows = read(scored / "results" / "tiny" / "tiny.csv")
    assert {row["score"] for row in rows} == {"energy"}
    assert {(row["note"], json.loads(row["remarks"])[0]) for row in rows} == {("", "trial: --limit 5")}


@pytest.mark.parametrize("format", ["markdown", "latex", "csv", "html", "json", "plain"])
def test_every_table_format(scored, format):
    result = call("table", "--format", format, "--layout", "all")
    assert result.exit_code == 0
    assert "ViM" in result.stdout or "vim" in result.stdout
    assert result.stdout.endswith("\n")
    assert call("table", "--format", format, "--layout", "all", "--out", "t.txt").stdout == ""
    assert (scored / "t.txt").read_text() == result.stdout


def test_a_missing_ood_dataset_leaves_the_mean_empty(home):
    for dataset in ("tiny_train", "tiny_test", "tiny_ood"):
        call("extract", "--model", "tiny", "--dataset", dataset)
    text = (
        (home / "catalog.yaml").read_text().replace("far:\n      - tiny_ood", "far:\n      - tiny_ood\n      - absent")
    )
    (home / "catalog.yaml").write_text(text.replace("datasets:\n", "datasets:\n  absent: {title: Absent}\n", 1))
    result = call("score", "--score", "msp", "--benchmark", "tiny")
    assert result.exit_code == 0
    assert "no cache of absent; means that need them stay empty" in result.stderr
    rows = read(home / "results" / "tiny" / "tiny.csv")
    assert [row["ood"] for row in rows] == ["tiny_ood"]


def test_imported_features_without_head_leave_empty_cells(home):
    rng = np.random.default_rng(0)
    for name, n in (("train", 40), ("test", 20), ("ood", 20)):
        np.savez(f"{name}.npz", features=rng.normal(size=(n, 6)))
        result = call("import", "--model", "ours", "--dataset", f"tiny_{name}", f"{name}.npz", "--pretext", "hybrid")
        assert result.exit_code == 0, result.stderr
    result = call("score", "--all", "--score", "residual", "--score", "msp", "--score", "mahalanobis")
    assert result.exit_code == 0, result.stderr
    assert "left empty: msp (no logits), mahalanobis (no labels on ID train)" in result.stderr
    rows = read(home / "results" / "tiny" / "ours.csv")
    assert {row["pretext"] for row in rows} == {"hybrid"}
    assert {row["score"]: bool(row["auroc"]) for row in rows} == {"residual": True, "msp": False, "mahalanobis": False}


@pytest.mark.parametrize("what", ["models", "datasets", "benchmarks", "scores"])
def test_lists_as_text_and_json(home, what):
    records = json.loads(call("list", what, "--json").stdout)
    assert all(record["name"] for record in records)
    text = call("list", what).stdout
    assert all(record["name"] in text for record in records)


def test_cache_list_verify_and_remove(scored):
    listed = json.loads(call("cache", "list", "--json").stdout)
    assert [r["name"] for r in listed] == ["tiny/tiny_ood", "tiny/tiny_test", "tiny/tiny_train"]
    assert call("cache", "verify").exit_code == 0
    file = scored / "cache" / "tiny" / "tiny_test.h5"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    result = call("cache", "verify")
    assert result.exit_code == 1
    assert "do not match their checksums" in result.stderr
    assert str(file.relative_to(scored)) in result.stderr
    score = call("score", "--benchmark", "tiny", *SCORES)
    assert score.exit_code == 1
    assert "do not match their checksums" in score.stderr
    mine = scored / "cache" / "tiny" / "heads"
    mine.mkdir()
    (mine / "mine.h5").write_bytes((scored / "cache" / "tiny" / "head.h5").read_bytes())
    assert "stay" not in call("cache", "remove", "--model", "tiny", "--dataset", "tiny_ood").stderr
    result = call("cache", "remove", "--model", "tiny")
    assert result.exit_code == 0
    note = "note: heads of 'tiny' stay (mine); to remove them, delete the folder 'cache/tiny/heads'"
    assert result.stderr.splitlines()[-1] == note
    assert [path.name for path in mine.parent.iterdir()] == ["heads"]


BAD = [
    (["score"], 2, "nothing is asked for"),
    (["score", "--all"], 1, "there are no caches of any benchmark"),
    (["score", "--score", "vimm"], 2, "there is no score 'vimm'. Did you mean 'vim'"),
    (["score", "--benchmark", "imagnet"], 2, "there is no benchmark 'imagnet'. Did you mean 'imagenet'"),
    (["score", "--model", "nobody"], 2, "there is no cached model 'nobody'"),
    (["score", "--all", "--param", "vim"], 2, "is not a parameter"),
    (["score", "--all", "--param", "vim.size=3"], 2, "has no parameter 'size'"),
    (["score", "--all", "--threads", "0"], 2, "at least 1"),
    (["score", "--all", "--scores-from", "missing.py"], 2, "the file with scores does not exist"),
    (["table"], 1, "there are no results"),
    (["table", "--format", "word"], 2, "there is no table format 'word'"),
    (["table", "--benchmark", "tiny"], 1, "the benchmark 'tiny' has no results"),
    (["table", "--benchmark", "tinny"], 2, "Did you mean 'tiny'"),
    (["plot", "grid"], 1, "there are no results"),
    (["plot", "pie"], 2, "there is no plot 'pie'"),
    (["extract", "--model", "beitv3"], 2, "there is no model 'beitv3'. Did you mean 'beit3'"),
    (["extract", "--model", "tiny", "--dataset", "imagenett_o"], 2, "Did you mean 'imagenet_o'"),
    (["extract", "--model", "tiny", "--dataset", "imagenet_o"], 1, "are not on this disk"),
    (["extract", "--model", "timm:no_such_net", "--dataset", "tiny_ood"], 2, "no_such_net"),
    (["extract", "--model", "timm:timm/resnet18", "--dataset", "tiny_ood"], 2, "timm/resnet18"),
    (["extract", "--model", "tiny", "--images", "empty"], 2, "needs exactly one --dataset"),
    (["extract", "--model", "tiny", "--images", "empty", "--dataset", "e"], 1, "holds no images"),
    (["extract", "--model", "tiny", "--images", "nowhere", "--dataset", "e"], 1, "does not exist"),
    (["extract", "--model", "tiny", "--precision", "int8"], 2, "--precision cannot be 'int8'"),
    (
        ["extract", "--model", "tiny", "--on-error", "ignore"],
        2,
        "--on-error cannot be 'ignore'.\n  fix:  use one of: ",
    ),
    (["extract", "--model", "tiny", "--checkpoint", "no.pth", "--dataset", "tiny_ood"], 1, "no.pth"),
    (["extract", "--model", "tiny", "--transform", "zoom", "--dataset", "tiny_ood"], 2, "zoom"),
    (["import", "--model", "m", "--dataset", "d", "no.npz"], 1, "the file does not exist"),
    (["cache", "verify"], 1, "there are no caches"),
    (["cache", "remove", "--model", "m"], 2, "there is no cached model 'm'"),
    (["list", "scores", "--quiet", "--debug"], 2, "contradict"),
    (["list", "models", "--catalog", "no.yaml"], 1, "the catalogue does not exist"),
    (
        ["table", "--layout", "gird"],
        2,
        "--layout cannot be 'gird'. Did you mean 'grid'?\n  fix:  use one of: grid,",
    ),
    (["table", "--positive", "neither"], 2, "--positive cannot be 'neither'.\n  fix:  use one of: id, ood"),
    (["table", "--metric", "auroq"], 1, "there are no results"),
    (["import", "f", "--model", "m", "--dataset", "d", "--pretext", "it's"], 2, "--pretext cannot be 'it's'."),
    (["download", "tiny_ood", "--link", "Hard"], 2, "--link cannot be 'Hard'. Did you mean 'hard'?"),
    (["extractt"], 2, "no such command 'extractt'. Did you mean 'extract'?\n  fix:  "),
    (["list", "model"], 2, "no such command 'model'."),
    (["--al"], 2, "there is no option '--al'"),
    (["score", "--al"], 2, "there is no option '--al'. Did you mean '--all'?\n  fix:  "),
    (["extract"], 2, "--model is missing\n  fix:  "),
    (["import", "--model", "m", "--dataset", "d"], 2, "the argument file is missing"),
    (["score", "--threads", "many"], 2, "--threads takes a whole number"),
    (["extract", "--model", "tiny", "--crop", "half"], 2, "--crop takes a number"),
    (["table", "--layout"], 2, "option '--layout' requires an argument"),
    (["list", "scores", "msp"], 2, "got unexpected extra argument"),
]


@pytest.mark.parametrize(("args", "code", "message"), BAD, ids=[" ".join(b[0]) for b in BAD])
def test_bad_input_gets_one_message(home, args, code, message):
    (home / "empty").mkdir()
    result = call(*args)
    assert result.exit_code == code, result.stderr
    assert result.stderr.count("error:") == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("group", [[], ["list"], ["cache"]], ids=" ".join)
def test_a_group_without_a_command_shows_its_help(home, group):
    result = call(*group)
    assert result.exit_code in (0, 2)
    assert "Commands:" in result.output
    assert "error" not in result.stderr


def test_a_benchmark_without_ood_datasets(home):
    (home / "bad.yaml").write_text(
        "benchmarks:\n  b: {id_train: digits_train, id_test: digits_test, ood: {near: []}}\n"
    )
    result = call("list", "benchmarks", "--catalog", "bad.yaml")
    assert result.exit_code == 1
    assert "the benchmark 'b' has no OOD dataset" in result.stderr


def test_debug_shows_the_traceback(home):
    command = [sys.executable, "-m", "moodbench", "table", "--debug"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" in result.stderr
    assert "ResultsError" in result.stderr


def test_ctrl_c_exits_with_130(home, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("moodbench.commands.extract.extract_features", interrupt)
    assert call("extract", "--model", "tiny").exit_code == 130


def test_ctrl_c_before_the_command_begins(home, monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("moodbench.cli.app", interrupt)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to go on\n"


def test_a_closed_pipe_is_no_traceback(scored):
    command = f"{sys.executable} -m moodbench table --layout all --format html | head -c 10"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=os.environ)
    assert len(result.stdout) == 10
    assert result.stderr == ""


@pytest.mark.parametrize("command", [[], ["list"], ["cache"], *COMMANDS], ids=" ".join)
def test_every_command_has_help(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout) > 200


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_ends_its_text_with_an_example_that_parses(home, command):
    """The example is run; a wrong option would exit with 2 and usage."""
    text = " ".join(call(*command, "--help").stdout.split())
    example = re.search(r"Example: moodbench (.*?) Options:", text)
    assert example, text
    args = example[1].split()
    assert args[: len(command)] == command
    assert call(*args, "--help").exit_code == 0
    for option in re.findall(r"--[a-z-]+", example[1]):
        assert option in text


def test_commands_are_listed_in_the_order_of_use():
    text = call("--help").stdout.split("Commands:")[1]
    names = re.findall(r"^  (\w+) ", text, flags=re.MULTILINE)
    assert names == [
        "demo",
        "list",
        "download",
        "verify",
        "extract",
        "import",
        "cache",
        "probe",
        "score",
        "table",
        "plot",
    ]


def test_version():
    assert re.fullmatch(r"moodbench \d+\.\d+\.\d+\S*\n", call("--version").stdout)


def test_the_catalogue_option_and_the_common_folders(home, monkeypatch, catalog):
    monkeypatch.delenv("MOODBENCH_CATALOG")
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood").exit_code == 2
    options = ["--catalog", catalog, "--cache-dir", "elsewhere"]
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood", *options).exit_code == 0
    assert (home / "elsewhere" / "tiny" / "tiny_ood.h5").exists()
    monkeypatch.setenv("MOODBENCH_CACHE_DIR", "elsewhere")
    assert "tiny_ood" in call("cache", "list").stdout


PLUGIN = """
from dataclasses import dataclass

import torch

from moodbench.scores.base import SCORES, Score


@SCORES.register("plugin_norm")
@dataclass
class PluginNorm(Score):
    title = "Plug-in norm"
    family = "feature"
    paper = "An example, 2026"

    def score(self, block):
        return torch.linalg.vector_norm(block.features, dim=1)
"""


def test_scores_from_a_file(scored):
    (scored / "plugin.py").write_text(PLUGIN)
    args = [sys.executable, "-m", "moodbench", "score", "--benchmark", "tiny", "--score", "plugin_norm"]
    done = subprocess.run([*args, "--scores-from", "plugin.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Plug-in norm" in call("table").stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_done_without(home, closed):
    command = f"{sys.executable} -m moodbench verify digits_faces {closed}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("digits_faces" in result.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_a_locale_without_utf8_is_one_message(home, pictures):
    (home / "é").symlink_to(pictures)
    (home / "own.yaml").write_text("datasets: {own: {title: Own, path: é}}", encoding="utf-8")
    args = [sys.executable, "-m", "moodbench", "verify", "own", "--catalog", "own.yaml"]
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run(args, capture_output=True, text=True, check=False, env=env)
    assert result.returncode == 1
    assert result.stderr.startswith("error: a name cannot be written in this system's encoding")


@pytest.mark.parametrize("args", ["table", "list scores --json", "--help"])
def test_a_full_standard_output_is_one_message(scored, args):
    command = f"{sys.executable} -m moodbench {args} > /dev/full"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("error:") == 1
    assert "Traceback" not in result.stderr


def test_one_bad_cache_does_not_stop_the_others(scored):
    call("extract", "--model", "tiny", "--benchmark", "tiny", "--variant", "other", "--quiet")
    file = scored / "cache" / "tiny" / "tiny_ood.h5"
    file.write_bytes(file.read_bytes()[:3000])
    result = call("score", "--benchmark", "tiny", "--score", "msp")
    assert result.exit_code == 1
    assert "cannot score tiny on tiny" in result.stderr
    assert "scored tiny@other on tiny" in result.stderr
    assert (scored / "results" / "tiny" / "tiny@other.csv").exists()


def test_one_bad_score_does_not_stop_the_others(scored):
    (scored / "bad.py").write_text(
        PLUGIN.replace("return torch.linalg.vector_norm(block.features, dim=1)", "return 1 / 0")
    )
    args = [
        sys.executable,
        "-m",
        "moodbench",
        "score",
        "--benchmark",
        "tiny",
        "--score",
        "plugin_norm",
        "--score",
        "msp",
    ]
    done = subprocess.run([*args, "--scores-from", "bad.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "left empty: plugin_norm (failed: ZeroDivisionError: division by zero)" in done.stderr


def test_row_scores_do_not_grow_and_a_foreign_file_is_refused(scored):
    file = scored / "results" / "tiny" / "tiny.scores.h5"
    for _ in range(2):
        assert call("score", "--benchmark", "tiny", *SCORES, "--save-scores").exit_code == 0
        before = file.read_bytes()
        assert call("score", "--benchmark", "tiny", *SCORES, "--save-scores").exit_code == 0
        assert file.read_bytes() == before
    file.write_text("junk")
    result = call("score", "--benchmark", "tiny", *SCORES, "--save-scores")
    assert (result.exit_code, "the row scores cannot be read" in result.stderr) == (1, True)


@pytest.mark.parametrize("name", ["head", "mean"])
def test_names_that_moodbench_itself_uses(home, name, pictures):
    result = call("extract", "--model", "tiny", "--images", pictures / "ood", "--dataset", name)
    assert (result.exit_code, "moodbench itself uses" in result.stderr) == (2, True)


def test_bundled_images_are_not_replaced(home, pictures):
    result = call("extract", "--model", "tiny", "--images", pictures / "ood", "--dataset", "digits_noise")
    assert (result.exit_code, "has images of its own" in result.stderr) == (2, True)


def test_scores_that_tell_nothing_say_so(home):
    for name in ("train", "test", "ood"):
        np.savez("rows.npz", features=np.ones((30, 4)))
        call("import", "--model", "flat", "--dataset", f"tiny_{name}", "rows.npz")
    assert call("score", "--benchmark", "tiny", "--score", "norm_l2").exit_code == 0
    assert "all rows score the same" in read(home / "results" / "tiny" / "flat.csv")[0]["note"]


def test_verbose_says_where_things_lie(home):
    result = call("cache", "list", "--cache-dir", "elsewhere", "--verbose")
    assert "cache_dir: elsewhere" in result.stderr
    assert "cache_dir" not in call("cache", "list").stderr
