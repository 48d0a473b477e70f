"""One battery over every registered score, whatever it is."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.errors import UnknownNameError, UsageError
from moodbench.ranking import Ranking
from moodbench.scores.base import SCORES, Score, create_score, display_order
from moodbench.scores.block import HELD_OUT, Block
from moodbench.scores.machinery.passes import fit_scores
from moodbench.types import FAMILIES
from tests.parity.hard_worlds import hard_world
from tests.worlds import CannotFitError, fit, make_world, run_scores

ALL = SCORES.names()
every_score = pytest.mark.parametrize("name", ALL)


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def values(world):
    return run_scores(ALL, world)


@every_score
def test_states_what_it_is(name):
    cls = SCORES.get(name)
    assert cls.title
    assert cls.family in FAMILIES
    assert cls.needs <= {
        *("logits", "head", "labels", "layers", "views", "negatives", "negated", "noise", "members", "stream")
    }
    assert 1990 < cls.year <= 2030
    assert str(cls.year) in cls.paper
    assert cls.__doc__
    assert "References" in cls.__doc__


@every_score
def test_lists_what_a_fit_learns(world, name):
    cls = SCORES.get(name)
    section = inspect.getdoc(cls).partition("\nAttributes\n----------\n")[2].partition("\n\n")[0]
    entries = [line.partition(" : ")[0] for line in section.splitlines() if not line.startswith(" ")]
    listed = {attribute for entry in entries for attribute in entry.split(", ")}
    learned = {key for key in vars(fit([name], world)[name]) if key.endswith("_")} - {"note_"}
    assert learned <= listed
    source = "".join(inspect.getsource(one) for one in cls.__mro__ if issubclass(one, Score) and one is not Score)
    assert all(f"self.{attribute}" in source for attribute in listed)


@every_score
def test_is_higher_for_rows_like_id_train(values, name):
    if SCORES.get(name).control:
        pytest.skip("a control knows nothing")
    if SCORES.get(name).post_relu:
        values = run_scores([name], make_world(relu=True))
    id_scores, ood = values[name]["test"], values[name]["ood"]
    assert np.isfinite(id_scores).all()
    assert np.isfinite(ood).all()
    assert id_scores.mean() > ood.mean()
    assert Ranking(id_scores).against(ood).auroc > 0.7


@every_score
def test_does_not_depend_on_block_size(world, values, name):
    scale = np.concatenate(list(values[name].values())).std()
    for block in (1, 33, 1000):
        other = run_scores([name], world, block=block)[name]
        for part in other:
            np.testing.assert_allclose(other[part], values[name][part], rtol=0, atol=1e-4 * scale)


def shuffled_order(rows):
    order = np.arange(rows)
    held_out = order % HELD_OUT == HELD_OUT - 1  # which rows are held out goes by their place
    for part in (held_out, ~held_out):
        order[part] = np.random.default_rng(1).permutation(order[part])
    return order


@every_score
def test_does_not_depend_on_row_order(world, values, name):
    order = shuffled_order(len(world.train))
    shuffled = world.with_(train=world.train[order], labels=world.labels[order])
    other = run_scores([name], shuffled)[name]
    scale = values[name]["test"].std()
    np.testing.assert_allclose(other["test"], values[name]["test"], rtol=0, atol=1e-4 * scale)


SATURATED = {"two classes": (2, 1.0), "five classes, large features": (5, 1e3)}


@pytest.fixture(scope="module", params=SATURATED)
def saturated(request):
    """A world of saturated logits and duplicated rows, and all scores on it."""
    world = hard_world(*SATURATED[request.param])
    return world, run_scores(ALL, world)


def assert_alike(found, expected):
    scale = np.concatenate(list(expected.values())).std()
    for part in expected:
        np.testing.assert_allclose(found[part], expected[part], rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("block", [7, 1000])
def test_no_score_depends_on_block_size_where_logits_saturate(saturated, block):
    world, values = saturated
    other = run_scores(ALL, world, block=block)
    for name in ALL:
        assert_alike(other[name], values[name])


def test_no_score_depends_on_row_order_where_rows_are_duplicated(saturated):
    world, values = saturated
    order = shuffled_order(len(world.train))
    other = run_scores(ALL, world.with_(train=world.train[order], labels=world.labels[order]))
    for name in ALL:
        assert_alike(other[name], values[name])


ABSOLUTE = {
    "random": "made of the bits of the features",
    "iforest": "the sample is in the order of the features' bits, and trees draw from it",
    "ocsvm": "the same order decides which of many equal solutions the solver ends in",
    "hopfield": "beta has the unit of one over a squared feature",
    "nci": "alpha has the unit of the head's weight by that of the features",
    "pnml": "the head is applied to unit features, so its logits change with the weight",
    "heat": "the sample is in the order of the features' bits, and batches are drawn from it",
    "heat_el": "its training begins with standard normal rows",
    "heat_sum": "so does a term of it",
    "cea": "the paper adds 0.1 to the mean norm",
    "grood": "its softmax is of distances, which have the unit of the features",
}
"""Scores that know how large features are."""


@pytest.mark.parametrize("factor", [2.0**-10, 2.0**10])
def test_scores_order_rows_alike_however_large_features_are(saturated, factor):
    """Features times a power of two, and the head's weight divided by it: the logits keep every bit."""
    world, values = saturated
    f = np.float32(factor)
    tests = {name: rows * f for name, rows in world.tests.items()}
    names = [name for name in ALL if name not in ABSOLUTE]
    assert world.weight is not None
    other = run_scores(names, world.with_(train=world.train * f, weight=world.weight / f, tests=tests))
    for name in names:
        for part in tests:
            order = np.argsort(values[name][part], kind="stable")
            moved = np.diff(other[name][part][order])
            spread = other[name][part].std()
            assert (moved >= -1e-6 * spread).all(), name


@every_score
def test_leaves_its_inputs_alone(world, name):
    score = fit([name], world)[name]
    block = world.block(world.tests["ood"])
    before = copy.deepcopy((block.features, block.logits, block.max_logit, block.log_sum_exp, block.probabilities))
    score.score(block)
    after = (block.features, block.logits, block.max_logit, block.log_sum_exp, block.probabilities)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=0)


@every_score
def test_fitting_together_equals_fitting_alone(world, values, name):
    alone = run_scores([name], world)[name]
    for part in alone:
        np.testing.assert_array_equal(alone[part], values[name][part])


@every_score
def test_declared_needs_suffice(world, name):
    needs = SCORES.get(name).needs
    features = world.with_(
        weight=world.weight if needs & {"head", "logits"} else None,
        bias=world.bias if needs & {"head", "logits"} else None,
        labels=world.labels if "labels" in needs else np.full_like(world.labels, -1),
    )
    assert np.isfinite(run_scores([name], features)[name]["test"]).all()


@every_score
def test_says_what_is_missing(world, name):
    bare = world.with_(weight=None, bias=None, labels=np.full_like(world.labels, -1))
    fitted, missing = fit_scores({name: create_score(name)}, bare.facts(), lambda: bare.blocks(64))
    if SCORES.get(name).needs - {"layers", "views", "members"}:  # which the world has
        assert not fitted
        assert missing[name].startswith("no ")
    else:
        assert not missing


@every_score
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 7),
    dim=st.integers(2, 40),
    rows=st.sampled_from([12, 30, 90]),
    relu=st.booleans(),
)
def test_survives_odd_shapes(name, seed, classes, dim, rows, relu):
    """One class, D < C, D > N, classes without rows, constant columns."""
    world = make_world(seed, classes=classes, dim=dim, rows=rows, relu=relu)
    constant = world.train.copy()
    constant[:, 0] = 1.0
    empty = np.where(world.labels == 0, classes, world.labels)  # class 0 has no rows, and there is one more than C
    for changed in (world, world.with_(train=constant), world.with_(labels=empty)):
        try:
            scores = run_scores([name], changed, block=16)[name]
        except CannotFitError:
            continue
        for part in scores:
            assert scores[part].shape == (len(world.tests[part]),)
            assert not np.isnan(scores[part]).any()


@every_score
def test_scores_one_row(world, values, name):
    one = fit([name], world)[name].score(world.block(world.tests["test"][:1]))
    assert one.shape == (1,)
    assert one.item() == pytest.approx(values[name]["test"][0], rel=1e-4, abs=1e-4)


def test_display_order_is_by_family_then_year():
    order = display_order(ALL)
    assert sorted(order) == sorted(ALL)
    assert order.index("msp") < order.index("kl_matching") < order.index("energy") < order.index("vim")


def test_unknown_score_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'mahalanobis'"):
        create_score("mahalanobi")


def test_parameters_are_converted_and_checked():
    assert create_score("vim", {"dim": "3"}).describe() == "dim=3"
    assert create_score("energy_react", {"quantile": "0.9"}).describe() == "quantile=0.9"
    with pytest.raises(UsageError, match="no parameter 'size'"):
        create_score("vim", {"size": "3"})
    with pytest.raises(UsageError, match="'many' is not a whole number"):
        create_score("vim", {"dim": "many"})
    with pytest.raises(UsageError, match=r"lies in \[0, 1\]"):
        create_score("energy_react", {"quantile": 2.0})


@pytest.mark.parametrize(
    ("name", "params", "fix"),
    [
        ("energy_react", {"quantile": 2.0}, "the default is quantile=0.99"),
        ("excel", {"ranks": -1}, "0 takes all ranks"),  # its own advice stays
    ],
)
def test_a_value_that_is_refused_comes_with_what_is_right(name, params, fix):
    with pytest.raises(UsageError) as caught:
        create_score(name, params)
    assert caught.value.fix == fix


def test_a_principal_space_that_is_too_wide_leaves_an_empty_cell(world):
    scores = {"vim": create_score("vim", {"dim": 24})}
    fitted, missing = fit_scores(scores, world.facts(), lambda: world.blocks(64))
    assert not fitted
    assert missing["vim"] == "24 principal dimensions leave no null space in 24"


def test_energy_is_max_logit_less_log_of_max_probability(world):
    block = world.block(world.tests["ood"])
    scores = fit(["energy", "max_logit", "msp"], world)
    energy, top, p = (scores[n].score(block).double() for n in ("energy", "max_logit", "msp"))
    torch.testing.assert_close(energy, top - p.log(), rtol=1e-5, atol=1e-5)


def test_energy_at_another_temperature(world):
    block = world.block(world.tests["ood"])
    score = create_score("energy", {"temperature": 3.0})
    expected = 3 * torch.logsumexp(block.logits.double() / 3, dim=1)
    torch.testing.assert_close(score.score(block).double(), expected, rtol=1e-5, atol=1e-5)


def test_confident_rows_keep_their_order_in_msp():
    logits = torch.tensor([[20.0, 0.0, 0.0], [25.0, 0.0, 0.0], [30.0, 0.0, 0.0]])
    assert torch.softmax(logits, 1).amax(1).unique().numel() < 3  # float32 softmax ties them
    scores = create_score("msp").score(Block(torch.zeros(3, 2), logits))
    assert (scores.diff() > 0).all()


def test_kl_matching_is_infinitely_far_from_templates_without_support():
    """Rows with probability where no template has any score -inf, and rank below every other."""
    weight, bias = np.eye(2, dtype=np.float32) * 2000, np.zeros(2, np.float32)
    train = np.array([[1, 0], [1, 0]], np.float32)
    world = make_world().with_(weight=weight, bias=bias, train=train, labels=np.zeros(2, np.int64), tests={})
    score = fit(["kl_matching"], world)["kl_matching"]
    values = score.score(world.block(np.array([[1, 0], [0, 1]], np.float32)))
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values[1] == -torch.inf


def test_kl_matching_keeps_what_is_too_small_for_a_float32():
    """A template's entry of 1e-87 counts by its logarithm, and a row's of 1e-37 for nothing."""
    weight, bias = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)
    world = make_world().with_(weight=weight, bias=bias, train=np.array([[200, 0]] * 2, np.float32), tests={})
    score = fit(["kl_matching"], world.with_(labels=np.zeros(2, np.int64)))["kl_matching"]
    values = score.score(world.block(np.array([[200, 0], [0, 200], [85, 0]], np.float32)))
    np.testing.assert_allclose(values, [0, -200, 0], rtol=1e-5, atol=1e-6)


def test_mahalanobis_leaves_out_classes_without_rows(world):
    labels = np.where(world.labels >= 2, world.labels + 1, world.labels)  # class 2 stays empty
    shifted = fit(["mahalanobis"], world.with_(labels=labels))["mahalanobis"]
    plain = fit(["mahalanobis"], world)["mahalanobis"]
    rows = world.block(world.tests["ood"])
    torch.testing.assert_close(shifted.score(rows), plain.score(rows), rtol=1e-4, atol=1e-4)
    assert shifted.note_ == "1 of 6 classes have no ID train rows and are left out"


NARROW = (
    *("mahalanobis", "maha_pp", "rmds", "rmds_pp", "gmm_tied", "wdiscood", "rpd", "ssd", "pnml"),
    *("variance_norm", "conformance"),
)


def with_column(world, column):
    """Return the same world with one more feature, that of ID train given and of other rows 0."""
    tests = {name: np.c_[x, np.zeros(len(x), np.float32)] for name, x in world.tests.items()}
    weight = np.c_[world.weight, np.zeros(len(world.weight), np.float32)]
    return world.with_(train=np.c_[world.train, column].astype(np.float32), tests=tests, weight=weight)


@pytest.mark.parametrize("name", NARROW)
def test_directions_that_are_too_narrow_are_said_and_dead_ones_are_not(world, name):
    """One that is dropped though ID train varies in it deserves a note; dead ones and those of a LayerNorm do not."""
    rows, width = world.train.shape
    noise = np.random.default_rng(5).normal(size=rows)
    narrow = fit([name], with_column(world, 6e-6 * noise))[name]
    assert "left out" in (narrow.note_ or "")
    if name not in ("variance_norm", "conformance"):  # which count the dead ones as well, in words of their own
        assert narrow.note_ == f"1 of {width + 1} directions vary by less than 1e-5 of the widest and are left out"
        dead = np.zeros(rows), np.full(rows, 7.0), -world.train.sum(axis=1)
        for column in dead:
            assert fit([name], with_column(world, column))[name].note_ is None, column[:2]
    assert fit([name], with_column(world, 1e-3 * noise))[name].note_ is None


def test_mahalanobis_does_not_move_with_the_features(world):
    offset = np.linspace(-50, 50, world.train.shape[1]).astype(np.float32)
    moved = world.with_(train=world.train + offset, tests={"ood": world.tests["ood"] + offset})
    here, there = run_scores(["mahalanobis"], world), run_scores(["mahalanobis"], moved)
    np.testing.assert_allclose(here["mahalanobis"]["ood"], there["mahalanobis"]["ood"], rtol=2e-3)


def test_residual_without_head_says_which_origin(world):
    score = fit(["residual"], world.with_(weight=None, bias=None))["residual"]
    assert score.note_ == "no head: the origin is the ID train mean"
