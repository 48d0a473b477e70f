"""The linear head: the function that is minimised, the minimum against scikit-learn, the choice of the penalty."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from moodbench.commands.import_ import import_features
from moodbench.errors import CacheError
from moodbench.features.heads import head_provenance, read_head, store_head, write_head
from moodbench.features.labelled import LabelledRows
from moodbench.features.reader import RowReader
from moodbench.logistic import Problem, Settings, StandardisedRows, assess, choose, measure
from moodbench.logistic.objective import cross_entropy
from moodbench.probing.train import ProbeRows, train_head
from moodbench.types import Head
from moodbench.workspace import Workspace

CPU = torch.device("cpu")


def rows_of(seed=0, *, n=300, dim=8, classes=4, spread=1.0):
    """Return classes that overlap, in columns that are correlated and of different size."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    x = rng.normal(size=(classes, dim))[y] * spread + rng.normal(size=(n, dim))
    x = x @ rng.normal(size=(dim, dim)) * np.logspace(-2, 2, dim) + 10 * rng.normal(size=dim)
    return x.astype(np.float32), y


def batches(x, y, size=64):
    def start():
        for first in range(0, len(x), size):
            part = slice(first, first + size)
            yield torch.tensor(x[part]), torch.tensor(y[part])

    return start


def standardised(x, y, *, size=64, keep=1 << 30, dtype=torch.float64):
    start = batches(x, y, size)
    moments = measure(start, int(y.max()) + 1)
    return StandardisedRows(start, moments, len(y), keep=keep, dtype=dtype), moments


def fitted(x, y, lam, *, tolerance=1e-9, iterations=1000, **how):
    with torch.inference_mode():
        rows, moments = standardised(x, y, **how)
        return Problem(rows, moments).fit(lam, tolerance=tolerance, iterations=iterations), moments


def scaled(x):
    x = x.astype(np.float64)
    return (x - x.mean(axis=0)) / x.std(axis=0)


# -- rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_moments(size):
    x, y = rows_of()
    x[:, 3] = np.float32(0.1)  # its mean cannot be computed without rounding
    x[:, 5] += 3000
    moments = measure(batches(x, y, size), 4)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(moments.mean, wide.mean(axis=0), rtol=1e-6)
    std = wide.std(axis=0)
    live = np.arange(8) != 3
    np.testing.assert_allclose(1 / moments.inverse_std[live], std[live], rtol=1e-5)
    assert moments.inverse_std[3] == 0
    assert (moments.rows, moments.counts.tolist()) == (300, np.bincount(y).tolist())
    rebuilt = (moments.vectors * moments.values) @ moments.vectors.T
    np.testing.assert_allclose(rebuilt[live][:, live], np.corrcoef(wide[:, live].T), atol=1e-5)


def test_values_that_cannot_be_squared():
    x, y = rows_of()
    with pytest.raises(CacheError, match="too large"):
        measure(batches(x * np.float32(1e25), y), 4)


def test_folded_weights_say_the_same_on_plain_rows():
    x, y = rows_of()
    rows, moments = standardised(x, y)
    weight, bias = torch.randn(4, 8, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    plain, shifted = moments.fold(weight, bias)
    wanted = torch.cat([features @ weight.T + bias for features, _ in rows()])
    np.testing.assert_allclose(x.astype(np.float64) @ plain.numpy().T + shifted.numpy(), wanted, atol=1e-4)


# -- the function -------------------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_finite_differences():
    x, y = rows_of(n=50, dim=3)
    rows, _ = standardised(x, y, size=7)
    rng = torch.Generator().manual_seed(0)
    at = torch.randn(4, 4, generator=rng, dtype=torch.float64)

    def value(flat):
        return cross_entropy(rows, flat[:, :3].contiguous(), flat[:, 3].contiguous())

    _, by_weight, by_bias = value(at)
    gradient = torch.cat([by_weight, by_bias[:, None]], dim=1)
    for i in range(4):
        for j in range(4):
            step = torch.zeros_like(at)
            step[i, j] = 1e-5
            slope = (value(at + step)[0] - value(at - step)[0]) / 2e-5
            assert slope == pytest.approx(float(gradient[i, j]), rel=1e-7, abs=1e-9)


def test_the_loss_is_the_cross_entropy():
    x, y = rows_of()
    weight, bias = torch.randn(4, 8) / 100, torch.randn(4)
    loss, _, _ = cross_entropy(batches(x, y, 50), weight, bias)
    logits = torch.tensor(x).double() @ weight.double().T + bias.double()
    wanted = float(torch.nn.functional.cross_entropy(logits, torch.tensor(y)))
    assert loss == pytest.approx(wanted, rel=1e-5)
    quality = assess(batches(x, y, 50), weight, bias)
    assert quality.nll == pytest.approx(wanted, rel=1e-5)
    assert quality.accuracy == float((logits.argmax(dim=1).numpy() == y).mean())
    p = logits.softmax(dim=1)
    assert quality.doubt == pytest.approx(float((1 - p.square().sum(dim=1)).mean()), rel=1e-4)


def test_losses_of_certain_rows_keep_their_digits():
    """Also those far below the resolution of float32 at 1, and those of rows that are certainly wrong."""
    x, y = np.array([[30.0], [-200.0]], np.float32), np.array([0, 0])
    weight, bias = torch.tensor([[1.0], [0.0]]), torch.zeros(2)
    loss, gradient, _ = cross_entropy(batches(x[:1], y[:1]), weight, bias)
    assert loss == pytest.approx(np.exp(-30), rel=1e-5, abs=0)
    assert float(gradient[0, 0]) == pytest.approx(-30 * np.exp(-30), rel=1e-5, abs=0)
    assert cross_entropy(batches(x[1:], y[1:]), weight, bias)[0] == pytest.approx(200)


# -- the minimum --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [1.0, 1e-2, 1e-4])
def test_the_minimum_is_that_of_scikit_learn(lam):
    x, y = rows_of()
    ours, moments = fitted(x, y, lam)
    theirs = LogisticRegression(C=1 / (lam * len(y)), tol=1e-10, max_iter=10_000).fit(scaled(x), y)
    assert ours.converged
    np.testing.assert_allclose(ours.weight, theirs.coef_, atol=2e-5 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.bias, theirs.intercept_ - theirs.intercept_.mean(), atol=2e-5)
    weight, bias = moments.fold(ours.weight, ours.bias)
    logits = torch.tensor(x.astype(np.float64) @ weight.numpy().T + bias.numpy())
    np.testing.assert_allclose(logits.softmax(dim=1), theirs.predict_proba(scaled(x)), atol=1e-4)
    assert ours.loss == pytest.approx(log_loss(y, theirs.predict_proba(scaled(x))), rel=1e-6)


def test_two_classes_are_those_of_scikit_learn_with_a_weight_vector_each():
    x, y = rows_of(classes=2)
    ours, _ = fitted(x, y, 0.01)
    # one vector w costs ||w||², two vectors ± w / 2 half of that
    theirs = LogisticRegression(C=2 / (0.01 * len(y)), tol=1e-10, max_iter=10_000).fit(scaled(x), y)
    np.testing.assert_allclose(ours.weight[1] - ours.weight[0], theirs.coef_[0], atol=1e-4)


def test_batches_of_any_size_and_rows_kept_or_read_again_give_the_same():
    x, y = rows_of()
    wanted, _ = fitted(x, y, 0.01)
    streamed, _ = fitted(x, y, 0.01, keep=0)
    assert torch.equal(streamed.weight, wanted.weight)
    assert torch.equal(streamed.bias, wanted.bias)
    for size in (1, 37, 300):
        other, _ = fitted(x, y, 0.01, size=size)
        np.testing.assert_allclose(other.weight, wanted.weight, atol=1e-5)


def test_rows_are_read_again_in_every_pass_only_if_they_do_not_fit():
    x, y = rows_of()
    starts = []

    def counted():
        starts.append(1)
        return batches(x, y)()

    moments = measure(counted, 4)
    for keep, wanted in ((300 * 8 * 4, 2), (300 * 8 * 4 - 1, 4)):
        starts.clear()
        rows = StandardisedRows(counted, moments, 300, keep=keep, dtype=torch.float32)
        first, second = (torch.cat([f for f, _ in rows()]) for _ in range(2))
        assert torch.equal(first, second)
        assert len(starts) == wanted // 2


def test_float32_comes_near():
    x, y = rows_of(n=2000)
    exact, _ = fitted(x, y, 1e-3)
    quick, _ = fitted(x, y, 1e-3, tolerance=1e-3, dtype=torch.float32)
    assert quick.converged
    np.testing.assert_allclose(quick.weight, exact.weight, atol=2e-3 * float(exact.weight.abs().max()))


def test_the_start_does_not_change_the_minimum():
    x, y = rows_of()
    rows, moments = standardised(x, y)
    problem = Problem(rows, moments)
    direct = problem.fit(1e-3, tolerance=1e-9, iterations=1000)
    strong = problem.fit(1.0, tolerance=1e-9, iterations=1000)
    warm = problem.fit(1e-3, strong, doubt=0.3, tolerance=1e-9, iterations=1000)
    np.testing.assert_allclose(warm.weight, direct.weight, atol=1e-5)
    again = problem.fit(1e-3, direct, doubt=0.3, tolerance=1e-9, iterations=1)
    np.testing.assert_allclose(again.weight, direct.weight, atol=1e-5)


def test_separable_classes_stay_finite():
    y = np.arange(60) % 3
    x = (np.eye(3, 5)[y] * 50).astype(np.float32) + np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    for lam in (1e-4, 1e-8):
        fit, _ = fitted(x, y, lam, tolerance=1e-3)
        assert fit.converged
        assert torch.isfinite(fit.weight).all()
        assert fit.loss < 1e-2


def test_a_constant_column_has_no_weight_and_constant_rows_leave_the_frequencies():
    x, y = rows_of()
    x[:, 2] = 7.3
    fit, moments = fitted(x, y, 1e-3)
    plain, shifted = moments.fold(fit.weight, fit.bias)
    assert not plain[:, 2].any()
    assert torch.isfinite(shifted).all()
    without, _ = fitted(np.delete(x, 2, axis=1), y, 1e-3)
    np.testing.assert_allclose(np.delete(fit.weight.numpy(), 2, axis=1), without.weight, atol=1e-6)
    flat, _ = fitted(np.ones_like(x), y, 1e-3)
    assert flat.converged
    np.testing.assert_allclose(flat.bias.softmax(dim=0), np.bincount(y) / len(y), rtol=1e-6)


def test_a_limit_of_iterations_is_said():
    x, y = rows_of()
    fit, _ = fitted(x, y, 1e-3, iterations=2)
    assert (fit.converged, fit.iterations) == (False, 2)
    assert fit.gradient > 1e-9


def test_every_pass_is_told():
    x, y = rows_of()
    told = []
    rows, moments = standardised(x, y)
    problem = Problem(rows, moments, lambda lam, gradient: told.append((lam, gradient)))
    fit = problem.fit(0.1, tolerance=1e-3, iterations=100)
    assert len(told) == fit.passes
    assert told[0] == (0.1, 1.0)
    assert told[-1] == (0.1, fit.gradient)


# -- the penalty --------------------------------------------------------------------------------------------------


def chosen(x, y, held_x, held_y, **settings):
    rows, moments = standardised(x, y)
    held = StandardisedRows(batches(held_x, held_y), moments, len(held_y), keep=0, dtype=torch.float64)
    return choose(Problem(rows, moments), held, Settings(**settings)), moments


def test_the_penalty_is_the_one_that_says_held_out_rows_best():
    x, y = rows_of(n=160, dim=10, spread=0.5)
    held_x, held_y = rows_of(n=160, dim=10, spread=0.5)[0][::-1], rows_of(n=160, dim=10, spread=0.5)[1][::-1]
    x, held_x, y, held_y = x[:80], held_x[:80].copy(), y[:80], held_y[:80].copy()
    found, _ = chosen(x, y, held_x, held_y, tolerance=1e-6, iterations=1000)
    mean, std = x.astype(np.float64).mean(axis=0), x.astype(np.float64).std(axis=0)
    losses = {}
    for lam in Settings().penalties[:9]:
        model = LogisticRegression(C=1 / (lam * len(y)), tol=1e-9, max_iter=10_000).fit((x - mean) / std, y)
        losses[lam] = log_loss(held_y, model.predict_proba((held_x - mean) / std))
    best = min(losses, key=losses.get)
    assert found.fit.lam == best
    assert found.at_end is None  # it lies inside, or the test says nothing
    for one in found.tried:
        assert one.nll == pytest.approx(losses[one.lam], rel=1e-4)
    position = Settings().penalties.index(best)
    assert [one.lam for one in found.tried] == list(Settings().penalties[: position + 2])
    assert found.passes == pytest.approx(sum(one.iterations for one in found.tried), rel=1)


def test_the_ends_of_the_range_are_said():
    x, y = rows_of()
    noise = np.random.default_rng(1).permutation(y)
    assert chosen(x, noise, x, np.roll(noise, 1))[0].at_end == "strongest"
    assert chosen(x, y, x, y, penalties=(1.0, 0.1))[0].at_end == "weakest"
    assert chosen(x, y, x, y, penalties=(0.1,))[0].at_end is None


# -- from a cache to a head ---------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path):
    """Import rows and open them."""

    def make(x, y, name="train"):
        np.savez(tmp_path / f"{name}.npz", features=x, labels=y)
        space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results")
        return RowReader(import_features("m", name, tmp_path / f"{name}.npz", workspace=space).file)

    return make


def trained(rows, **settings):
    return train_head(rows, Settings(**settings), CPU, title="t", progress=False)


def test_every_tenth_row_is_held_out_of_the_fit(cache):
    x, y = rows_of()
    held = np.arange(300) % 10 == 9
    head = trained(ProbeRows(cache(x, y), None, 10), penalties=(0.01,)).head
    x[held], y[held] = 1e6, 0  # would change moments and weights
    other = trained(ProbeRows(cache(x, y, "other"), None, 10), penalties=(0.01,))
    np.testing.assert_array_equal(other.head.weight, head.weight)
    np.testing.assert_array_equal(other.head.bias, head.bias)
    assert (other.record["rows"], other.record["held_out_rows"]) == (270, 30)
    x[0] += 1
    assert not np.array_equal(
        trained(ProbeRows(cache(x, y, "3"), None, 10), penalties=(0.01,)).head.weight, head.weight
    )


def test_the_head_is_measured_as_it_is_stored(cache):
    x, y = rows_of()
    held = np.arange(300) % 10 == 9
    made = trained(ProbeRows(cache(x, y), None, 10))
    logits = x[held] @ made.head.weight.T + made.head.bias
    assert made.record["accuracy"] == (logits.argmax(axis=1) == y[held]).mean()
    probabilities = torch.tensor(logits).softmax(dim=1).numpy()
    wanted = -np.log(probabilities[np.arange(held.sum()), y[held]]).mean()
    assert made.record["nll"] == pytest.approx(wanted, rel=1e-4)
    assert made.record["nll"] == pytest.approx(min(t["nll"] for t in made.record["tried"]), rel=1e-4)
    assert made.head.weight.dtype == np.float32


def test_validation_rows_choose_where_there_are_some(cache):
    x, y = rows_of()
    more = rows_of(n=40)
    rows = ProbeRows(cache(x, y), cache(*more, "validation"), 10)
    made = trained(rows)
    assert (made.record["rows"], made.record["held_out_rows"]) == (300, 40)
    assert rows.inputs["held_out"] == {"contents": rows.validation.fingerprint}
    with pytest.raises(CacheError, match="class that ID train, with 4 classes, has no row of"):
        trained(dataclasses.replace(rows, validation=cache(more[0], np.full(40, 4), "wrong")))


def test_rows_without_label_are_left_out(cache):
    x, y = rows_of()
    partly = np.where(np.arange(300) % 7 == 0, -1, y)
    reader = cache(x, partly)
    rows = LabelledRows(reader, CPU, block=50)
    assert rows.rows == (partly >= 0).sum()
    np.testing.assert_array_equal(torch.cat([f for f, _ in rows()]), x[partly >= 0])
    np.testing.assert_array_equal(torch.cat([labels for _, labels in rows()]), y[partly >= 0])
    assert trained(ProbeRows(reader, None, 10)).record["unlabelled"] == 43


BAD_LABELS = {
    "none": (lambda y: np.full_like(y, -1), "no row of ID train has a label"),
    "one class": (lambda y: np.full_like(y, 2), "all labelled rows of ID train are of class 2"),
    "a gap": (lambda y: np.where(y == 1, 6, y), "3 of 7 classes have no row to fit on, the first is class 1"),
    "only held out": (
        lambda y: np.where(np.arange(len(y)) == 9, 4, y),
        "1 of 5 classes have no row to fit on, the first is class 4",
    ),
    "nothing held out": (
        lambda y: np.where(np.arange(len(y)) % 10 == 9, -1, y),
        "no labelled rows to choose the penalty with",
    ),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_that_cannot_be_fitted(cache, case):
    change, message = BAD_LABELS[case]
    x, y = rows_of()
    with pytest.raises(CacheError, match=message) as caught:
        trained(ProbeRows(cache(x, change(y)), None, 10))
    assert caught.value.file.name == "train.h5"


# -- heads on disk ------------------------------------------------------------------------------------------------


def test_a_head_says_what_it_was_made_from(tmp_path):
    head = Head(np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    file, twin = (tmp_path / name / "m" / "heads" / "probe.h5" for name in "ab")
    for one in (file, twin):
        write_head(one, head, {"inputs": {"features": "abc"}, "lam": 0.01})
    assert file.read_bytes() == twin.read_bytes()
    assert head_provenance(file) == {"inputs": {"features": "abc"}, "lam": 0.01}
    np.testing.assert_array_equal(read_head(file).weight, head.weight)
    store_head(file, head)  # an equal head is accepted and what is said about it stays
    assert head_provenance(file)["lam"] == 0.01
    assert [p.name for p in file.parent.iterdir()] == ["probe.h5"]


def test_a_head_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "heads").write_text("a file where a folder should be")
    head = Head(np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    with pytest.raises(CacheError, match="the head cannot be written"):
        write_head(tmp_path / "heads" / "probe.h5", head)
    assert [p.name for p in tmp_path.iterdir()] == ["heads"]
