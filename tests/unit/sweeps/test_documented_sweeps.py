"""The table of sweeps in docs/parameters.md is what the scores say."""

from __future__ import annotations

import re
from pathlib import Path

from moodbench.scores.base import SCORES

PAGE = Path(__file__).parents[3] / "docs" / "parameters.md"


def written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def test_the_table_of_sweeps_is_what_scores_name():
    lines = PAGE.read_text(encoding="utf-8").split("whose choice |")[1].splitlines()
    documented = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 3 and cells[0].startswith("`"):
            sweeps = dict(re.fullmatch(r"`(\w+)` (.*)", one).groups() for one in cells[1].split("; "))
            sweeps = {name: re.sub(r" \(.*?\)|,? and .*", "", values) for name, values in sweeps.items()}
            documented |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), sweeps)
    named = {
        name: {param: ", ".join(map(written, values)) for param, values in score.sweep.items()}
        for name, score in ((name, SCORES.get(name)) for name in SCORES.names())
        if score.sweep
    }
    assert documented == named
