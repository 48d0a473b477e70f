"""`moodbench cache remove` shows what would go, asks, and removes that and nothing else."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from moodbench.cli import app, cache
from moodbench.commands.cache import list_caches
from moodbench.features.heads import write_head
from moodbench.types import Head
from moodbench.workspace import Workspace


def remove(*options, answer=""):
    return CliRunner().invoke(app, ["cache", "remove", *options], input=answer, catch_exceptions=False)


def put(model, *datasets):
    np.savez("rows.npz", features=np.ones((4, 3), np.float32), logits=np.ones((4, 2), np.float32))
    for dataset in datasets:
        command = ["import", "--model", model, "--dataset", dataset, "rows.npz"]
        assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two models with caches, and nobody to ask."""
    monkeypatch.chdir(tmp_path)
    put("alpha", "train", "ood")
    put("beta", "train")
    return tmp_path


@pytest.fixture
def asked(home, monkeypatch):
    """The same, with somebody at a terminal."""
    monkeypatch.setattr(cache, "can_ask", lambda: True)
    return home


def there():
    return [f"{info.model}/{info.dataset}" for info in list_caches(Workspace())]


ALL = ["alpha/ood", "alpha/train", "beta/train"]


def test_without_a_terminal_nothing_is_removed(home):
    result = remove("--model", "alpha")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cache remove would delete 2 caches (")
    assert "--yes removes without asking" in result.stderr
    assert there() == ALL


@pytest.mark.parametrize("yes", ["--yes", "-y"])
def test_yes_does_without_the_question(home, yes):
    result = remove("--model", "alpha", "--dataset", "ood", yes)
    assert result.exit_code == 0
    assert result.stderr == "removed cache/alpha/ood.h5\n"
    assert there() == ["alpha/train", "beta/train"]


def test_several_models_at_once(home):
    assert remove("--model", "alpha", "--model", "beta", "--yes").exit_code == 0
    assert there() == []


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"])
def test_it_is_shown_asked_and_removed(asked, answer):
    write_head(asked / "cache" / "beta" / "head.h5", Head(np.ones((2, 3), np.float32), np.zeros(2, np.float32)))
    result = remove("--model", "beta", answer=answer)
    assert result.exit_code == 0
    assert "beta   train    4" in result.stderr
    assert "its head: cache/beta/head.h5" in result.stderr
    assert "remove a cache (" in result.stderr
    assert "removed cache/beta/head.h5" in result.stderr
    assert there() == ["alpha/ood", "alpha/train"]


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yess\n"])
def test_anything_but_yes_removes_nothing(asked, answer):
    result = remove("--model", "alpha", "--quiet", answer=answer)
    assert result.exit_code == 1
    assert "remove 2 caches (" in result.stderr
    assert there() == ALL


def test_what_comes_after_the_question_stays(asked, monkeypatch):
    def answer(question):
        put("alpha", "late")
        return True

    monkeypatch.setattr(cache, "ask", answer)
    assert remove("--model", "alpha").exit_code == 0
    assert there() == ["alpha/late", "beta/train"]


def test_unknown_names_are_said_before_anything_is_asked(asked):
    for options in (("--model", "alpah"), ("--model", "beta", "--dataset", "ood")):
        result = remove(*options, "--yes")
        assert result.exit_code == 2
        assert "there is no cached" in result.stderr
    assert there() == ALL


def test_ctrl_c_at_the_question_leaves_everything(home):
    try:
        ours, theirs = pty.openpty()
    except OSError as error:  # some containers have none
        pytest.skip(f"no terminal can be made here: {error}")
    command = [sys.executable, "-m", "moodbench", "cache", "remove", "--model", "alpha"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        shown = b""
        end = time.monotonic() + 120
        while b"[y/N]" not in shown and time.monotonic() < end:
            shown += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    os.close(ours)
    assert b"remove 2 caches (" in shown
    assert there() == ALL
