"""Few and many models, scores and OOD datasets fit every picture, or are refused with a word; no text is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moodbench.errors import MoodbenchError
from moodbench.plots.base import PLOTS, WIDTHS
from moodbench.tables.order import Titles
from tests.plots import drawn, outside, world

KINDS = PLOTS.names()
SIZES = [(3, 4, 3), (97, 1, 2), (1, 79, 2), (3, 4, 20), (1, 1, 1)]
REFUSED = {
    ("accuracy", (1, 79, 2)),
    ("accuracy", (1, 1, 1)),
    ("correlation", (97, 1, 2)),
    ("correlation", (1, 1, 1)),
    ("grid", (97, 1, 2)),
    ("ranks", (1, 1, 1)),
    ("sweep", (1, 79, 2)),
}
ONLY_WIDER = {("grid", (1, 79, 2))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "width"), [(size, "column") for size in SIZES] + [((1, 79, 2), "text")], ids=str)
def test_everything_is_inside_the_picture(kind, width, size):
    given = replace(world(*size, rows=20), width=WIDTHS[width])
    if (kind, size) in REFUSED or (width == "column" and (kind, size) in ONLY_WIDER):
        with pytest.raises(MoodbenchError):
            drawn(kind, given)
    else:
        assert outside(drawn(kind, given)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_long_names_are_inside_the_picture(kind):
    long = "Vision transformer with registers, distilled from a very much larger one"
    names = {f"{what}{i:02}": f"{long} {i}" for what in ("model", "score", "ood") for i in range(4)}
    given = replace(world(3, 4), titles=Titles(names, names, names))
    if kind != "grid":  # its names stand below one another in a corner of their own
        assert outside(drawn(kind, given)) == []


@pytest.mark.parametrize(("models", "scores", "kinds"), [(8, 1, "few"), (2, 4, "few"), (20, 20, "table")])
def test_named_models_and_scores_fit(models, scores, kinds):
    given = world(models, scores, 5)
    names = {
        "models": tuple(f"model{i:02}" for i in range(models)),
        "scores": tuple(f"score{i:02}" for i in range(scores)),
    }
    for kind in ("distributions", "roc", "pr", "bars") if kinds == "few" else ("heatmap",):
        assert outside(drawn(kind, replace(given, **names))) == []
