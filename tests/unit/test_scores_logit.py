"""What is special about the scores of probabilities and logits, and about the controls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import kstest, weibull_min

from moodbench.errors import ScoreError, UsageError
from moodbench.ranking import Ranking
from moodbench.scores.base import SCORES, create_score
from moodbench.scores.block import Block
from moodbench.scores.machinery.passes import fit_scores
from moodbench.scores.machinery.tempered import log_rest
from moodbench.scores.machinery.weibull import TRANSLATION, fit_weibulls
from moodbench.scores.openmax import Tails
from moodbench.scores.temp_scaling import HIGHEST, LOWEST, best_temperature
from tests.worlds import CannotFitError, fit, make_world, run_scores


@pytest.fixture(scope="module")
def world():
    return make_world()


def block_of(logits):
    logits = torch.as_tensor(logits, dtype=torch.float32)
    return Block(torch.zeros(len(logits), 2), logits)


CONFIDENT = [[20.0, 0.0, 0.0, 0.0], [40.0, 0.0, 0.0, 0.0], [60.0, 0.0, 0.0, 0.0], [80.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize("name", ["entropy", "gen", "doctor_alpha", "klu", "margin", "odin0"])
def test_confident_rows_keep_their_order(name):
    scores = create_score(name).score(block_of(CONFIDENT))
    assert (scores.diff() > 0).all()


@pytest.mark.parametrize("name", ["entropy", "gen", "doctor_alpha", "margin", "margin_p", "odin0"])
def test_two_classes_leave_one_order(name):
    logits = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    expected = create_score("msp").score(block_of(logits)).argsort()
    assert torch.equal(create_score(name).score(block_of(logits)).argsort(), expected)


def test_log_rest_is_the_logit_of_the_largest_probability():
    logits = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
    for temperature in (0.5, 1.0, 7.0):
        top = torch.softmax(logits.float().double() / temperature, dim=1).amax(dim=1)
        torch.testing.assert_close(log_rest(block_of(logits), temperature), -torch.logit(top), rtol=1e-7, atol=1e-9)
    assert torch.isfinite(log_rest(block_of([[3.0]]))).all()


def test_gen_counts_probabilities_that_float32_cannot_hold():
    """The second probability is 1e-52: its tenth power is 6e-6, and twice that is the score."""
    score = create_score("gen").score(block_of([[0.0, -120.0]]))
    assert score.item() == pytest.approx(-2 * np.exp(-12), rel=1e-6)


def test_gen_sums_over_the_largest_only(world):
    rows = world.block(world.tests["ood"])
    p = torch.softmax(rows.logits.double(), dim=1).sort(dim=1, descending=True).values[:, :2]
    expected = -(p * (1 - p)).pow(0.5).sum(dim=1)
    found = create_score("gen", {"top": 2, "gamma": 0.5}).score(rows)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_klu_is_a_divergence(world):
    rows = world.block(world.tests["test"])
    log_p = torch.log_softmax(rows.logits.double(), dim=1)
    classes = log_p.shape[1]
    divergence = (-np.log(classes) - log_p).mean(dim=1)
    found = create_score("klu").score(rows).double() - np.log(classes)
    torch.testing.assert_close(found, divergence, rtol=1e-5, atol=1e-5)


def test_odin0_tends_to_the_lead_of_the_largest_logit_over_the_mean(world):
    rows = world.block(world.tests["ood"])
    first_order = (rows.max_logit - rows.logits.mean(dim=1)).double()
    found = create_score("odin0", {"temperature": 1e6}).score(rows)
    assert np.corrcoef(found.numpy(), first_order.numpy())[0, 1] > 1 - 1e-8
    plain = torch.softmax(rows.logits / 1e6, dim=1).amax(dim=1)
    assert plain.unique().numel() < found.unique().numel() == len(rows)


@pytest.mark.parametrize("name", ["margin", "margin_p"])
def test_margins_need_two_classes(name):
    one = make_world(classes=1)
    with pytest.raises(CannotFitError, match="two classes"):
        fit([name], one)


def drawn(temperature, rows=20_000, classes=7):
    """Return logits, and labels drawn from their softmax at a temperature."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(rows, classes, generator=generator) * 5
    p = torch.softmax(logits.double() / temperature, dim=1)
    return logits, torch.multinomial(p, 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.29, 2.0, 5.0, 20.0])
def test_the_temperature_is_found(temperature):
    """Optimisers that stop early come out at 1.46, 1.63, 1.83 and 1.92 instead."""
    assert best_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.06)


def test_the_temperature_has_bounds():
    logits, _ = drawn(1.0)
    assert best_temperature(logits, logits.argmax(dim=1)) == LOWEST
    weak = torch.tensor([[1.0, 0.0]] * 2001)
    assert best_temperature(weak, torch.tensor([0] * 1001 + [1] * 1000)) == HIGHEST


def test_labels_of_other_classes_leave_temp_scaling_out(world):
    logits, labels = drawn(1.0)
    with pytest.raises(ScoreError, match="tell nothing of the labels"):
        best_temperature(logits, logits.argmin(dim=1))
    with pytest.raises(ScoreError, match="no held-out row"):
        best_temperature(logits[:0], labels[:0])
    with pytest.raises(CannotFitError, match="not the head's classes"):
        fit(["temp_scaling"], world.with_(labels=world.labels + 3))


def test_a_temperature_that_is_given_is_taken(world):
    rows = world.block(world.tests["ood"])
    given = fit(["temp_scaling"], world.with_(labels=world.labels + 3), temp_scaling={"temperature": "1"})
    scores = given["temp_scaling"].score(rows)
    msp = create_score("msp").score(rows)
    torch.testing.assert_close(torch.sigmoid(scores), msp, rtol=1e-6, atol=1e-9)


def test_temp_scaling_is_fitted_on_the_rows_for_tuning(world):
    """Of rows for tuning without a label none is used, and of ID train nothing is."""
    logits, labels = drawn(3.0, rows=2000, classes=5)
    labels[::4] = -1
    tuning = Block(torch.arange(4000.0).reshape(2000, 2), logits, labels)
    score = create_score("temp_scaling")
    fit_scores({"temp_scaling": score}, world.facts(), lambda: world.blocks(64), lambda: [tuning])
    assert score.temperature_ == pytest.approx(3.0, rel=0.15)


def test_std_max_logit_is_standard_on_id_train():
    world = make_world(rows=600)
    score = fit(["std_max_logit"], world)["std_max_logit"]
    rows = world.block(world.train)
    values = score.score(rows)
    for k in range(len(world.weight)):
        assert values[rows.predicted == k].mean().item() == pytest.approx(0, abs=1e-6)
        assert values[rows.predicted == k].std().item() == pytest.approx(1, abs=1e-6)


def test_std_max_logit_of_a_rare_class_takes_the_spread_of_all_rows():
    train = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 1, 2]] * np.array([[1], [2], [3], [4], [4], [9]], np.float32)
    world = make_world().with_(
        weight=np.eye(3, dtype=np.float32), bias=np.zeros(3, np.float32), train=train, labels=np.zeros(6, np.int64)
    )
    score = fit(["std_max_logit"], world)["std_max_logit"]
    values = score.score(world.block(np.diag([2, 4, 9]).astype(np.float32)))
    top = np.array([1, 2, 3, 4, 4, 9])
    expected = [0, (4 - top.mean()) / top.std(ddof=1), (9 - top.mean()) / top.std(ddof=1)]
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert score.note_ == "2 of 3 predicted classes take the spread of all rows"


def test_igeood_takes_labels_that_are_not_the_heads_classes(world):
    coarse = world.with_(labels=world.labels // 2)
    scores = run_scores(["igeood_logit"], coarse)["igeood_logit"]
    assert Ranking(scores["test"]).against(scores["ood"]).auroc > 0.7


def test_igeood_at_a_centroid_is_at_distance_zero(world):
    score = fit(["igeood_logit"], world, igeood_logit={"reduce": "min"})["igeood_logit"]
    assert score.score(block_of(score.centroids_.exact.square().log().float())).abs().max() < 1e-6
    assert (score.score(world.block(world.tests["ood"])) < 0).all()


def test_igeood_ties_rows_between_two_classes():
    """Distributions over two classes lie on one arc: between the centroids the two distances add up to its length."""
    logits = torch.tensor([[9.0, 0.0], [8.0, 1.0], [1.0, 6.0], [0.0, 9.0]])
    world = make_world().with_(weight=np.eye(2, dtype=np.float32), bias=np.zeros(2, np.float32), train=logits.numpy())
    score = fit(["igeood_logit"], world.with_(labels=np.array([0, 0, 1, 1])))["igeood_logit"]
    steps = torch.linspace(-6, 7, 99)
    assert score.score(block_of(torch.stack([steps, -steps / 100], dim=1))).unique().numel() == 1
    assert score.score(block_of(torch.tensor([[20.0, 0.0]]))) > score.score(block_of(torch.tensor([[0.0, 0.0]])))


@pytest.mark.parametrize("spread", [0.3, 4.0])
def test_igeood_of_many_classes_keeps_the_digits_of_small_angles(spread):
    """Near classes are measured by their chords, or, where a flat softmax makes all of them near, in float64."""
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(300, 90)) * spread).astype(np.float32)
    labels = np.arange(300) % 90
    world = make_world().with_(weight=np.eye(90, dtype=np.float32), bias=np.zeros(90, np.float32), train=logits)
    roots = torch.softmax(torch.from_numpy(logits).double(), dim=1).sqrt()
    for reduce in ("sum", "min"):
        score = fit(["igeood_logit"], world.with_(labels=labels), igeood_logit={"reduce": reduce})["igeood_logit"]
        centroids = score.centroids_.exact
        chords = (roots[:, None] - centroids).square().sum(dim=2).sqrt()
        angles = 4 * torch.asin(chords / 2)
        expected = angles.sum(dim=1) if reduce == "sum" else -angles.amin(dim=1)
        found = score.score(block_of(torch.from_numpy(logits)))
        assert (found - expected).abs().max() < 1e-4 * expected.std()


def tails_of(values):
    out = torch.full((len(values), max(map(len, values))), -torch.inf, dtype=torch.float64)
    for row, some in zip(out, values, strict=True):
        row[: len(some)] = torch.tensor(sorted(some, reverse=True), dtype=torch.float64)
    return out


def test_weibull_laws_are_the_most_likely_ones():
    rng = np.random.default_rng(0)
    groups = [list(rng.gamma(3, size=n)) for n in (20, 20, 7, 2)]
    laws = fit_weibulls(tails_of(groups))
    for k, tail in enumerate(groups):
        moved = np.array(tail) - min(tail) + TRANSLATION
        shape = float(laws.shape[k] / laws.spread[k])
        scale = TRANSLATION * np.exp(float(laws.level[k]) / shape)
        best = weibull_min.logpdf(moved, shape, scale=scale).sum()
        for factor in (0.98, 1.02):
            other = np.mean((moved / TRANSLATION) ** (shape * factor)) ** (1 / (shape * factor)) * TRANSLATION
            assert weibull_min.logpdf(moved, shape * factor, scale=other).sum() < best
        found = laws.cdf(torch.tensor(tail, dtype=torch.float64), torch.full((len(tail),), k))
        np.testing.assert_allclose(found, weibull_min.cdf(moved, shape, scale=scale), atol=1e-7)


def test_weibull_laws_without_a_spread_are_zero():
    laws = fit_weibulls(tails_of([[1.0, 1.0], [1.0], [], [1.0, 2.0]]))
    assert laws.fitted.tolist() == [False, False, False, True]
    values = laws.cdf(torch.tensor([-1e9, 0.0, 5.0, 1e9], dtype=torch.float64).repeat(4), torch.arange(16) // 4)
    assert (values[:12] == 0).all()
    assert values[12] == 0
    assert values[15] == 1
    assert (values[12:].diff() >= 0).all()


@pytest.mark.parametrize("cuts", [(0, 40), (0, 1, 7, 40), tuple(range(41))])
def test_tails_merge(cuts):
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(40, 3)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(-1, 3, 40))
    means = torch.from_numpy(rng.normal(size=(3, 3)))
    pieces = []
    for start, stop in pairwise(cuts):
        pieces.append(Tails(4, "euclidean", means))
        pieces[-1].update(Block(torch.zeros(stop - start, 2), logits[start:stop], labels[start:stop]))
    for other in pieces[1:]:
        pieces[0].merge(other)
    predicted = logits.argmax(dim=1)
    for k, found in enumerate(pieces[0].finalize()):
        rows = logits[(predicted == k) & (labels == k)].double()
        expected = (rows - means[k]).norm(dim=1).sort(descending=True).values[:4]
        torch.testing.assert_close(found[: len(expected)], expected)
        assert (found[len(expected) :] == -torch.inf).all()


def test_openmax_takes_the_logit_of_unusual_rows(world):
    """At the mean of the best class little of its logit is taken away; far from it all is, and is the unknown's."""
    score = fit(["openmax"], world, openmax={"alpha": 1, "distance": "euclidean"})["openmax"]
    usual = block_of(score.means_)
    left = score.score(usual) / usual.log_sum_exp
    assert (left > 0.9).all()
    assert (left < 1).all()
    far = block_of(score.means_ * 100)
    revised = far.logits.double().scatter(1, far.predicted[:, None], 0.0)
    torch.testing.assert_close(score.score(far), revised.logsumexp(dim=1) - far.max_logit.double())


def test_openmax_needs_rows_that_are_classified_correctly(world):
    wrong = world.with_(labels=(world.block(world.train).predicted.numpy() + 1) % len(world.weight))
    with pytest.raises(CannotFitError, match="correct ID train rows"):
        fit(["openmax"], wrong)


def test_openmax_says_which_classes_it_cannot_revise(world):
    predicted = world.block(world.train).predicted.numpy()
    labels = np.where(predicted == 0, 1, predicted)
    assert fit(["openmax"], world.with_(labels=labels))["openmax"].note_.startswith("1 of 5 classes")


def test_random_is_uniform_and_has_a_seed():
    x = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    first, again = create_score("random").score(Block(x)), create_score("random").score(Block(x.flip(0)))
    assert torch.equal(first, again.flip(0))
    other = create_score("random", {"seed": "1"}).score(Block(x))
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.05
    for values in (first, other, first[x[:, 0] > 0]):
        assert kstest(values.numpy(), "uniform").pvalue > 1e-3


def test_controls_find_nothing():
    world = make_world(rows=2000)
    scores = run_scores(["random", "constant"], world)
    assert Ranking(scores["random"]["test"]).against(scores["random"]["ood"]).auroc == pytest.approx(0.5, abs=0.04)
    against = Ranking(scores["constant"]["test"]).against(scores["constant"]["ood"])
    assert against.auroc == 0.5
    assert against.fpr() == 1
    assert {name for name in SCORES.names() if SCORES.get(name).control} == {"constant", "random"}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("gen", {"gamma": 0.0}),
        ("gen", {"top": 0}),
        ("odin0", {"temperature": 0.0}),
        ("temp_scaling", {"temperature": -1.0}),
        ("temp_scaling", {"rows": 0}),
        ("igeood_logit", {"temperature": 0.0}),
        ("igeood_logit", {"reduce": "mean"}),
        ("openmax", {"tail": 1}),
        ("openmax", {"alpha": 0}),
        ("openmax", {"distance": "hamming"}),
    ],
)
def test_impossible_parameters_are_refused(name, params):
    with pytest.raises(UsageError):
        create_score(name, params)
