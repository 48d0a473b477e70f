"""The linear head: the function that is minimised, and its minimum against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from moodbench.errors import CacheError
from moodbench.logistic import Problem, StandardisedRows, assess, measure
from moodbench.logistic.objective import cross_entropy
from tests.probes import batches, rows_of, standardised


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
