"""Signals: one line and an exit code, whatever a library makes of them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest
import typer
from typer.testing import CliRunner

from moodbench import interrupts
from moodbench.cli import app
from moodbench.cli.output import of_the_system
from moodbench.interrupts import InterruptedBySignal, watching

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_is_an_exception_once(number, code):
    before = signal.getsignal(number)
    with watching() as watch:
        with pytest.raises(InterruptedBySignal) as error:
            signal.raise_signal(number)
        signal.raise_signal(number)  # the shell may send it again: nothing happens
    assert error.value.exit_code == watch.exit_code == code
    assert signal.getsignal(number) == before


def test_a_later_signal_does_not_wait_any_more(monkeypatch):
    monkeypatch.setattr(interrupts, "PATIENCE", -1.0)
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    with watching():
        with pytest.raises(InterruptedBySignal):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert left == [130]


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with watching() as watch:
            signal.raise_signal(signal.SIGHUP)
        assert watch.exit_code is None
    finally:
        signal.signal(signal.SIGHUP, before)


class Swallows:
    """A finaliser, of which Python only prints that its exception was ignored."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_an_interruption_that_was_swallowed_comes_again():
    waiting = threading.Event()
    with watching(), pytest.raises(InterruptedBySignal):
        waiting.wait(20 if Swallows() else 0)


def test_other_threads_have_no_say():
    done = []

    def work():
        with watching() as watch:
            done.append(watch)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(done) == 1


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("converted", [False, True])
def test_a_command_ends_with_one_line(monkeypatch, number, code, converted):
    def interrupted(*_, **__):
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            if converted:
                raise SystemError("initialization of _library raised unreported exception") from None
            raise

    monkeypatch.setattr("moodbench.commands.table.table", interrupted)
    done = CliRunner().invoke(app, ["table"])
    assert (done.exit_code, done.stderr) == (code, "interrupted; run the same command again to go on\n")


BEFORE_ANYTHING = """
import sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            import signal
            signal.raise_signal({number})
sys.meta_path.insert(0, Watch())
from moodbench.__main__ import main
main()
"""


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_while_libraries_are_imported(number, code):
    script = BEFORE_ANYTHING.format(number=int(number))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "interrupted\n")


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "/root/x"),
        OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_the_system_refuses_is_one_message(monkeypatch, error):
    def refused(*_, **__):
        raise error

    monkeypatch.setattr("moodbench.commands.table.table", refused)
    done = CliRunner().invoke(app, ["table"])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: the system refuses: {error.strerror.lower()}\n")
    assert (error.filename is None) or f"file: {error.filename}" in done.stderr


@pytest.mark.parametrize("error", [OSError("h5py says so"), ValueError("a bug"), BrokenPipeError(), typer.Exit(1)])
def test_other_errors_are_bugs(error):
    assert of_the_system(error) is None
