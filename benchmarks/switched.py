"""Programs here load torch at once; those that extract need the switches of `moodbench extract` before it."""

from __future__ import annotations

import os
import sys

from moodbench.before_torch import SWITCHES, set_switches


def run_switched(program: str) -> None:
    """Run this program anew, with the same arguments, unless the switches were there when it began."""
    if not os.environ.keys() >= SWITCHES.keys():
        set_switches()
        os.execv(sys.executable, [sys.executable, "-m", program, *sys.argv[1:]])
