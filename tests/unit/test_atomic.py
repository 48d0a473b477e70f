"""What people ask to be written goes where they say: through links, into pipes and devices, whole or not at all."""

from __future__ import annotations

import os
import threading

import pytest

from moodbench.atomic import write_file
from moodbench.errors import ResultsError


def test_a_link_stays_and_leads_to_the_new_content(tmp_path):
    target, link = tmp_path / "there" / "grid.md", tmp_path / "grid.md"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert [file.name for file in target.parent.iterdir()] == ["grid.md"]


def test_a_link_that_leads_nowhere_yet(tmp_path):
    link = tmp_path / "grid.md"
    link.symlink_to(tmp_path / "later.md")
    write_file(link, b"new")
    assert (tmp_path / "later.md").read_text() == "new"


def test_a_pipe_is_written_into(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"a table")
    reader.join(10)
    assert read == [b"a table"]
    assert pipe.is_fifo()


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="cannot be written"):
        write_file(tmp_path, b"a table")
    assert list(tmp_path.iterdir()) == []
