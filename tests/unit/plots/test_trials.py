"""Pictures of models that met a part of the images alone say so, whatever their kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moodbench.plots.base import PLOTS, WIDTHS
from moodbench.plots.given import Given
from tests.plots import drawn, texts, world

KINDS = PLOTS.names()


def trial(given: Given, models: tuple[str, ...] = (), limit: str = "--limit 60") -> Given:
    """Return what is given, of which these models, or all, were tried on some images."""

    def tried(row):
        return replace(row, remarks=(f"trial: {limit}",)) if not models or row.model in models else row

    return replace(given, results=[*map(tried, given.results)], noisy=[*map(tried, given.noisy)])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_says_that_it_is_of_a_trial(kind):
    given = replace(world(3, 4, rows=20), width=WIDTHS["text"])
    assert "rial run" not in said(kind, given)
    whole = said(kind, trial(given))
    if kind == "grid":  # which says it of each column, as tables do
        assert "† trial: --limit 60: model00, model01, model02" in whole
    else:
        runs = (
            "Trial run"
            if kind in ("bars", "cost", "depth", "distributions", "embedding", "pr", "roc")
            else "Trial runs"
        )
        assert f"{runs}, on a part of the images (--limit 60)." in whole


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"grid", "depth"}))
def test_of_several_models_the_trials_are_named(kind):
    asked = {"models": ("model00", "model02"), "scores": ("score00", "score01")}
    given = replace(world(3, 2, rows=20), width=WIDTHS["text"])
    given = replace(given, results=[row for row in given.results if row.model in asked["models"]], **asked)
    given = replace(given, noisy=[row for row in given.noisy if row.model in asked["models"]])
    assert "Trial runs, on a part of the images: model02 (--limit 60)." in said(kind, trial(given, ("model02",)))


def test_layers_are_named_as_the_model_whose_they_are():
    given = replace(world(5, 2, rows=20), width=WIDTHS["text"])  # four layers of one line, one of another
    layers = ("model00", "model01", "model02", "model03")
    assert "Trial runs, on a part of the images: line00 (--limit 60)." in said("depth", trial(given, layers))


def test_models_that_are_not_drawn_do_not_count():
    given = world(3, 4, rows=20)
    best = given.pairs(1)[0][0].name
    others = tuple(name for name in ("model00", "model01", "model02") if name != best)
    assert "rial" not in said("bars", trial(given, others))


def said(kind: str, given: Given) -> str:
    """Return everything that is written in a picture, lines joined."""
    return " ".join(" ".join(texts(drawn(kind, given))).split())
