"""Plots: what is drawn where, and that files are valid and the same twice."""

from __future__ import annotations

import subprocess
import sys

import pytest
from matplotlib import style
from matplotlib.figure import Figure

from moodbench.errors import ResultsError
from moodbench.plots.base import PLOTS, STYLE, as_bytes, picture
from moodbench.plots.given import Given
from moodbench.plots.grid import MARKERS, grid_figure, plot_grid
from moodbench.tables.order import COLOURS, Titles
from moodbench.types import Result

SCORES = [
    ("msp", "probability"),
    ("kl", "probability"),
    ("energy", "logit"),
    ("knn", "feature"),
    ("vim", "feature+logit"),
]
MODELS = [("beit", "masked image modeling"), ("vit", "classification")]


def mean(model, pretext, score, family, auroc, **more) -> Result:
    return Result("b", model, pretext, score, "", family, "mean", "all", 10, 10, auroc=auroc, **more)


def some(missing=(), **more) -> list[Result]:
    return [
        mean(m, p, s, f, 0.6 + 0.05 * i + 0.01 * j, **more)
        for i, (m, p) in enumerate(MODELS)
        for j, (s, f) in enumerate(SCORES)
        if (m, s) not in missing
    ]


def lines(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    return {
        str(line.get_label()): [(round(float(x)), round(float(y), 6)) for x, y in zip(*line.get_data(), strict=True)]
        for line in figure.axes[0].get_lines()
    }


def test_every_score_stands_at_its_model_and_models_follow_their_pretext_task():
    figure = grid_figure(
        some(), titles=Titles(models={"vit": "ViT", "beit": "BEiT"}, scores={"kl": "KL", "msp": "MSP"})
    )
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["ViT", "BEiT"]
    assert lines(figure) == {
        "KL": [(0, 66), (1, 61)],
        "MSP": [(0, 65), (1, 60)],
        "energy": [(0, 67), (1, 62)],
        "knn": [(0, 68), (1, 63)],
        "vim": [(0, 69), (1, 64)],
        "probability mean": [(0, 65.5), (1, 60.5)],
    }


def test_colours_tell_families_and_shapes_tell_scores():
    drawn = [line for line in grid_figure(some()).axes[0].get_lines() if line.get_marker() != "*"]
    assert [line.get_color() for line in drawn] == [COLOURS[family] for _, family in sorted(SCORES, key=_order)]
    assert len({str(line.get_marker()) for line in drawn}) == len(SCORES)
    assert "*" not in {marker for marker, _ in MARKERS}


def _order(pair):
    return list(COLOURS).index(pair[1]), pair[0]


def test_no_two_scores_of_a_model_share_a_place():
    xs = [line.get_xdata()[0] for line in grid_figure(some()).axes[0].get_lines() if line.get_marker() != "*"]
    assert len(set(xs)) == len(SCORES)
    assert xs == sorted(xs)
    assert all(-0.5 < x < 0.5 for x in xs)


def test_a_missing_score_leaves_no_marker_and_no_family_mean():
    found = lines(grid_figure(some(missing=[("vit", "kl")])))
    assert found["kl"] == [(1, 61)]
    assert found["probability mean"] == [(1, 60.5)]


def test_a_model_without_numbers_keeps_its_place():
    rows = [*some(), mean("dino", "self-distillation", "msp", "probability", None, note="no head")]
    figure = grid_figure(rows)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["vit", "dino", "beit"]
    assert [x for x, _ in lines(figure)["msp"]] == [0, 2]


def test_controls_do_not_enter_the_mean_of_a_family():
    rows = [*some(), *(mean(m, p, "random", "probability", 0.5, control=True) for m, p in MODELS)]
    assert lines(grid_figure(rows))["probability mean"] == lines(grid_figure(some()))["probability mean"]


def test_more_scores_than_shapes_are_numbered():
    count = len(MARKERS) + 1
    figure = grid_figure([mean("vit", "classification", f"s{i:02}", "feature", 0.5 + i / 100) for i in range(count)])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()[1:-2]] == [f"{i + 1} s{i:02}" for i in range(count)]
    numbers = {text.get_text(): text.xy[1] for text in figure.axes[0].texts if text.get_text().isdigit()}
    assert numbers == {str(i + 1): pytest.approx(50 + i) for i in range(count)}
    assert [text.get_text() for text in legend.get_texts()[-2:]] == ["mean", "chance"]


def test_intervals_are_bars():
    assert not grid_figure(some()).axes[0].collections
    figure = grid_figure([mean("vit", "classification", "msp", "probability", 0.9, auroc_low=0.88, auroc_high=0.91)])
    (bar,) = figure.axes[0].collections
    ((low, high),) = [segment[:, 1] for segment in bar.get_segments()]
    assert (low, high) == pytest.approx((88, 91))


def test_the_chance_line_is_drawn_only_where_it_is_in_sight():
    assert "chance" not in lines(grid_figure(some()))
    assert "chance" in lines(grid_figure([*some(), mean("x", "hybrid", "msp", "probability", 0.49)]))


def test_the_legend_is_grouped_by_family():
    (legend,) = grid_figure(some()).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("probability", "kl", "msp", "mean"),
        *("logit", "energy"),
        *("feature", "knn"),
        *("feature+logit", "vim"),
    ]


def test_a_trial_is_said_below_the_axes():
    figure = grid_figure(some(remarks=("trial: 5 images",)))
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["vit †", "beit †"]
    assert figure._supxlabel.get_text() == "† trial: 5 images: vit, beit\nStars: means over the scores of a family."


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_files_are_valid_and_the_same_twice(format, start):
    titles = Titles(models={"vit": "$a_1$ & <b> 100 %"})
    with style.context(["default", STYLE]):
        first, second = (as_bytes(grid_figure(some(), titles=titles, title="cost: $5"), format) for _ in range(2))
    assert first.startswith(start)
    assert first == second


def test_letters_that_the_font_lacks_are_no_warning():
    assert as_bytes(grid_figure(some(), title="数字 🦊"), "png")


def test_many_models_and_scores_fit():
    rows = [
        mean(f"model{i}", "classification" if i < 6 else "hybrid", f"score{j}", SCORES[j % 5][1], 0.5 + 0.02 * i)
        for i in range(12)
        for j in range(20)
    ]
    assert picture("grid", Given(rows), "png")  # a warning of the layout would be an error


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ResultsError, match="group 'near'"):
        picture("grid", Given(some(), group="near"), "png")
    with pytest.raises(ResultsError, match="no results"):
        picture("grid", Given([]), "png")


def test_the_registry_has_the_grid():
    assert PLOTS.get("grid") is plot_grid


def test_neither_pyplot_nor_torch_is_imported():
    code = (
        "import sys, moodbench.results, moodbench.tables.formats.base, moodbench.plots.grid\n"
        "assert not {'matplotlib.pyplot', 'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
