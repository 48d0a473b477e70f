"""`plot sweep`: which lines there are, where their points stand, what is said where nothing can be drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import moodbench
from moodbench.errors import ResultsError, UsageError
from moodbench.plots.sweep import chosen_lines
from moodbench.types import MEAN, Result
from tests.plots import drawn, outside, texts, world

QUIET = {"device": "cpu", "report": lambda line: None}


def row(params, model="m", score="knn", auroc=0.9, **more):
    return Result(
        benchmark="b",
        model=model,
        pretext="contrastive",
        score=score,
        params=params,
        family="feature",
        ood=MEAN,
        group="all",
        n_id=9,
        n_ood=9,
        auroc=auroc,
        **more,
    )


def swept(values, models=1, scores=1, name="k"):
    """What a plot is given where every score was run with every value on every model."""
    base = world(models=models, scores=scores, oods=2, noisy=())
    results = [replace(one, params=f"{name}={value}") for one in base.results for value in values]
    return replace(base, results=results)


def laid_out(given):
    figure = drawn("sweep", given)
    FigureCanvasAgg(figure).draw()  # a legend has its place once it is painted
    return figure


def lines_of(rows, param=None):
    name, lines = chosen_lines("b", rows, param)
    return name, {(line.model, line.score, line.others): sorted(line.points) for line in lines}


def test_a_parameter_with_several_values_has_a_line_for_each_score_and_model():
    rows = [row(f"k={k}", model) for k in (1, 10) for model in ("m", "n")]
    rows += [row("", score="msp"), row("k=3", score="other"), row("k=7", auroc=None), row("tuned=k")]
    assert lines_of(rows) == ("k", {(model, "knn", ""): ["1", "10"] for model in ("m", "n")})


def test_other_parameters_part_the_lines_of_a_grid():
    rows = [row(f"low={low};high={high};seed=0") for low in (1, 2) for high in (3, 4)]
    with pytest.raises(UsageError, match="several parameters were swept: high, low"):
        chosen_lines("b", rows, None)
    assert lines_of(rows, "low")[1] == {("m", "knn", f"high={high};seed=0"): ["1", "2"] for high in (3, 4)}


def test_a_parameter_of_one_score_can_be_named():
    rows = [row(f"k={k}", score=score) for k in (1, 10) for score in ("knn", "nnguide")]
    assert set(lines_of(rows, "nnguide.k")[1]) == {("m", "nnguide", "")}
    assert len(lines_of(rows, "k")[1]) == 2


def test_wrong_labels_begin_with_the_right_ones():
    rows = [row("dim=3"), *(row(f"dim=3;label_noise={p};label_noise_seed=0") for p in (0.1, 0.4)), row("", "n")]
    assert lines_of(rows) == ("label_noise", {("m", "knn", "dim=3"): ["0", "0.1", "0.4"]})


def test_several_seeds_are_no_sweep():
    with pytest.raises(ResultsError, match="no results with several values of any parameter"):
        chosen_lines("b", [row("seed=0"), row("seed=1"), row("seed=0..4")], None)


@pytest.mark.parametrize(("param", "fix"), [("k", "--param knn.k=1,10,100"), ("label_noise", "--label-noise 0.1,0.2")])
def test_what_was_not_swept_is_said_with_what_to_run(param, fix):
    with pytest.raises(ResultsError, match=f"several values of the parameter '{param}'") as caught:
        chosen_lines("b", [row("")], param)
    assert str(caught.value.fix).endswith(fix)


@pytest.mark.parametrize(
    ("values", "scale", "ticks"),
    [
        ((1, 10, 100), "log", ["1", "10", "100"]),
        ((0.8, 0.9), "linear", ["0.8", "0.9"]),
        ((0, 256, 512), "linear", ["0", "256", "512"]),
        (("True", "False"), "linear", ["False", "True"]),
    ],
)
def test_values_stand_where_they_are_and_far_apart_on_a_logarithmic_axis(values, scale, ticks):
    given = swept(values)
    (axes,) = drawn("sweep", given).axes
    assert axes.get_xscale() == scale
    assert [text.get_text() for text in axes.get_xticklabels()] == ticks
    (line,) = axes.lines
    means = [one for one in given.results if (one.ood, one.group) == (MEAN, "all")]
    assert sorted(line.get_ydata()) == sorted(100 * one.auroc for one in means)
    assert len(axes.collections) == 1  # the interval


def test_one_panel_holds_what_it_can_tell_apart_and_models_have_their_own_else():
    assert len(drawn("sweep", swept((1, 2), models=2, scores=4)).axes) == 1
    figure = laid_out(swept((1, 2), models=3, scores=4))
    assert len(figure.axes) == 3
    assert not outside(figure)
    with pytest.raises(UsageError, match="9 lines do not fit one picture"):
        drawn("sweep", swept((1, 2), scores=9))


def test_lines_are_called_by_what_differs():
    assert any(text.endswith(": mean AUROC of score00 on model00") for text in texts(drawn("sweep", swept((1, 2)))))
    assert {"score00", "score01"} <= set(texts(drawn("sweep", swept((1, 2), scores=2))))
    assert {"model00", "model01"} <= set(texts(drawn("sweep", swept((1, 2), models=2))))
    grid = swept(("1;high=3;low=0", "1;high=4;low=0", "2;high=3;low=0", "2;high=4;low=0"))
    assert {"score00 (high=3)", "score00 (high=4)"} <= set(texts(drawn("sweep", replace(grid, param="k"))))


@pytest.mark.parametrize("width", [2.5, 3.25, 6.875])
def test_nothing_is_cut_off(width):
    figure = laid_out(replace(swept((1, 10, 100), models=2, scores=4), width=width))
    assert not [text for text in outside(figure) if not text.isdigit()]  # ticks beyond the ends are not painted


def test_results_are_drawn_and_equal_ones_give_equal_files(space, tmp_path):
    how = {"model": "net", "benchmark": "b", "workspace": space}
    moodbench.score(score="knn", params={"knn": {"k": [1, 5, 25]}}, **how, **QUIET)
    moodbench.score(score="rmds", label_noise=[0.2, 0.4], **how, **QUIET)
    files = [
        moodbench.plot("sweep", benchmark="b", param=param, out=tmp_path / f"{number}.svg", workspace=space)
        for param in ("k", "label_noise")
        for number in (f"{param}1", f"{param}2")
    ]
    contents = [file.read_bytes() for file in files]
    assert contents[0] == contents[1] != contents[2] == contents[3]
    with pytest.raises(UsageError, match="'plot grid' takes no --param"):
        moodbench.plot("grid", benchmark="b", param="k", workspace=space)
    with pytest.raises(UsageError, match="'plot sweep' takes no --ood"):
        moodbench.plot("sweep", benchmark="b", ood="far", param="k", workspace=space)
