"""Statistics merge, and are exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moodbench.scores.block import Block, log_sum_exp
from moodbench.scores.machinery.bins import Bins
from moodbench.scores.machinery.quantile import entry_quantile
from moodbench.scores.machinery.sample import Sample, chosen_rows
from moodbench.scores.machinery.statistics import (
    FeatureSumsByLabel,
    Mean,
    ProbabilitySumsByPrediction,
    SecondMoment,
    exact_softmax,
)
from tests.worlds import make_world

world = make_world(3, rows=150)
MAKERS = {
    "second moment": SecondMoment,
    "feature sums": lambda: FeatureSumsByLabel(5),
    "probability sums": lambda: ProbabilitySumsByPrediction(5),
    "mean": lambda: Mean("max_logit", lambda block: block.max_logit),
}


def tensors(value):
    if isinstance(value, float):
        return [torch.tensor(value)]
    names = ("mean", "scatter") if hasattr(value, "scatter") else ("counts", "sums")
    moment = value.moved_to(torch.zeros_like(value.shift)) if hasattr(value, "scatter") else value
    return [getattr(moment, name) for name in names]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("parts", [2, 3, 7])
def test_merged_parts_equal_the_whole(kind, parts):
    blocks = world.blocks(11)
    whole = MAKERS[kind]()
    for block in blocks:
        whole.update(block)
    merged = MAKERS[kind]()
    for i in range(parts):
        part = MAKERS[kind]()
        for block in blocks[i::parts]:
            part.update(block)
        merged.merge(part)
    merged.merge(MAKERS[kind]())  # a worker that got no rows
    assert merged.key == whole.key
    for a, b in zip(tensors(whole.finalize()), tensors(merged.finalize()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_second_moment_about_any_point(offset):
    x = world.train + np.float32(offset)
    statistic = SecondMoment()
    for start in range(0, len(x), 13):
        statistic.update(Block(torch.from_numpy(x[start : start + 13])))
    moment = statistic.finalize()
    wide = x.astype(np.float64)
    np.testing.assert_allclose(moment.mean, wide.mean(axis=0), rtol=1e-12)
    centred = wide - wide.mean(axis=0)
    np.testing.assert_allclose(moment.covariance_about(moment.mean), centred.T @ centred / len(x), atol=1e-9)
    point = torch.linspace(-1, 1, x.shape[1]).double()
    off = wide - point.numpy()
    np.testing.assert_allclose(moment.covariance_about(point), off.T @ off / len(x), rtol=1e-9)


def test_rows_of_unknown_class_are_left_out():
    labels = torch.tensor([0, -1, 1, -1])
    statistic = FeatureSumsByLabel(3)
    statistic.update(Block(torch.arange(8.0).reshape(4, 2), labels=labels))
    sums = statistic.finalize()
    assert sums.counts.tolist() == [1, 1, 0]
    assert sums.means.tolist() == [[0, 1], [4, 5], [0, 0]]


def run_quantile(blocks, level):
    """Drive the generator as the engine does."""
    fit = entry_quantile(level)
    answer = None
    try:
        while True:
            request = fit.send(answer)
            statistics = request if isinstance(request, tuple) else (request,)
            for block in blocks:
                for statistic in statistics:
                    statistic.update(block)
            values = tuple(s.finalize() for s in statistics)
            answer = values if isinstance(request, tuple) else values[0]
    except StopIteration as stop:
        return stop.value


finite = st.floats(-(2.0**100), 2.0**100, width=32)


@settings(max_examples=60, deadline=None)
@given(
    x=arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=finite),
    level=st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.99, 1.0]),
    size=st.integers(1, 30),
)
def test_entry_quantile_equals_numpy(x, level, size):
    blocks = [Block(torch.from_numpy(x[s : s + size])) for s in range(0, len(x), size)]
    expected = np.quantile(x.astype(np.float64), level)
    assert run_quantile(blocks, level) == pytest.approx(expected, rel=1e-6, abs=1e-30)


@given(arrays(np.float32, 20, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_the_two_halves_of_the_bits_find_every_order_statistic(x):
    blocks = [Block(torch.from_numpy(part.reshape(-1, 2))) for part in (x[:8], x[8:])]
    for rank, expected in enumerate(np.sort(x)):
        assert run_quantile(blocks, rank / (len(x) - 1)) == pytest.approx(float(expected), rel=1e-6, abs=1e-45)


def test_probabilities_have_no_denormals_and_add_up():
    logits = torch.tensor([[0.0, -88.0, -95.0, -150.0], [3.0, 3.0, 3.0, 3.0]])
    p = Block(torch.zeros(2, 1), logits).probabilities
    assert ((p == 0) | (p >= torch.finfo(torch.float32).tiny)).all()
    torch.testing.assert_close(p.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(p[1], torch.full((4,), 0.25))


def test_log_sum_exp_does_not_overflow():
    logits = torch.tensor([[1000.0, 1000.0], [-1000.0, -1000.0]])
    torch.testing.assert_close(log_sum_exp(logits.clone()), logits[:, 0] + np.log(2))
    torch.testing.assert_close(Block(torch.zeros(2, 1), logits).log_sum_exp, logits[:, 0] + np.log(2))


def test_asking_a_block_for_what_it_lacks_is_a_bug():
    with pytest.raises(LookupError, match="declare needs"):
        _ = Block(torch.zeros(2, 1)).logits
    with pytest.raises(LookupError, match="declare needs"):
        _ = Block(torch.zeros(2, 1)).labels


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["signed", "post-ReLU", "float16"])
def test_a_random_share_has_about_its_size(kind, share):
    x = torch.randn(5000, 64, generator=torch.Generator().manual_seed(1))
    x = {"signed": x, "post-ReLU": torch.relu(x - 1), "float16": x.half().float()}[kind]
    found = chosen_rows(Block(x), share).double().mean().item()
    assert abs(found - share) < 4 * (share * (1 - share) / 5000) ** 0.5


def test_a_sample_does_not_depend_on_order_or_parts():
    x = torch.randn(300, 8, generator=torch.Generator().manual_seed(1))
    whole, parts = Sample(40), [Sample(40), Sample(40)]
    whole.update(Block(x))
    for i, start in enumerate(range(0, 300, 30)):
        parts[i % 2].update(Block(x.flip(0)[start : start + 30]))
    parts[0].merge(parts[1])
    torch.testing.assert_close(whole.finalize().features, parts[0].finalize().features)


@pytest.mark.parametrize("edges", [[0.0], [-1.0, 2.0], list(np.linspace(-3, 3, 101)), [0.0, 1e-30, 1.0], [5.0, 5.0]])
def test_bins_are_those_of_a_binary_search(edges):
    ends = torch.tensor(edges)
    inside = torch.cat([ends, ends.nextafter(torch.tensor(-torch.inf)), ends.nextafter(torch.tensor(torch.inf))])
    x = torch.cat([inside, torch.linspace(-4, 6, 1001), torch.tensor([-1e30, 1e30])])
    assert Bins(ends).of(x).tolist() == torch.bucketize(x, ends, right=True).tolist()


@pytest.mark.parametrize("scale", [1.0, 20.0, 400.0])
def test_exact_softmax_is_that_of_float64(scale):
    logits = scale * torch.randn(50, 40, generator=torch.Generator().manual_seed(0))
    expected = torch.softmax(logits.double(), dim=1)
    found = exact_softmax(logits)
    torch.testing.assert_close(found, torch.where(expected < 1e-303, found, expected), rtol=1e-13, atol=0)
    assert (found[expected < 1e-305] == 0).all()
