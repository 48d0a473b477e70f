"""Tables on narrow terminals: nothing lost, and words whole wherever columns can go on below instead."""

from __future__ import annotations

import re

import pytest

from moodbench.tables.arrange import looking
from moodbench.tables.formats.text import plain_within
from moodbench.tables.grid import grid
from tests.tables import TITLES, result

ROWS = [
    result(m, s, 0.5, auroc_low=0.4, auroc_high=0.6)
    for m in ("vit", "moco", "beit")
    for s in ("msp", "energy", "knn", "vim")
]


@pytest.mark.parametrize("width", [38, 40, 50, 60, 79])
@pytest.mark.parametrize("intervals", [False, True])
def test_lines_fit_and_every_number_is_there(width, intervals):
    table = looking(grid(ROWS, titles=TITLES), 2, intervals)
    text = plain_within([table], width)
    body = text.split("\n\n", 1)[1].split("\n\nPercent")[0]
    assert text.count("50.00") == 2 * len(ROWS)
    if not intervals or width >= 50:
        assert max(map(len, body.splitlines())) <= width


def test_metrics_of_a_model_part_before_words_do():
    text = plain_within([grid(ROWS, titles=TITLES)], 36)
    assert "feature+logit  ViM" in text
    assert len(re.findall(r"^family +score +AUROC ↑$", text, re.MULTILINE)) == 3
    assert len(re.findall(r"^family +score +FPR95 ↓$", text, re.MULTILINE)) == 3
