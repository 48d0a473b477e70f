"""Products by whichever library: the same numbers but for rounding, whatever rows they are taken with."""

from __future__ import annotations

import pytest
import torch

from moodbench.scores.machinery import products
from moodbench.scores.machinery.products import onednn_is_faster, product

AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\n"
INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\n"


@pytest.fixture
def either(monkeypatch, request):
    """Let oneDNN multiply where PyTorch has it, or not."""
    if request.param and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this PyTorch has no products by oneDNN")
    monkeypatch.setattr(products, "onednn_is_faster", lambda: request.param)
    return request.param


@pytest.mark.parametrize("either", [True, False], indirect=True)
@pytest.mark.parametrize("shape", [(0, 5, 3), (1, 5, 3), (2, 0, 3), (4, 5, 0), (70, 768, 1), (513, 300, 100)])
@pytest.mark.parametrize("stored", ["columns", "transposed"])
@pytest.mark.parametrize("added", [True, False])
def test_products_are_those_of_float64_but_for_rounding(either, shape, stored, added):
    rows, dim, count = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, dim, generator=generator)
    y = torch.randn(dim, count, generator=generator) if stored == "columns" else torch.randn(count, dim).T
    term = torch.randn(count, generator=generator) if added else None
    found = product(x, y, term)
    wanted = x.double() @ y.double() + (0.0 if term is None else term.double())
    size = x.double().abs() @ y.double().abs() + 10.0
    assert found.dtype == torch.float32
    assert found.shape == (rows, count)
    assert bool(((found - wanted).abs() <= (dim + 1) * 2.0**-24 * size).all())


@pytest.mark.skipif(not onednn_is_faster(), reason="oneDNN is not what multiplies here")
def test_a_row_does_not_depend_on_the_others():
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(300, 96, generator=generator), torch.randn(96, 40, generator=generator)
    whole = product(x, y)
    for rows in (slice(0, 64), slice(7, 200), slice(100, 300)):
        assert torch.equal(product(x[rows], y), whole[rows])


@pytest.mark.parametrize("either", [True, False], indirect=True)
def test_other_dtypes_and_gradients_are_left_to_pytorch(either):
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(product(x, y), x @ y)
    weight = torch.ones(4, 3, requires_grad=True)
    product(torch.ones(5, 4), weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[5.0] * 3] * 4


@pytest.mark.parametrize(
    ("said", "capability", "faster"),
    [
        (AMD, "AVX512", True),
        (AMD, "AVX2", False),
        (INTEL, "AVX512", False),
        (None, "AVX512", False),
    ],
)
def test_onednn_is_chosen_by_the_processor(said, capability, faster, monkeypatch, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    if said is not None:
        cpuinfo.write_text(said)
    monkeypatch.delenv("PROCESSOR_IDENTIFIER", raising=False)
    monkeypatch.setattr(products, "PROCESSOR", cpuinfo)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch._C, "has_mkl", True)
    onednn_is_faster.cache_clear()
    try:
        has = torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        assert onednn_is_faster() is (faster and has)
    finally:
        onednn_is_faster.cache_clear()
