"""The critical-difference diagram: what is joined, what is averaged, and what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from moodbench.average_ranks import AverageRanks
from moodbench.errors import ResultsError
from moodbench.plots.base import picture
from moodbench.plots.diagram import Diagram
from moodbench.plots.given import Given
from moodbench.plots.ranks import _diagram, _values
from tests.tables import TITLES, result

MODELS, SCORES, OODS = ("vit", "moco", "beit"), ("msp", "energy", "knn"), ("texture", "ninco", "places")


def rows(*, models=MODELS, scores=SCORES, oods=OODS, benchmark="imagenet", names=str):
    rng = np.random.default_rng(0)
    return [
        result(names(m), s, round(float(rng.uniform(0.5, 1)), 6), ood=o, group="far", benchmark=benchmark)
        for m in models
        for s in scores
        for o in oods
    ]


def texts(given):
    return picture("ranks", given, "svg").decode()


def diagram(ranks, critical):
    found = AverageRanks(np.array(ranks), np.array(ranks), 3, 0.01, critical)
    return Diagram("Models", "", 3, [str(r) for r in ranks], found, np.argsort(ranks).tolist())


def test_bars_join_what_is_closer_than_the_critical_difference_and_are_in_no_longer_one():
    assert diagram([4.0, 1.0, 2.0, 3.0], 1.5).alike == [(0, 1), (1, 2), (2, 3)]
    assert diagram([1.0, 1.2, 3.0, 3.1], 1.0).alike == [(0, 1), (2, 3)]
    assert diagram([1.0, 2.0, 3.0], 5.0).alike == [(0, 2)]
    assert diagram([1.0, 2.0, 3.0], 0.5).alike == []


def test_ranks_are_those_of_means_over_what_all_have():
    given = Given([row for row in rows() if (row.model, row.score) != ("vit", "knn")], TITLES)
    values, datasets = _values(given)
    one = _diagram(given, values, datasets, "model")
    assert (one.datasets, one.over) == (3, "by the mean over 2 scores")
    table = [
        [np.mean([r.auroc for r in given.results if (r.model, r.ood) == (m, o) and r.score != "knn"]) for m in MODELS]
        for o in OODS
    ]
    wanted = np.mean([1 + (np.array(line)[None, :] > np.array(line)[:, None]).sum(axis=1) for line in table], axis=0)
    np.testing.assert_allclose(one.found.ranks, wanted)
    assert [one.names[i] for i in range(3)] == ["ViT-B/16", "MoCo v3", "BEiT v2"]


def test_several_benchmarks_and_some_datasets():
    given = Given([*rows(), *rows(benchmark="other", oods=("ninco",))], TITLES)
    assert _values(given)[1] == 4
    assert _values(Given(given.results, TITLES, oods=("ninco",)))[1] == 2
    assert texts(given).startswith("<?xml")


@pytest.mark.parametrize("width", [None, "text", 2.0])
def test_equal_input_gives_equal_bytes_whatever_the_names(width):
    for names in (str, lambda m: f"a very long title of the model {m} $x_1$", lambda m: m * 12):
        given = Given(rows(names=names))
        assert picture("ranks", given, "png", width) == picture("ranks", given, "png", width)


def test_a_single_model_has_ranks_of_scores_alone():
    given = Given(rows(models=("vit",)), TITLES)
    values, datasets = _values(given)
    assert _diagram(given, values, datasets, "model") is None
    assert _diagram(given, values, datasets, "score").over == "with ViT-B/16 alone"
    assert texts(given)


def test_too_little_is_refused():
    for some in (rows(oods=("texture",)), rows(models=("vit",), scores=("msp",))):
        with pytest.raises(ResultsError, match="ranks need two models or scores, and two OOD datasets"):
            texts(Given(some, TITLES))
