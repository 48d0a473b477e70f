"""Questions that are asked in a process of their own, as they may end it or never come back."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moodbench.diagnosis.words import plain

HERE = Path(__file__).parent


class Child:
    """A script of this folder that prints a JSON object.

    Parameters
    ----------
    script : str
    *args : str
    seconds : float
        How long it may take, from when it is asked for its answer.
    isolated : bool
        Without installed packages and variables of the environment: it is there at once.

    Attributes
    ----------
    late : bool
        Whether it was not waited for any longer.
    """

    def __init__(self, script: str, *args: str, seconds: float, isolated: bool = False) -> None:
        self.seconds = seconds
        self.late = False
        self._fault: str | None = None
        flags: Sequence[str] = ("-I", "-S") if isolated else ("-P",)  # -P: modules beside the script hide no others
        command = [sys.executable, *flags, str(HERE / script), *args]
        quiet = subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                command, stdin=quiet, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
            )
        except OSError as error:
            self._fault = plain(f"it could not be started: {error}")

    def answer(self) -> tuple[Mapping[str, Any], str]:
        """Return the object, and what went wrong; one of them is empty."""
        if self._fault is not None:
            return {}, self._fault
        try:
            out, err = self._process.communicate(timeout=self.seconds)
        except subprocess.TimeoutExpired:
            self.late = True
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk does not hear it
                self._process.communicate(timeout=1)
            return {}, f"no answer within {self.seconds:g} seconds"
        code = self._process.returncode
        try:
            found = json.loads(out.strip().rpartition("\n")[2])
        except ValueError:
            found = None
        if isinstance(found, dict) and code == 0:
            return found, ""
        if code < 0:
            return {}, f"it died of {_signal(-code)}"
        last = plain(err.strip().rpartition("\n")[2])
        return {}, last or f"it ended with {code}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
