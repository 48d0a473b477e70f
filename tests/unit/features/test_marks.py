"""Marks of living commands stay, those of killed ones go."""

from __future__ import annotations

import os
import signal
import time

from moodbench.features.marks import drop_left_marks, marked


def test_the_mark_of_a_killed_command_goes_with_the_next_one_and_no_other_does(tmp_path):
    folder = tmp_path / "cache"
    child = os.fork()
    if child == 0:
        with marked(folder):
            time.sleep(60)
        os._exit(0)
    end = time.monotonic() + 30
    while not list(folder.glob(".workers.*.lock")) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    theirs = list(folder.iterdir())
    drop_left_marks(folder)
    assert list(folder.iterdir()) == theirs
    with marked(folder) as mark:
        assert mark.exists()
        assert mark not in theirs
    assert list(folder.iterdir()) == theirs
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    drop_left_marks(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_or_no_folder_has_no_mark(tmp_path):
    drop_left_marks(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with marked(tmp_path / "file") as mark:
        assert mark is None
