"""Products of matrices by the fastest of the libraries that PyTorch brings for a processor.

PyTorch multiplies float32 matrices by Intel's MKL, which on AMD's processors uses half of what they have; oneDNN, which
is there too, uses all of it (AVX-512: 2.2 times as fast, docs/performance.md). Both add float32 products in float32.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

PROCESSOR = Path("/proc/cpuinfo")
"""Where Linux says who made the processor."""


def product(rows: Tensor, columns: Tensor, added: Tensor | None = None) -> Tensor:
    """Return ``rows @ columns + added``, (B, K).

    Parameters
    ----------
    rows : (B, D)
    columns : (D, K)
        Of the same dtype and device; the transpose of a stored (K, D) is as good.
    added : (K,), optional
    """
    if len(rows) > 1 and _suits(rows) and _suits(columns) and rows.shape[1] and columns.shape[1]:
        found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, columns.T, added, "none", [], "")
        return found
    return rows @ columns if added is None else torch.addmm(added, rows, columns)


def _suits(matrix: Tensor) -> bool:
    plain = matrix.dtype == torch.float32 and matrix.device.type == "cpu" and not matrix.requires_grad
    return plain and onednn_is_faster()


@lru_cache
def onednn_is_faster() -> bool:
    """Say whether float32 matrices are multiplied faster by oneDNN than by what PyTorch calls."""
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch._C.has_mkl
        and torch._C._has_mkldnn
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and _made_by_amd()
    )


def _made_by_amd() -> bool:
    try:
        with PROCESSOR.open() as lines:
            said = lines.read(4096)  # the first of many cores
    except OSError:  # not Linux
        said = os.environ.get("PROCESSOR_IDENTIFIER", "")  # Windows
    return "AuthenticAMD" in said
