"""Tasks given to processes of which some die."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from multiprocessing import resource_tracker, util

import pytest

from moodbench.errors import DataError, ModelError, MoodbenchError, UsageError
from moodbench.pools.contract import Lost
from moodbench.pools.dispatch import TRIES, Dispatcher
from moodbench.pools.local import LocalPool
from tests.pools import Doubling, cannot_be_made, ends_at_once


@pytest.fixture
def dispatched(tmp_path):
    """A function that gives tasks to two processes, and returns the answers and the lines that were reported."""

    def run(*tasks, size=2, maker=None):
        answers, lines, rows = {}, [], []
        maker = maker or Doubling(tmp_path)
        with LocalPool([maker] * size) as pool:
            work = Dispatcher(
                pool,
                name=lambda task: f"task '{task}'",
                held=lambda error: "BlockingIOError" in str(error),
                report=lines.append,
            )
            work.run(tasks, lambda task, answer: answers.__setitem__(task, answer), rows.append)
        return answers, lines

    return run


def test_every_task_is_answered_once_and_not_here(dispatched):
    answers, lines = dispatched(*range(20))
    assert {task: answer for task, (answer, _) in answers.items()} == {i: 2 * i for i in range(20)}
    assert os.getpid() not in {process for _, process in answers.values()}
    assert lines == []


def test_the_task_of_a_process_that_is_killed_goes_to_another(dispatched):
    answers, lines = dispatched(1, "die-once a", 2, 3, "die-once b", 4)
    assert len(answers) == 6
    assert len(lines) == 2
    assert "was killed (SIGKILL" in lines[0]
    assert "task 'die-once " in lines[0]
    assert "goes to another" in lines[0]


def test_a_task_that_costs_too_many_workers_is_named(dispatched):
    with pytest.raises(MoodbenchError, match=f"task 'die' cannot be computed: it has cost {TRIES} workers"):
        dispatched(1, 2, "die")


def test_an_error_of_moodbench_comes_back_as_it_was(dispatched):
    with pytest.raises(DataError) as caught:
        dispatched("refuse a.png")
    assert str(caught.value) == "this cannot be read\n  file: a.png\n  fix:  mend it"


def test_an_error_with_arguments_of_its_own_comes_back_with_its_words(dispatched):
    with pytest.raises(UsageError, match="c") as caught:
        dispatched("unknown c")
    assert caught.value.exit_code == 2


def test_a_bug_keeps_its_traceback(dispatched):
    with pytest.raises(RuntimeError, match="ZeroDivisionError: here") as caught:
        dispatched("bug here")
    assert "raise ZeroDivisionError" in "".join(caught.value.__notes__)


def test_what_somebody_else_holds_is_tried_again(dispatched):
    answers, lines = dispatched("held x", 1)
    assert answers["held x"][0] == "held"
    assert lines == []


def test_workers_that_never_get_ready_are_given_up(dispatched):
    with pytest.raises(MoodbenchError, match="no worker gets ready") as caught:
        dispatched(1, size=1, maker=ends_at_once)
    assert "ended by itself (exit code 3)" in str(caught.value)


def test_a_process_that_is_killed_as_it_begins_is_told_however_much_it_was_to_get(tmp_path, monkeypatch):
    started = util.spawnv_passfds

    def killed(*args):
        process = started(*args)
        os.kill(process, signal.SIGKILL)
        return process

    resource_tracker.ensure_running()  # a process of the same kind, which is not meant
    monkeypatch.setattr(util, "spawnv_passfds", killed)
    pool = LocalPool([partial(Doubling(tmp_path), bytes(1 << 20))])
    beginning = threading.Thread(target=pool.__enter__, daemon=True)
    beginning.start()
    beginning.join(60)
    assert not beginning.is_alive()
    assert pool.events(60) == [Lost(0, "was killed (SIGKILL, as the system does when memory runs out)")]


def test_why_a_worker_cannot_be_made_is_said(dispatched):
    with pytest.raises(DataError, match="no such folder"):
        dispatched(1, maker=cannot_be_made)


def test_what_cannot_be_pickled_is_refused():
    with pytest.raises(ModelError, match="cannot be sent to another process"):
        LocalPool([lambda: None])


def test_after_an_error_the_same_workers_take_other_tasks(tmp_path):
    answers = {}
    with LocalPool([Doubling(tmp_path)] * 2) as pool:
        work = Dispatcher(pool, name=str)
        with pytest.raises(DataError):
            work.run([1, "refuse x", 2, 3, 4, 5], lambda task, answer: None)
        work.run([6, 7, 8], lambda task, answer: answers.__setitem__(task, answer[0]))
    assert answers == {6: 12, 7: 14, 8: 16}
