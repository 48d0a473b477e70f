"""Products with matrices that are mostly zero."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def sparse_product(rows: Tensor, matrix: Tensor) -> Tensor:
    """Return rows @ matrix, (B, C), for `rows` (B, D) with few entries that are not zero."""
    product: Tensor = torch.sparse.mm(rows.to_sparse_csr(), matrix)
    return product


def silence_warnings() -> None:
    """Silence the warnings of torch about sparse tensors: it gives each once, and gives them here.

    It says that CSR tensors are in beta, and that it does not check what it has just made itself. To be called before
    products are made in several threads: warnings cannot be caught there.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Ss]parse.*", category=UserWarning)
        sparse_product(torch.eye(1), torch.eye(1))
