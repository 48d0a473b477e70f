"""The cases of every score: those of the modules ``cases_*.py`` beside this one, together."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.parity.case import Case

CASES: dict[str, Case] = {}
"""Score → `Case`."""

for module in sorted(Path(__file__).parent.glob("cases_*.py")):
    CASES |= importlib.import_module(f"tests.parity.{module.stem}").CASES
