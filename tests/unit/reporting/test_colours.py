"""Families have the same colours on the page as in tables and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import moodbench.reporting
from moodbench.tables.order import COLOURS
from moodbench.types import FAMILIES


def test_every_family_has_its_colour():
    sheet = (Path(moodbench.reporting.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    found = dict(re.findall(r"\.([\w-]+) \{ --hue: (#\w+) \}", sheet))
    assert found == {family.replace("+", "-"): colour for family, colour in COLOURS.items()}
    assert tuple(COLOURS) == FAMILIES
