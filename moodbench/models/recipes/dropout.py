"""A pass with the network's dropout switched on: one draw of Monte Carlo dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.recipes.base import MOST, VIEWS, Recipe
from moodbench.models.recipes.seen import Pass
from moodbench.types import Head

_STEP = -1640531535
"""2^32 divided by the golden ratio, as an int32: consecutive numbers times it are spread evenly."""


@VIEWS.register("dropout")
@dataclass(frozen=True)
class Dropout(Recipe):
    """Each output of each dropout layer is zero with probability p, and divided by 1 - p otherwise.

    Parameters
    ----------
    p : float, default=0.1
        For all dropout layers of the network, whatever their own rate.
    seed : int, default=0
        Of the draw: several passes are several views.

    Notes
    -----
    A draw is a function of seed, layer, the image's number within its dataset and the place in the output: the same
    whatever the batches and the device are. Dropout inside of an attention that torch computes in one piece stays off,
    and so does dropout that is no layer of its own (as in timm's convolutional networks). Networks are mostly published
    with dropout layers of rate 0: what they do at another was never trained.

    References
    ----------
    Gal and Ghahramani, Dropout as a Bayesian Approximation, ICML 2016, arXiv 1506.02142.
    """

    gradients = False
    layered = True
    paper = "Gal and Ghahramani, ICML 2016, arXiv 1506.02142"

    p: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        self.refuse_unless(0 <= self.p < 1, "p", "is a probability, and must be at least 0 and below 1")
        self.refuse_outside("seed", 0, MOST)

    def check(self, network: nn.Module, head: Head | None) -> None:
        """Refuse a network without dropout layers."""
        if not _layers(network):
            raise ModelError(
                f"{type(network).__name__} has no dropout layers, which the view 'dropout' switches on",
                fix="leave it out, or use a network with dropout: timm's transformers have it",
            )

    def compute(self, seen: Pass) -> Tensor:
        """Return the features of one pass."""
        with self._dropping(seen), torch.inference_mode():
            return seen.forward().clone()

    @contextmanager
    def _dropping(self, seen: Pass) -> Iterator[None]:
        handles = []
        try:
            for position, layer in enumerate(_layers(seen.network)):
                handles.append(layer.register_forward_hook(self._hook(position, seen.numbers)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, position: int, numbers: Tensor) -> Any:
        seeds = mixed((numbers + 1) * 2654435761 + self.seed * 40503 + position * 2246822519)

        def drop(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            thrown = drawn(seeds.to(output.device), output[0].numel()).view(output.shape)
            return torch.where(thrown >= round(self.p * 2**32) - 2**31, output / (1 - self.p), 0.0)

        return drop


def _layers(network: nn.Module) -> list[nn.Module]:
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


def drawn(seeds: Tensor, count: int) -> Tensor:
    """Return evenly distributed int32, (B, count), that are functions of the seed (B,) int64 and the place."""
    places = torch.arange(count, dtype=torch.int32, device=seeds.device).mul_(_STEP)
    return _scrambled(places[None] ^ seeds.to(torch.int32)[:, None])


def mixed(values: Tensor) -> Tensor:
    """Return seeds, int64 within the range of int32, of whole numbers."""
    folded = (values ^ (values >> 32)) & 0xFFFFFFFF
    return _scrambled(torch.where(folded >= 2**31, folded - 2**32, folded).to(torch.int32)).to(torch.int64)


def _scrambled(x: Tensor) -> Tensor:
    """Return int32 with their bits mixed, in place: multiplications and shifts (Wellons' lowbias32)."""
    x ^= (x >> 16) & 0xFFFF
    x *= 0x7FEB352D
    x ^= (x >> 15) & 0x1FFFF
    x *= 0x846CA68B - 2**32
    x ^= (x >> 16) & 0xFFFF
    return x
