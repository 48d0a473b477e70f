"""Few and many models, scores and OOD datasets fit every picture, or are refused with a word; no text is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from moodbench.errors import MoodbenchError
from moodbench.plots.base import PLOTS, WIDTHS
from moodbench.plots.letters import SMALL
from moodbench.tables.order import Titles
from tests.plots import drawn, outside, overlaps, texts, world

KINDS = PLOTS.names()
LONG = "Vision transformer with registers, distilled from a very much larger one"
SIZES = [(3, 4, 3), (97, 1, 2), (1, 79, 2), (3, 4, 20), (1, 1, 1)]
REFUSED = {
    ("accuracy", (1, 79, 2)),
    ("accuracy", (1, 1, 1)),
    ("correlation", (97, 1, 2)),
    ("correlation", (1, 1, 1)),
    ("depth", (97, 1, 2)),
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
    names = {f"{what}{i:02}": f"{LONG} {i}" for what in ("model", "score", "ood") for i in range(4)}
    given = replace(world(3, 4), titles=Titles(names, names, names))
    figure = drawn(kind, given)
    assert overlaps(figure) == []
    if kind != "grid":  # its names stand below one another in a corner of their own
        assert outside(figure) == []


@pytest.mark.parametrize(("models", "scores", "kinds"), [(8, 1, "few"), (2, 4, "few"), (20, 20, "table")])
def test_named_models_and_scores_fit(models, scores, kinds):
    given = world(models, scores, 5)
    names = {
        "models": tuple(f"model{i:02}" for i in range(models)),
        "scores": tuple(f"score{i:02}" for i in range(scores)),
    }
    for kind in ("distributions", "roc", "pr", "bars") if kinds == "few" else ("heatmap",):
        assert outside(drawn(kind, replace(given, **names))) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(3, 4, 3), (1, 4, 1), (4, 6, 10)], ids=str)
def test_no_text_meets_another_or_a_line_and_none_is_small(kind, size):
    given = world(*size, rows=20)
    if (kind, size) == ("accuracy", (1, 4, 1)) or (kind, size) == ("ranks", (1, 4, 1)):
        with pytest.raises(MoodbenchError):
            drawn(kind, given)
        return
    figure = drawn(kind, given)
    assert overlaps(figure) == []
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()]
    assert min(sizes) >= SMALL
    assert any(text.startswith("b: ") for text in texts(figure))


def test_overlaps_are_found():
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1])
    axes.text(0.2, 0.9, "first")
    axes.text(0.21, 0.9, "second")
    axes.text(0.7, 0.7, "struck through", ha="center", va="center")
    figure.draw_without_rendering()
    assert overlaps(figure) == [("first", "second"), ("struck through", "a line")]
