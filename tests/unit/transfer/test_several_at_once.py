"""Threads and processes that fetch one file, the lock between them, and killed ones."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from moodbench import lock as lock_module
from moodbench.lock import exclusive, lock_file
from moodbench.transfer.http import fetch
from tests.server import Refusal
from tests.transfers import BODY, failure, known, left_beside, wait_for

CHILD = """
import sys
from pathlib import Path
from moodbench.transfer.http import fetch
print(fetch(sys.argv[1], Path(sys.argv[2])).fetched_bytes, flush=True)
"""


def child(url: str, target: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CHILD, url, str(target)], stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_a_file_once(server, target):
    release = threading.Event()
    page = server.add("/a.bin", BODY, hold=lambda: release.wait(60))
    with child(server.url("/a.bin"), target) as other:
        wait_for(lambda: page.asked, other)
        said = []
        got = fetch(server.url("/a.bin"), target, report=lambda line: (said.append(line), release.set()))
        assert other.communicate()[0] == f"{len(BODY)}\n"
    assert said == ["'a.bin' is being fetched by another process: waiting for it"]
    assert (got.fetched_bytes, len(page.asked)) == (0, 1)
    assert left_beside(target) == set()


def test_two_threads_fetch_a_file_once(server, target):
    release, got = threading.Event(), []
    page = server.add("/a.bin", BODY, hold=lambda: release.wait(60))
    first = threading.Thread(target=lambda: got.append(fetch(server.url("/a.bin"), target).fetched_bytes))
    first.start()
    wait_for(lambda: page.asked)
    got.append(fetch(server.url("/a.bin"), target, report=lambda line: release.set()).fetched_bytes)
    first.join()
    assert sorted(got) == [0, len(BODY)]


def test_who_waits_gets_its_turn_when_the_other_fails(server, target):
    release, lost = threading.Event(), []
    page = server.add("/a.bin", BODY, hold=lambda: release.wait(60), refusals=[Refusal(404)])
    first = threading.Thread(target=lambda: lost.append(failure(server.url("/a.bin"), target)))
    first.start()
    wait_for(lambda: page.asked)
    assert fetch(server.url("/a.bin"), target, report=lambda line: release.set()).fetched_bytes == len(BODY)
    first.join()
    assert len(lost) == 1


def test_a_lock_is_for_one_and_leaves_nothing(tmp_path):
    file = tmp_path / "new" / "f"
    with exclusive(file, tidy=True):
        assert lock_file(file).exists()
        with pytest.raises(BlockingIOError), exclusive(file):
            pass
    assert not lock_file(file).exists()
    with exclusive(file):
        pass


def test_a_lock_does_not_follow_a_link(tmp_path):
    file, elsewhere = tmp_path / "f", tmp_path / "elsewhere"
    for there in (False, True):
        lock_file(file).symlink_to(elsewhere)
        with pytest.raises(OSError, match=r"'\.f\.lock' is a link, remove it"), exclusive(file, tidy=True):
            pass
        assert elsewhere.exists() == there
        lock_file(file).unlink()
        elsewhere.touch()
    with exclusive(file, tidy=True):
        pass


def test_a_lock_on_a_file_that_is_removed_meanwhile_does_not_count(tmp_path, monkeypatch):
    file, lockf, tries = tmp_path / "f", lock_module.fcntl.lockf, []

    def tidied_by_the_last_holder(descriptor, how):
        tries.append(descriptor)
        if len(tries) < 4:
            lock_file(file).unlink()
            if len(tries) > 1:  # somebody else made it anew
                lock_file(file).touch()
        lockf(descriptor, how)

    monkeypatch.setattr(lock_module.fcntl, "lockf", tidied_by_the_last_holder)
    with exclusive(file):
        assert len(tries) == 4
        assert lock_file(file).exists()


def test_a_killed_process_loses_what_is_on_the_line_and_no_more(server, target):
    body = random.Random(2).randbytes(8 << 20)
    chance = random.Random(3)
    stops = [chance.randrange(1 << 18, 1 << 20) for _ in range(4)]
    page = server.add("/a.bin", body, trickle=(32 << 10, 0.001), hangs=[3 << 19] * len(stops))
    for times, stop in enumerate(stops, start=1):
        with child(server.url("/a.bin"), target) as process:
            wait_for(lambda t=times, s=stop: len(page.asked) == t and page.asked[-1].sent >= s, process)
            process.kill()
        assert not target.exists()
    got = fetch(server.url("/a.bin"), target, expected=known(body))
    assert target.read_bytes() == body
    assert got.fetched_bytes < len(body) - sum(stops) + len(stops) * (256 << 10)
    assert page.sent < len(body) + len(stops) * (256 << 10)
    assert left_beside(target) == set()
