"""Average ranks of many: a line for each, in order, and what is not told apart from the best is shaded."""

from __future__ import annotations

import numpy as np
import pytest

from moodbench.plots.dots import LINE, dots_height
from moodbench.plots.ranks import MOST, _diagram, _values
from tests.plots import drawn, outside, overlaps, texts, world


@pytest.mark.parametrize("width", [3.25, 6.875])
def test_many_scores_have_a_line_each_with_the_best_above(width):
    given = world(2, 40, 3, rows=20, width=width)
    one = _diagram(given, *_values(given), "score")
    assert one is not None
    figure = drawn("ranks", given)
    assert outside(figure) == []
    assert overlaps(figure) == []
    (axes,) = [axes for axes in figure.findobj(type(figure.axes[0])) if len(axes.texts) > 2 * len(one.order)]
    at = {text.get_text(): text.get_position()[1] for text in axes.texts}
    heights = [at[one.names[place]] for place in one.order]
    assert np.diff(heights) == pytest.approx(LINE)
    dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in dots] == pytest.approx(heights)
    filled = [line.get_markerfacecolor() != "white" for line in dots]
    assert filled == [rank - one.ranks[0] < one.found.critical_difference for rank in one.ranks]
    (shade,) = axes.patches
    for line, inside in zip(dots, filled, strict=True):
        assert (line.get_xdata()[0] < shade.get_x() + shade.get_width()) == inside


def test_a_few_stand_on_both_sides_and_many_in_a_list():
    few, many = (" ".join(texts(drawn("ranks", world(1, n, 3, rows=20)))) for n in (MOST, MOST + 1))
    assert "A bar joins" in few
    assert "Shaded" not in few
    assert "Shaded" in many
    assert "A bar joins" not in many


def test_long_names_take_more_lines():
    given = world(1, MOST + 1, 3, rows=20)
    one = _diagram(given, *_values(given), "score")
    assert one is not None
    assert dots_height(one, 0.5) > dots_height(one, 3.25)
