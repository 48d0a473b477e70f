"""What layers lack is said once for each reason, whoever lacks it."""

from __future__ import annotations

from moodbench.evaluation.empties import OfLayers, empty_scores, said_of
from moodbench.types import Result
from moodbench.workspace import ModelName


def result(score, params, auroc, note=""):
    where = {"benchmark": "b", "model": "m", "pretext": "p", "family": "feature", "ood": "o", "group": "all"}
    return Result(score=score, params=params, n_id=1, n_ood=1, auroc=auroc, note=note, **where)


def test_variants_are_told_apart_by_their_parameters():
    rows = [result("knn", "k=1", 0.5), result("knn", "k=9", None, "few"), result("msp", "", None, "no logits")]
    assert empty_scores(rows) == {"knn k=9": "few", "msp": "no logits"}


def test_a_model_says_each_reason_once():
    assert said_of({}) == ""
    assert said_of({"msp": "no logits"}) == "; left empty: msp (no logits)"
    assert said_of({"msp": "no logits", "energy": "no logits"}) == "; left empty: msp, energy (no logits)"
    assert said_of({"msp": "no logits", "vim": "no head", "energy": "no logits"}).splitlines() == [
        "; left empty:",
        "  msp, energy (no logits)",
        "  vim (no head)",
    ]


def test_layers_with_the_same_gaps_are_one_group():
    said = OfLayers()
    for model in ("a@layer-x", "a@layer-y", "b@layer-x"):
        assert said.take(ModelName.parse(model), "near", {"msp": "no logits", "energy": "no logits", "vim": "no head"})
    assert said.take(ModelName.parse("a@layer-y"), "far", {"msp": "no logits"})
    assert said.take(ModelName.parse("a@layer-y+probe"), "far", {"knn": "failed"})
    assert list(said.lines()) == [
        "3 layers of 2 models on near left empty: msp, energy (no logits)",
        "3 layers of 2 models on near left empty: vim (no head)",
        "a@layer-y on far left empty: msp (no logits)",
        "a@layer-y+probe on far left empty: knn (failed)",
    ]


def test_a_reason_of_some_layers_alone_is_said_of_these():
    said = OfLayers()
    said.take(ModelName.parse("a@layer-x"), "near", {"msp": "no logits"})
    said.take(ModelName.parse("a@layer-y"), "near", {"msp": "no logits", "mahalanobis": "no logits"})
    assert list(said.lines()) == [
        "2 layers of a on near left empty: msp (no logits)",
        "a@layer-y on near left empty: mahalanobis (no logits)",
    ]


def test_a_model_of_its_own_is_none_of_them():
    said = OfLayers()
    assert not said.take(ModelName.parse("a@moodv2"), "near", {"msp": "no logits"})
    assert not said.take(ModelName.parse("a@view-odin-0.0014"), "near", {"msp": "no logits"})
    assert list(said.lines()) == []
