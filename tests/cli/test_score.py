"""`moodbench score`: run again, with other caches, with scores of one's own, and with what is damaged."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import numpy as np

from moodbench.cli.output import Output
from tests.commands import SCORES, call, read


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
    call("cache", "remove", "--model", "tiny", "--dataset", "tiny_ood", "--yes")
    call("extract", "--model", "tiny", "--dataset", "tiny_ood", "--limit", 5)
    result = call("score", "--score", "energy", "--benchmark", "tiny")
    assert "made from other caches; its rows are dropped" in result.stderr
    rows = read(scored / "results" / "tiny" / "tiny.csv")
    assert {row["score"] for row in rows} == {"energy"}
    assert {(row["note"], json.loads(row["remarks"])[0]) for row in rows} == {("", "trial: --limit 5")}


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
    assert "left empty: plugin_norm (failed: ZeroDivisionError: division by zero (bad.py, line " in done.stderr


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


def test_scores_that_tell_nothing_say_so(home):
    for name in ("train", "test", "ood"):
        np.savez("rows.npz", features=np.ones((30, 4)))
        call("import", "--model", "flat", "--dataset", f"tiny_{name}", "rows.npz")
    assert call("score", "--benchmark", "tiny", "--score", "norm_l2").exit_code == 0
    assert "all rows score the same" in read(home / "results" / "tiny" / "flat.csv")[0]["note"]


def test_scores_that_are_left_out_are_listed_by_reason(home):
    rng = np.random.default_rng(0)
    for name in ("train", "test", "ood"):
        np.savez("rows.npz", features=rng.normal(size=(30, 4)))
        call("import", "--model", "net", "--dataset", f"tiny_{name}", "rows.npz")
    said = call("score", "--all").stderr
    assert re.search(r"; left empty:(\n  [^\n]+ \([^\n]+\))+\nleft out", said)
    head, *lines = said[said.index("left out ") :].splitlines()
    assert head.endswith(" scores where a model lacks what they read besides:")
    reasons = dict(line.strip().split(": ") for line in lines if line.startswith("  "))
    listed = [name for names in reasons.values() for name in names.split(", ")]
    assert f"left out {len(listed)} scores" in head
    views = reasons["no view 'NAME' (extract --view NAME)"].split(", ")
    assert {"odin", "rankfeat", "she_noise (she)"} <= set(views)
    assert "ensemble, ensemble_mi" in reasons.values()
    assert len(reasons) < len(listed) / 2


def test_lists_fit_a_terminal_and_other_lines_stay_whole(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    command = "moodbench extract --model a " + "--dataset b " * 9
    said = f"{command}\n  why: " + "a_name, " * 30
    for stream, width in ((Terminal(), 60), (io.StringIO(), None)):
        monkeypatch.setenv("COLUMNS", "60")
        monkeypatch.setattr(sys, "stderr", stream)
        Output().say(said)
        first, *others = stream.getvalue().splitlines()
        assert first == command
        assert sum(line.count("a_name,") for line in others) == 30
        assert [others[0].startswith("  why: a_name"), len(others) == 1] == [True, width is None]
        assert width is None or max(map(len, others)) <= width
        assert all(line.startswith("    a_name") for line in others[1:])
