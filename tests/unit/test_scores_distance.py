"""What is particular to the distance and density scores."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from moodbench.errors import UsageError
from moodbench.scores import qda
from moodbench.scores.base import create_score
from moodbench.scores.block import Block
from moodbench.scores.machinery.libraries import heard
from moodbench.scores.machinery.lloyd import lloyd
from moodbench.scores.machinery.medians import RESOLUTION, median_and_deviation
from moodbench.scores.machinery.passes import fit_scores
from moodbench.scores.machinery.statistics import UnitMean
from moodbench.scores.machinery.unit import unit_rows
from tests.worlds import CannotFitError, fit, make_world

WORLD = make_world()
ROWS = np.concatenate(list(WORLD.tests.values()))


def scored(name, world=WORLD, rows=ROWS, **params):
    return fit([name], world, **{name: params})[name].score(world.block(rows)).double().numpy()


def unit(rows):
    return unit_rows(torch.from_numpy(rows)).numpy()


# --- the bank


@pytest.mark.parametrize("k", [1, 7, 50, 120, 400])
def test_knn_is_exact_whatever_the_blocks_of_the_bank(k):
    """The bank comes in blocks of 50 rows: fewer than k, as many, and more."""
    expected = -np.sort(-(unit(ROWS) @ unit(WORLD.train).T), axis=1)[:, k - 1]
    np.testing.assert_allclose(scored("knn", k=k), expected, atol=1e-6)


def test_cos_max_is_the_nearest_neighbour_and_projection_its_length():
    nearest = scored("cos_max")
    np.testing.assert_array_equal(nearest, scored("knn", k=1))
    np.testing.assert_allclose(scored("projection"), nearest * np.linalg.norm(ROWS, axis=1), rtol=1e-6)


def test_the_scores_of_the_bank_walk_over_it_together():
    walks = []

    def bank():
        walks.append(1)
        return WORLD.blocks(50)

    facts = WORLD.facts()
    object.__setattr__(facts, "bank", bank)
    names = ("cos_max", "knn", "projection")
    fitted, _ = fit_scores({name: create_score(name) for name in names}, facts, lambda: WORLD.blocks(64))
    block = WORLD.block(ROWS)
    for score in fitted.values():
        score.score(block)
    assert len(walks) == 1


def test_knn_with_fewer_rows_than_k_takes_the_farthest_and_says_so():
    small = WORLD.with_(train=WORLD.train[:20], labels=WORLD.labels[:20])
    np.testing.assert_array_equal(scored("knn", small), scored("knn", small, k=20))
    assert fit(["knn"], small)["knn"].note_ == "ID train has 20 rows only: the farthest of them is taken"


def test_conformance_is_zero_on_the_bank_only():
    assert scored("conformance", rows=WORLD.train).min() > -1e-3
    assert scored("conformance").max() < -0.1


# --- Gaussians


@pytest.mark.parametrize("name", ["mahalanobis", "maha_pp", "rmds_pp", "gmm_tied", "ssd", "wdiscood", "variance_norm"])
def test_rounding_is_no_direction(name):
    """ID train is one point, many times: its covariance is rounding, and no distance is measured in that."""
    one = WORLD.with_(train=np.repeat(WORLD.train[:1], 400, axis=0))
    np.testing.assert_allclose(scored(name, one), scored(name, one)[0])


def test_classes_that_are_points_have_no_covariance():
    """The pooled covariance is a difference of two that are equal, but for rounding."""
    points = WORLD.with_(train=np.stack([WORLD.train[WORLD.labels == k][0] for k in WORLD.labels]))
    np.testing.assert_array_equal(scored("mahalanobis", points), 0)


@pytest.mark.parametrize("name", ["rmds", "gmm_tied", "qda", "variance_norm"])
def test_does_not_move_with_the_features(name):
    offset = np.linspace(-20, 20, WORLD.train.shape[1]).astype(np.float32)
    here = scored(name)
    there = scored(name, WORLD.with_(train=WORLD.train + offset), ROWS + offset)
    np.testing.assert_allclose(there, here, atol=2e-3 * here.std())


@pytest.mark.parametrize(
    "name",
    ["maha_pp", "rmds_pp", "ssd", "gauss_lw", "knn", "cos_max", "cosine_head", "euclid", "mean_l1", "linf", "kmeans"],
)
def test_the_length_of_rows_does_not_matter(name):
    lengths = np.random.default_rng(0).choice([0.25, 0.5, 2.0, 16.0], (len(WORLD.train), 1)).astype(np.float32)
    here = scored(name)
    there = scored(name, WORLD.with_(train=WORLD.train * lengths), ROWS * lengths)
    np.testing.assert_allclose(there, here, atol=1e-4 * here.std())


@pytest.mark.parametrize("name", ["rmds", "rmds_pp"])
def test_squared_distances_of_id_train_average_to_the_rank(name):
    score = fit([name], WORLD)[name]
    block = WORLD.block(WORLD.train)
    whole = score.whole_.rows(block).square().sum(dim=1)
    assert whole.mean().item() == pytest.approx(score.whole_.rank, rel=1e-6)
    within = score.classes_.whitener.rows(block) - score.classes_.means[torch.from_numpy(WORLD.labels)]
    assert within.square().sum(dim=1).mean().item() == pytest.approx(score.classes_.whitener.rank, rel=1e-6)


def test_gaussians_of_one_class_are_one_gaussian():
    one = WORLD.with_(labels=np.zeros_like(WORLD.labels))
    distance = scored("mahalanobis", one)
    np.testing.assert_allclose(scored("gmm_tied", one), distance / 2, rtol=1e-5)
    np.testing.assert_allclose(scored("variance_norm", one), -np.sqrt(-distance), rtol=1e-5)
    np.testing.assert_allclose(scored("rmds", one), 0, atol=1e-6 * distance.std())
    density = scored("qda", one, shrinkage=0.0)
    n = len(WORLD.train)  # qda divides by n - 1, mahalanobis by n
    np.testing.assert_allclose(density - density[0], (distance - distance[0]) / 2 * (n - 1) / n, atol=1e-2)


def test_ledoit_wolf_is_that_of_scikit_learn():
    z = unit(WORLD.train).astype(np.float64)
    covariance, shrinkage = ledoit_wolf(z)
    score = fit(["gauss_lw"], WORLD)["gauss_lw"]
    assert score.shrinkage_ == pytest.approx(shrinkage, rel=1e-6)
    expected = multivariate_normal(z.mean(axis=0), covariance).logpdf(unit(ROWS))
    np.testing.assert_allclose(score.score(WORLD.block(ROWS)).numpy(), expected, atol=1e-4 * expected.std())


def test_variance_norm_leaves_out_what_is_out_of_range():
    train = WORLD.train.copy()
    train[:, 3] = 1.0
    flat = WORLD.with_(train=train)
    inside, outside = ROWS.copy(), ROWS.copy()
    inside[:, 3], outside[:, 3] = 1.0, 3.0
    score = fit(["variance_norm"], flat)["variance_norm"]
    assert score.note_ == "ID train varies in 23 of 24 dimensions; the rest is left out"
    near, far = flat.block(inside), flat.block(outside)
    torch.testing.assert_close(score.score(far), score.score(near), rtol=1e-4, atol=1e-4)


def test_qda_refuses_covariances_that_take_too_much_memory(monkeypatch):
    monkeypatch.setattr(qda, "MOST_FLOATS", 5 * 24**2 - 1)
    with pytest.raises(CannotFitError, match=r"^5 covariances of 24 features take too much memory$"):
        scored("qda")


def test_qda_says_what_mends_a_singular_covariance():
    few = WORLD.with_(train=WORLD.train[:60], labels=WORLD.labels[:60])
    with pytest.raises(CannotFitError, match="a larger shrinkage mends it"):
        scored("qda", few, shrinkage=0.0)
    assert np.isfinite(scored("qda", few, shrinkage=0.1)).all()


@pytest.mark.parametrize("work", [1, 3000, 1 << 24])
def test_scatters_of_classes_of_any_size_merge(monkeypatch, work):
    """Some classes have most of the rows of a block, some none; scratch space for one class, a few, and all."""
    monkeypatch.setattr(qda, "_WORK", work)
    labels = np.minimum(np.random.default_rng(2).geometric(0.4, 90) - 1, 6)
    labels[:4] = -1
    x = WORLD.train[:90].astype(np.float64)
    shift = torch.from_numpy(x.mean(axis=0))
    whole, merged = qda.ClassScatters(8, shift), qda.ClassScatters(8, shift)
    for start in range(0, 90, 40):
        some = slice(start, start + 40)
        block = Block(torch.from_numpy(WORLD.train[:90][some]), labels=torch.from_numpy(labels[some]))
        whole.update(block)
        part = qda.ClassScatters(8, shift)
        part.update(block)
        merged.merge(part)
    merged.merge(qda.ClassScatters(8, shift))
    centred = x - x.mean(axis=0)
    expected = np.stack([centred[labels == k].T @ centred[labels == k] for k in range(8)])
    np.testing.assert_allclose(whole.finalize().numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(merged.finalize().numpy(), expected, atol=1e-9)


# --- prototypes, norms, means


def test_projection_class_needs_labels_that_are_classes_of_the_head():
    with pytest.raises(CannotFitError, match=r"labels are not the head.s classes"):
        scored("projection_class", WORLD.with_(labels=WORLD.labels + 2))


def test_a_row_of_zeros_has_a_score():
    zeros = np.zeros((2, 24), np.float32)
    for name in (
        "knn",
        "maha_pp",
        "cosine_class",
        "cosine_head",
        "euclid",
        "ssd",
        "gauss_lw",
        "nan_norm",
        "projection",
    ):
        assert np.isfinite(scored(name, rows=zeros)).all(), name


def test_norms_that_hardly_vary_say_so():
    flat = WORLD.with_(train=unit(WORLD.train))
    assert fit(["norm_l2"], flat)["norm_l2"].note_ == "hardly varies on ID train: std/mean 0.00 %"
    assert fit(["norm_l2"], WORLD)["norm_l2"].note_ is None
    signed = fit(["nan_norm"], WORLD)["nan_norm"].note_
    assert signed.startswith("published for non-negative features; ")
    assert fit(["nan_norm"], make_world(relu=True))["nan_norm"].note_ is None


def test_the_negative_aware_norm_counts_positive_features():
    rows = np.array([[3, 0, -1, 2], [0, 0, -1, 0]], np.float32)
    score = create_score("nan_norm")
    np.testing.assert_array_equal(score.score(Block(torch.from_numpy(rows))).numpy(), [3.0, 1.0])


def test_the_mean_of_unit_rows_merges():
    whole, merged = UnitMean(), UnitMean()
    for block in WORLD.blocks(64):
        whole.update(block)
        part = UnitMean()
        part.update(block)
        merged.merge(part)
    merged.merge(UnitMean())
    torch.testing.assert_close(whole.finalize(), merged.finalize())
    np.testing.assert_allclose(whole.finalize().numpy(), unit(WORLD.train).mean(axis=0), atol=1e-6)


# --- projection depth


def finished(search, x, block=900):
    """Run a search for medians over rows (N, U), its counts made of merged parts."""
    requests = next(search)
    while True:
        for start in range(0, len(x), block):
            for request in requests:
                part = copy.copy(request)
                part._counts = None
                part.update(Block(torch.from_numpy(x[start : start + block])))
                request.merge(part)
        try:
            requests = search.send(tuple(request.finalize() for request in requests))
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("rows", [1, 2, 5, 6, 400, 4001])
@pytest.mark.parametrize("kind", ["even", "twice", "two levels"])
def test_medians_are_those_of_numpy(rows, kind):
    x = np.random.default_rng(3).gamma(2.0, size=(rows, 6))
    if kind == "twice":
        x[rows // 2 :] = x[: rows - rows // 2]
    if kind == "two levels":
        x = np.where(x < 1, 0.0, 1.0)
    x = ((x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)).astype(np.float32)
    search = median_and_deviation("test", lambda block: block.features, 6, torch.device("cpu"))
    median, deviation = finished(search, x)
    expected = np.median(x, axis=0)
    np.testing.assert_allclose(median.numpy(), expected, rtol=0, atol=RESOLUTION)
    np.testing.assert_allclose(deviation.numpy(), np.median(np.abs(x - expected), axis=0), rtol=0, atol=2 * RESOLUTION)


def test_depth_leaves_out_directions_without_spread():
    """Three quarters of ID train are one point: no direction has a spread, and no row is outlying."""
    train = np.concatenate([np.repeat(WORLD.train[:1], 300, axis=0), WORLD.train[:100]])
    still = WORLD.with_(train=train, labels=np.zeros(400, np.int64))
    np.testing.assert_array_equal(scored("rpd", still), 1.0)


# --- detectors of scikit-learn


def test_centres_of_k_means_are_the_means_of_their_rows():
    score = fit(["kmeans"], WORLD, kmeans={"clusters": 4})["kmeans"]
    z, centres = unit(WORLD.train), (score.centres_ + score.directions_.mean).numpy()
    assert centres.shape == (4, 24)
    distances = np.linalg.norm(z[:, None] - centres, axis=2)
    own = distances.argmin(axis=1)
    means = np.stack([z[own == j].mean(axis=0) for j in range(4)])
    np.testing.assert_allclose(centres, means, atol=1e-3)
    assert score.inertia_ == pytest.approx((distances.min(axis=1) ** 2).sum(), rel=1e-3)


def test_k_means_takes_as_many_centres_as_classes():
    unlabelled = WORLD.with_(labels=np.full_like(WORLD.labels, -1))
    for world, expected in ((WORLD, 5), (unlabelled, 5), (unlabelled.with_(weight=None, bias=None), 100)):
        assert len(fit(["kmeans"], world)["kmeans"].centres_) == expected


def test_the_svm_is_that_of_scikit_learn():
    scaler = StandardScaler().fit(WORLD.train.astype(np.float64))
    svm = OneClassSVM(gamma="auto", nu=0.2).fit(scaler.transform(WORLD.train.astype(np.float64)))
    expected = svm.score_samples(scaler.transform(ROWS.astype(np.float64)))
    np.testing.assert_allclose(scored("ocsvm", nu=0.2), expected, atol=5e-3 * expected.std())


def test_many_equal_rows_are_no_trouble():
    same = WORLD.with_(train=np.repeat(WORLD.train[:5], 80, axis=0), labels=np.repeat(WORLD.labels[:5], 80))
    for name in ("lof", "iforest", "ocsvm", "kmeans", "rpd", "knn"):
        assert np.isfinite(scored(name, same)).all(), name


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("knn", {"k": 0}),
        ("qda", {"shrinkage": 1.5}),
        ("kmeans", {"rows": 0}),
        ("rpd", {"directions": 0}),
        ("lof", {"k": 0}),
        ("iforest", {"trees": 0}),
        ("ocsvm", {"nu": 0.0}),
        ("ocsvm", {"rows": 1}),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name, params):
    with pytest.raises(UsageError):
        create_score(name, params)


def test_what_scikit_learn_says_becomes_a_note():
    def work():
        warnings.warn("Number of  distinct\nclusters", UserWarning, stacklevel=1)
        warnings.warn("Duplicate values, as known", UserWarning, stacklevel=1)
        return 3

    assert heard(work, known=["Duplicate"]) == (3, "Number of distinct clusters")
    assert heard(lambda: 4) == (4, None)


def test_k_means_of_rows_that_are_all_but_equal():
    """The squares of their distances are zero."""
    train = WORLD.train * np.float32(1e-25)
    train[:, 0] = 1
    assert np.isfinite(scored("kmeans", WORLD.with_(train=train))).all()


def test_a_centre_without_rows_goes_to_the_farthest_row():
    rows = torch.tensor([[0.0], [0.1], [0.2], [9.0]])
    centres, inertia = lloyd(rows, torch.tensor([[0.1], [-50.0]]))
    assert centres.flatten().tolist() == [pytest.approx(0.1), 9.0]
    assert inertia == pytest.approx(0.02)
