"""Results and row scores for plots: models, scores and OOD datasets of any number, and what a figure holds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from moodbench.plots.base import PAPER, PLOTS, WIDTHS
from moodbench.plots.given import Features, Given, Split
from moodbench.tables.depth import OUTPUT, Depth
from moodbench.types import FAMILIES, MEAN, Result

PRETEXTS = ("classification", "contrastive", "masked image modeling")


def world(models=3, scores=4, oods=3, *, rows=60, **given) -> Given:
    """Return what a plot is given of made-up models, scores and OOD datasets; half of these are near."""
    names = [f"ood{i:02}" for i in range(oods)]
    results = []
    for m in range(models):
        for s in range(scores):
            rest = {
                "benchmark": "b",
                "model": f"model{m:02}",
                "pretext": PRETEXTS[m % 3],
                "score": f"score{s:02}",
                "params": "",
                "family": FAMILIES[s % 4],
                "n_id": rows,
                "id_accuracy": 0.6 + 0.3 * m / models,
            }
            cells = {name: auroc_of(m, s, o) for o, name in enumerate(names)}
            results += [
                Result(ood=n, group=group_of(n), n_ood=rows, **around(a), fpr95=1 - a, **rest) for n, a in cells.items()
            ]
            groups = {"all": names} | {g: [n for n in names if group_of(n) == g] for g in map(group_of, names)}
            for group, some in groups.items():
                mean = float(np.mean([cells[name] for name in some]))
                results.append(Result(ood=MEAN, group=group, n_ood=rows * len(some), **around(mean), **rest))
    noisy = [replace(one, params="label_noise=0.2;label_noise_seed=0") for one in results if one.ood == MEAN]
    rows = {"samples": partial(splits, oods=oods), "features": partial(features, oods=oods), "seconds": seconds}
    rows["depths"] = partial(depths, models)
    return Given(results, **{"width": WIDTHS["column"], "noisy": noisy, **rows, **given})


def auroc_of(model, score, ood) -> float:
    return 0.5 + 0.49 * ((7 * model + 3 * score + 5 * ood) % 23) / 23


def around(value):
    return {"auroc": value, "auroc_low": value - 0.01, "auroc_high": min(value + 0.008, 1.0)}


def group_of(name) -> str:
    return "near" if int(name[3:]) % 2 else "far"


def splits(pairs, oods=3):
    """Return row scores that follow from the names of model and score alone."""
    out = {}
    for model, one in pairs:
        rng = np.random.default_rng([int(model.name[5:]), int(one.score[5:])])
        of_id = rng.normal(2, 1, 60)
        out[model, one] = [Split(f"ood{i:02}", of_id, rng.normal(0, 1 + i / 9, 40)) for i in range(oods)]
    return out


def features(model, most, oods=3):
    rng = np.random.default_rng(int(model.name[5:]))
    ood = {f"ood{i:02}": rng.normal(i + 1, 1, (min(most, 40), 6)).astype(np.float32) for i in range(oods)}
    return Features(rng.normal(0, 1, (min(most, 60), 6)).astype(np.float32), ood)


def depths(models):
    """Return the models as layers of others: four of each, the last its output."""
    places = {m: (f"line{m // 4:02}", m % 4) for m in range(models)}
    return {
        f"model{m:02}": Depth(line, None, OUTPUT if at == 3 else f"blocks.{at}", at, 3)
        for m, (line, at) in places.items()
    }


def seconds(model):
    """Return times of the first scores, in no order."""
    return {(f"score{i:02}", ""): 1e-6 * (1 + 7 * i % 31) for i in range(90)}


def drawn(kind, given) -> Figure:
    """Return the figure of a kind, laid out as on paper."""
    with style.context(["default", PAPER]):
        figure = PLOTS.get(kind).draw(given)
        figure.set_dpi(PAPER["savefig.dpi"])
        figure.draw_without_rendering()
        return figure


def texts(figure) -> list[str]:
    """Return everything that is written in a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


def overlaps(figure) -> list[tuple[str, str]]:
    """Return texts that meet one another, or a line that is drawn over data, by what they say; a laid out figure's."""
    found = []
    unseen = _labels_out_of_sight(figure)
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text not in unseen]
    boxes = [(text.get_text(), _corners(text)) for text in texts if text.get_visible()]
    for number, (said, box) in enumerate(boxes):
        found += [(said, other) for other, its in boxes[number + 1 :] if _meet(box, its)]
        found += [(said, "a line") for part in _segments(figure) if _meet(box, part)]
    return found


def _labels_out_of_sight(figure) -> set[Text]:
    """Return the labels of ticks beyond the ends of an axis, which are there but never drawn."""
    found = set()
    for axis in (axis for axes in figure.findobj(Axes) for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        within = 1e-9 * (high - low)
        beyond = [tick for tick in axis.get_major_ticks() if not low - within <= tick.get_loc() <= high + within]
        found |= {label for tick in beyond for label in (tick.label1, tick.label2)}
    return found


def _corners(text) -> np.ndarray:
    """Return the corners of what a text takes up, (4, 2) in points, turned as it is, half a point less on each side."""
    angle = text.get_rotation()
    text.set_rotation(0)
    level = text.get_window_extent()
    text.set_rotation(angle)
    turned = text.get_window_extent()
    sides = np.array([level.width, level.height]) * 72 / text.figure.dpi / 2 - 0.5
    middle = np.array([turned.x0 + turned.x1, turned.y0 + turned.y1]) * 72 / text.figure.dpi / 2
    turn = np.deg2rad(angle)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return middle + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * sides @ axes


def _segments(figure) -> list[np.ndarray]:
    """Return the parts of curves, intervals and steps as (2, 2) in points; lines behind everything are left out."""
    found = []
    for axes in figure.findobj(Axes):
        paths = [p for lines in axes.collections if isinstance(lines, LineCollection) for p in lines.get_paths()]
        drawn = [axes.transData.transform(path.vertices) for path in paths]
        lines = [line for line in axes.get_lines() if line.get_linestyle() != "None" and line.get_visible()]
        drawn += [line.get_transform().transform_path(line.get_path()).vertices for line in lines]
        window = axes.get_window_extent()
        for points in drawn:
            inside = np.clip(points, (window.x0, window.y0), (window.x1, window.y1)) * 72 / figure.dpi
            found += [np.array(pair) for pair in pairwise(inside)]
    return found


def _meet(a, b) -> bool:
    """Whether two convex shapes meet: no side of either has all of the other beyond it."""
    for shape in (a, b):
        edges = np.roll(shape, -1, axis=0) - shape
        for normal in np.c_[-edges[:, 1], edges[:, 0]]:
            one, other = a @ normal, b @ normal
            if one.max() <= other.min() or other.max() <= one.min():
                return False
    return True


def outside(figure) -> list[float]:
    """Return how far anything reaches beyond the left, lower, right and upper edge, in inches, as far as it shows."""
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    beyond = (-box.x0, -box.y0, box.x1 - width, box.y1 - height)
    return [round(float(one), 3) for one in beyond if one > 0.02]
