"""The log of a study says what a kill, a signal or a fault ended, and which files were written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from moodbench.errors import DataError
from moodbench.studies.leftovers import leftovers, remove
from moodbench.studies.log import Log, files_written, running

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"

KILLED = """
import sys
from pathlib import Path
from moodbench.studies.log import running

with running(Path(sys.argv[1])) as log, log.step("extract digits_mim"):
    print("at work", flush=True)
    sys.stdin.read()
"""


def lines(root):
    """Return what the log says, without the times at the beginning."""
    found = (root / "run.log").read_text(encoding="utf-8").splitlines()
    assert all(re.match(TIME + "  ", line) for line in found)
    return [line.split("  ", 1)[1] for line in found]


@pytest.fixture
def at_work(tmp_path):
    """A process in which a step of the study in `tmp_path` is at work."""
    words = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def test_a_step_that_was_killed_is_noted_by_the_next_run(tmp_path, at_work):
    at_work.send_signal(signal.SIGKILL)
    at_work.wait()
    for _ in range(2):  # and once alone
        with running(tmp_path) as log:
            assert log.alone
        (line,) = lines(tmp_path)
        assert re.fullmatch(rf"cut off extract digits_mim: the run that began it at {TIME} was killed", line)
    assert [*tmp_path.iterdir()] == [tmp_path / "run.log"]


def test_a_step_that_another_run_is_at_was_not_cut_off(tmp_path, at_work):
    with running(tmp_path) as log:
        assert not log.alone
        with log.step("extract digits_mim"):
            log.add("done    something")
    assert lines(tmp_path) == ["done    something"]
    at_work.send_signal(signal.SIGKILL)
    at_work.wait()
    with running(tmp_path):
        pass
    assert lines(tmp_path)[1].startswith("cut off extract digits_mim: ")


def test_what_ends_a_step_otherwise_is_noted_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt), running(tmp_path) as log, log.step("probe a"):
        raise KeyboardInterrupt
    with pytest.raises(DataError), running(tmp_path) as log, log.step("probe b"):  # of which the run itself speaks
        raise DataError("no such thing")
    with running(tmp_path):
        pass
    assert lines(tmp_path) == ["stopped probe a: KeyboardInterrupt"]


def test_what_is_no_name_of_a_step_is_dropped(tmp_path):
    (tmp_path / ".run.log.step").write_bytes(b"\xff\xfe")
    with running(tmp_path):
        pass
    assert [*tmp_path.iterdir()] == []


def test_files_are_known_by_the_log(tmp_path):
    log = Log(tmp_path)
    for line in (
        "done    table a b (1).md (0.4 s)",
        "skipped plot figures/c.png (12.0 s)",
        "done    extract table x.md (3.0 s)",
        "failed  rank r.md: table t.md (0.1 s)",
        "done    report report.html (0.1 s)",
        "done    table ../outside.md (0.1 s)",
        "done    table results/a.csv (0.1 s)",
        "done    table gone.md (0.1 s)",
    ):
        log.add(line)
    written = ["../outside.md", "a b (1).md", "figures/c.png", "gone.md", "report.html", "results/a.csv"]
    assert files_written(tmp_path) == written
    for name in written:
        if name != "gone.md":
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("something")
    left = leftovers(tmp_path, ["report.html"])
    assert left == ["a b (1).md", "figures/c.png"]  # nothing outside, and nothing of the folder's own
    (tmp_path / "figures" / "kept.txt").write_text("of somebody")
    remove(tmp_path, left)
    assert (tmp_path / "figures" / "kept.txt").exists()
    assert leftovers(tmp_path, ["report.html"]) == []


def test_another_name_of_a_file_that_is_asked_for_is_no_leftover(tmp_path):
    Log(tmp_path).add("done    table Grid.md (0.4 s)")
    (tmp_path / "Grid.md").write_text("a table")
    os.link(tmp_path / "Grid.md", tmp_path / "grid.md")  # as on a disk that does not tell them apart
    assert leftovers(tmp_path, ["grid.md"]) == []
