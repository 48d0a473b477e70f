"""What is special about the subspace scores and those of features and logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moodbench.errors import UsageError
from moodbench.scores.base import create_score
from moodbench.scores.block import Block
from moodbench.scores.conjnorm import LogSumsByLabel
from moodbench.scores.fdbd import inverse_distances
from moodbench.scores.machinery import confidence
from moodbench.scores.machinery.bins import Bins
from moodbench.scores.machinery.class_means import FeatureSumsByPrediction, FeatureSumsWhenCorrect
from moodbench.scores.machinery.reconstruction import Fourier, FourierMoment, principal_count
from moodbench.scores.nac_last import StateCounts, States, interval_edges
from tests.worlds import CannotFitError, fit, make_world


@pytest.fixture(scope="module")
def world():
    return make_world()


def values(name, world, part="ood", **params):
    return fit([name], world, **{name: params})[name].score(world.block(world.tests[part])).double().numpy()


def spearman(a, b):
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    return np.corrcoef(*ranks)[0, 1]


@pytest.mark.parametrize("name", ["she", "hopfield"])
def test_predictions_are_compared_with_labels_of_the_head_only(world, name):
    with pytest.raises(CannotFitError, match="labels are not the head's classes"):
        fit([name], world.with_(labels=world.labels + 1))


def test_she_falls_back_where_no_row_is_predicted_correctly(world):
    swapped = np.where(world.labels == 0, 1, np.where(world.labels == 1, 0, world.labels))
    she = fit(["she"], world.with_(labels=swapped))["she"]  # classes 0 and 1: all rows are wrong
    for label in (0, 1):
        mean = world.train[swapped == label].mean(axis=0)
        np.testing.assert_allclose(she.patterns_[label], mean, rtol=1e-4, atol=1e-5)
    none = np.where(world.labels == 0, 1, world.labels)
    she = fit(["she"], world.with_(labels=none))["she"]
    np.testing.assert_allclose(she.patterns_[0], world.train.mean(axis=0), rtol=1e-4, atol=1e-5)
    assert she.note_ == "1 of 5 classes take the mean of ID train"


def test_he_of_one_stored_pattern_a_class_is_she(world):
    rows = [int(np.flatnonzero(world.labels == k)[0]) for k in range(5)]
    few = world.with_(train=world.train[rows], labels=world.labels[rows])
    np.testing.assert_allclose(values("hopfield", few, beta=0.5), 0.5 * values("she", few), rtol=1e-5)


def test_he_without_stored_patterns_scores_lowest(world):
    few = world.with_(labels=np.where(world.labels == 0, 1, world.labels))
    score = fit(["hopfield"], few)["hopfield"]
    block = world.block(world.tests["test"])
    assert torch.equal(score.score(block) == -torch.inf, block.predicted == 0)
    assert score.note_ == "1 of 5 classes have no stored patterns: their rows score -inf"
    with pytest.raises(CannotFitError, match="no ID train row is predicted correctly"):
        fit(["hopfield"], world.with_(labels=(world.labels + 1) % 5))


def test_fdbd_leaves_out_boundaries_between_equal_rows_of_the_head(world):
    double = world.with_(weight=np.vstack([world.weight, world.weight[:1]]), bias=np.append(world.bias, world.bias[0]))
    np.testing.assert_allclose(
        inverse_distances(torch.from_numpy(double.weight))[0, [0, 5]], [0.0, 0.0], rtol=0, atol=0
    )
    assert np.isfinite(values("fdbd", double)).all()


def test_fdbd_can_divide_by_the_length_instead(world):
    mean = world.train.mean(axis=0)
    x = world.tests["ood"]
    ratio = np.linalg.norm(x - mean, axis=1) / np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(values("fdbd", world, centred=False), values("fdbd", world) * ratio, rtol=1e-4)


def test_nci_without_length_is_at_most_the_weights_length(world):
    longest = np.linalg.norm(world.weight, axis=1).max()
    assert np.abs(values("nci", world, alpha=0.0)).max() <= longest * (1 + 1e-6)
    lengths = np.abs(world.tests["ood"]).sum(axis=1)
    np.testing.assert_allclose(values("nci", world, alpha=100.0) / 100, lengths, rtol=0.05)


def test_nnguide_takes_all_rows_where_there_are_fewer_than_k(world):
    few = world.with_(train=world.train[:7], labels=world.labels[:7])
    np.testing.assert_allclose(values("nnguide", few, k=7), values("nnguide", few, k=10), rtol=1e-6)


def test_nnguide_and_neco_say_where_negative_logits_turn_them_around(world):
    low = world.with_(bias=world.bias - 100)
    for name in ("nnguide", "neco", "cop_fused"):
        assert "100 %" in fit([name], low)[name].note_
        assert fit([name], world)[name].note_ is None


def test_relation_counts_strong_relations_only(world):
    assert (values("relation", world, threshold=1.0) == 0).all()
    assert (values("relation", world, threshold=0.5) <= values("relation", world, threshold=0.0)).all()
    assert (values("relation", world, power=4) <= values("relation", world) + 1e-9).all()


def test_cadref_with_a_constant_confidence_is_caref(world, monkeypatch):
    monkeypatch.setitem(confidence.CONFIDENCES, "energy", lambda block: torch.ones(len(block)))
    np.testing.assert_allclose(values("cadref", world), values("caref", world), rtol=1e-5)


def test_cadref_punishes_negative_confidence(world):
    usual = values("cadref", world)
    x = world.block(world.tests["ood"])
    score = fit(["cadref"], world)["cadref"]
    lower = Block(x.features, x.logits - 1000)
    assert (score.score(lower).numpy() < usual.min()).all()
    with pytest.raises(CannotFitError, match="the mean energy of ID train is not positive"):
        fit(["cadref"], world.with_(bias=world.bias - 1000))


@pytest.mark.parametrize("name", ["energy", "max_logit", "msp", "gen"])
def test_confidences(world, name):
    assert np.isfinite(values("cadref", world, confidence=name)).all()
    assert np.isfinite(values("cop_fused", world, confidence=name)).all()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cadref", {"confidence": "entropy"}),
        ("cop_fused", {"confidence": "entropy"}),
        ("cop", {"explained": 0.0}),
        ("corp", {"gamma": -1.0}),
        ("sirc", {"first": "energy"}),
        ("sirc", {"second": "knn"}),
        ("conjnorm", {"p": 1.0}),
        ("nac_last", {"share": 0.0}),
        ("hopfield", {"beta": 0.0}),
        ("nnguide", {"k": 0}),
        ("relation", {"power": 0.0}),
        ("wdiscood", {"dim": -1}),
    ],
)
def test_impossible_parameters_are_refused(name, params):
    with pytest.raises(UsageError):
        create_score(name, params)


@pytest.mark.parametrize(("first", "alone"), [("msp", "msp"), ("entropy", "entropy"), ("doctor", "doctor_alpha")])
def test_sirc_orders_usual_rows_as_its_first_score(world, first, alone):
    score = fit(["sirc"], world, sirc={"first": first})["sirc"]
    score.start_ = -1e6  # the length of every row is far above where it is unusual
    block = world.block(world.tests["ood"])
    assert spearman(score.score(block).numpy(), create_score(alone).score(block).numpy()) > 0.999


def test_sirc_keeps_confident_rows_apart():
    world = make_world()
    score = fit(["sirc"], world)["sirc"]
    logits = torch.tensor([[100.0, 0, 0, 0, 0], [200.0, 0, 0, 0, 0], [900.0, 0, 0, 0, 0]])
    rows = Block(torch.from_numpy(world.train[:1]).expand(3, -1), logits)
    found = score.score(rows)
    assert torch.isfinite(found).all()
    assert (found.diff() > 50).all()


def test_sirc_of_residuals(world):
    assert np.isfinite(values("sirc", world, second="residual")).all()
    same = np.ones_like(world.train)
    with pytest.raises(CannotFitError, match="the norm is the same for all ID train rows"):
        fit(["sirc"], world.with_(train=same))


def test_pnml_regrets_less_with_more_rows(world):
    more = world.with_(train=np.tile(world.train, (20, 1)), labels=np.tile(world.labels, 20))
    once, often = values("pnml", world), values("pnml", more)
    assert (once < 0).all()
    assert (often > once).all()
    assert (often <= 1e-12).all()
    with pytest.raises(CannotFitError, match="one class has no regret"):
        fit(["pnml"], make_world(classes=1))


def test_conjnorm_of_the_euclidean_norm_compares_cosines(world):
    """With p = q = 2 a density is cos(x, class mean) over t, less that of the nearest row of the class for small t."""
    found = values("conjnorm", world, p=2.0, temperature=1e-4)
    means = np.stack([world.train[world.labels == k].mean(axis=0) for k in range(5)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    z, z_train = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (world.tests["ood"], world.train))
    nearest = [(z_train[world.labels == k] @ means[k]).max() for k in range(5)]
    np.testing.assert_allclose(found * 1e-4, (z @ means.T - nearest).max(axis=1), rtol=0, atol=2e-3)


def test_wdiscood_has_no_more_discriminants_than_there_are(world):
    for unit in (True, False):
        np.testing.assert_array_equal(
            values("wdiscood", world, dim=4, unit=unit), values("wdiscood", world, dim=24, unit=unit)
        )
    assert fit(["wdiscood"], world)["wdiscood"].discriminants_.shape[1] == 4


def test_nac_intervals_are_mirror_images():
    edges = interval_edges(50)
    assert len(edges) == 47  # 50 bounds, less 0, 1 and one beyond
    torch.testing.assert_close(edges, -edges.flip(0))
    states = edges.sigmoid()
    assert (edges.diff() > 0).all()
    np.testing.assert_allclose(states[0], np.log(1 + (np.sqrt(1000) - 1) / 24) / np.log(1000))


def test_nac_takes_its_steepness_from_the_sign_of_features():
    for relu, steepness in ((True, 3000.0), (False, 100.0)):
        assert fit(["nac_last"], make_world(relu=relu))["nac_last"].states_.steepness == steepness


def test_nac_of_a_train_row_is_large_and_at_most_one(world):
    score = fit(["nac_last"], world, nac_last={"share": 1 / 400})["nac_last"]  # one row fills an interval
    assert (score.score(world.block(world.train)) == 1).all()


def test_principal_directions_make_up_the_share_that_is_asked_for():
    values = torch.tensor([0.0, 1.0, 3.0, 6.0], dtype=torch.float64)
    assert [principal_count(values, share) for share in (0.5, 0.6, 0.61, 0.9, 0.91, 1.0)] == [1, 1, 2, 2, 3, 3]


def test_reconstruction_needs_variance(world):
    same = world.with_(train=np.ones_like(world.train))
    for name in ("pca_recon", "cop", "cop_fused", "neco"):
        with pytest.raises(CannotFitError, match="do not vary"):
            fit([name], same)


def test_cop_depends_on_directions_only(world):
    scaled = world.with_(tests={"ood": world.tests["ood"] * 7})
    np.testing.assert_allclose(values("cop", world), values("cop", scaled), rtol=1e-5)


def test_fourier_features_approximate_the_kernel(world):
    fourier = Fourier(world.facts(), 20_000, 3.0)
    rows = fourier.rows(world.block(world.train[:20])).double()
    z = torch.from_numpy(world.train[:20]).double()
    z = z / z.norm(dim=1, keepdim=True)
    torch.testing.assert_close(rows @ rows.T, (-3 * torch.cdist(z, z).square()).exp(), rtol=0, atol=0.03)


def test_neco_without_logit_is_a_share(world):
    share = values("neco", world, logit=False)
    assert (share >= 0).all()
    assert (share <= 1 + 1e-6).all()
    np.testing.assert_allclose(values("neco", world, logit=False, dim=24), 1, rtol=1e-5)
    with pytest.raises(CannotFitError, match="25 principal dimensions in 24"):
        fit(["neco"], world, neco={"dim": 25})


def test_neco_does_not_blow_up_constant_features(world):
    train = world.train.copy()
    train[:, 0] = 0.1
    rows = {"ood": world.tests["ood"].copy()}
    rows["ood"][:, 0] = 0.1
    with_constant = values("neco", world.with_(train=train, tests=rows), logit=False)
    assert np.abs(with_constant - values("neco", world, logit=False)).max() < 0.3


@pytest.mark.parametrize(
    "make",
    [
        lambda world: FeatureSumsByPrediction(5),
        lambda world: FeatureSumsWhenCorrect(5),
        lambda world: LogSumsByLabel("logits", 5, lambda block: block.max_logit * 30),
        lambda world: FourierMoment(Fourier(world.facts(), 30, 1.0)),
        lambda world: StateCounts(States(torch.from_numpy(world.weight), 1.0, Bins(interval_edges(10).float()))),
    ],
)
def test_merged_statistics_equal_the_whole(world, make):
    whole, parts = make(world), [make(world), make(world)]
    for i, block in enumerate(world.blocks(64)):
        whole.update(block)
        parts[i % 2].update(block)
    parts[0].merge(parts[1])
    parts[0].merge(make(world))
    torch.testing.assert_close(numbers(parts[0].finalize()), numbers(whole.finalize()), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="no rows"):
        make(world).finalize()


def numbers(value):
    if isinstance(value, torch.Tensor):
        return value
    if hasattr(value, "sums"):
        return torch.cat([value.counts[:, None], value.sums], dim=1)
    return value.covariance_about(value.mean)


def test_log_sums_do_not_overflow_and_know_empty_labels(world):
    statistic = LogSumsByLabel("big", 7, lambda block: torch.full((len(block),), 1e4, dtype=torch.float64))
    for block in world.blocks(64):
        statistic.update(block)
    found = statistic.finalize()
    counts = torch.bincount(torch.from_numpy(world.labels), minlength=7)
    torch.testing.assert_close(found[:5], 1e4 + counts[:5].double().log())
    assert (found[5:] == -torch.inf).all()
