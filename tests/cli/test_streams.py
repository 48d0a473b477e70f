"""Interrupts, tracebacks, and streams that are closed, full or of another encoding."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from moodbench.cli import main
from tests.commands import call


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
