"""GAIA: how unusual the gradients at the normalisation layers of a network are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.recipes.base import VIEWS, Recipe
from moodbench.models.recipes.seen import Pass
from moodbench.models.recipes.stages import last_stages
from moodbench.types import Head


@VIEWS.register("gaia_z")
@dataclass(frozen=True)
class GAIAZ(Recipe):
    """``sum_c d_lc^2 / C`` of each normalisation layer l: d_lc is the share of places where a gradient is not zero.

    It is that of ``max_k l_k(x)`` with respect to channel c of the layer's output, before the activation; C is the
    number of channels of all these layers together, so that the numbers of a picture add up to a mean.

    Notes
    -----
    One pass back from the shared forward pass. All layers of batch normalisation; in networks without, all of group
    normalisation in the last stage. What makes gradients zero is a ReLU: networks in which none is are refused.

    References
    ----------
    Chen et al., GAIA: Delving into Gradient-based Attribution Abnormality for Out-of-distribution Detection,
    NeurIPS 2023, arXiv 2311.09620, "zero-deflation". Reference code: JGEthanChen/GAIA-OOD, cal_method.py, cal_zero, and
    hook.py, get_bn_hooks.
    """

    head = True
    numbers = True
    paper = "Chen et al., NeurIPS 2023, arXiv 2311.09620"

    def check(self, network: nn.Module, head: Head | None) -> None:
        """Refuse a network without such layers."""
        _norms(network, self.name, _everywhere)

    def watches(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return those layers."""
        return _norms(network, self.name, _everywhere)

    def compute(self, seen: Pass) -> Tensor:
        """Return a number of each layer, (B, layers)."""
        shares = seen.gradients_at(
            self.watches(seen.network),
            lambda gradient: (gradient != 0).float().mean((2, 3)),
            lambda features: seen.logits(features).amax(1),
        )
        if all(bool((share == 1).all()) for share in shares):
            raise ModelError(
                f"no gradient at a layer of {type(seen.network).__name__} is zero, and the view '{self.name}' counts "
                "those that are",
                fix="leave it out: it is for networks with ReLU",
            )
        return _mean_squares(shares)


@VIEWS.register("gaia_a")
@dataclass(frozen=True)
class GAIAA(Recipe):
    """``sum_c g_lc^2 / (C o)`` of each normalisation layer l in the last two stages.

    g_lc is the mean over places of the gradient of ``sum_d f_d(x)``, the sum of all features, with respect to channel c
    of the layer's output; ``o = mean_d |d/df_d sum_k log softmax(l)_k|``; C is the number of channels of all these
    layers together, so that the numbers of a picture add up to a mean.

    Notes
    -----
    One pass back from the shared forward pass. Layers of batch normalisation; in networks without, those of group
    normalisation in the last stage alone. For ResNets the program takes the mean over places of the gradient at the
    last map in the place of the gradient at the features, which is smaller by the number of places: its numbers are so
    many times as large.

    References
    ----------
    Chen et al., GAIA: Delving into Gradient-based Attribution Abnormality for Out-of-distribution Detection,
    NeurIPS 2023, arXiv 2311.09620, "channel-wise average abnormality" with two-stage fusion. Reference code:
    JGEthanChen/GAIA-OOD, cal_method.py, cal_grad_value, and hook.py, get_beforehead_hooks.
    """

    head = True
    numbers = True
    paper = "Chen et al., NeurIPS 2023, arXiv 2311.09620"

    def check(self, network: nn.Module, head: Head | None) -> None:
        """Refuse a network without such layers."""
        _norms(network, self.name, _in_last_two)

    def watches(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return those layers."""
        return _norms(network, self.name, _in_last_two)

    def compute(self, seen: Pass) -> Tensor:
        """Return a number of each layer, (B, layers)."""
        outer: list[Tensor] = []

        def total(features: Tensor) -> Tensor:
            outer.append(self._outer(seen, features.detach()))
            return features.sum(1)

        means = seen.gradients_at(
            self.watches(seen.network), lambda gradient: gradient.mean((2, 3), dtype=torch.float32), total
        )
        return _mean_squares(means) / outer[0].clamp_min(torch.finfo(torch.float32).tiny)[:, None]

    def _outer(self, seen: Pass, features: Tensor) -> Tensor:
        """Return o, (B,): the gradient of sum_k log p_k with respect to the logits is 1 - C p."""
        assert seen.head is not None
        p = torch.softmax(seen.logits(features), dim=1)
        return ((1 - p.shape[1] * p) @ seen.head[0]).abs().mean(1)


def _everywhere(network: nn.Module, view: str) -> str:
    return ""


def _in_last_two(network: nn.Module, view: str) -> tuple[str, ...]:
    return tuple(f"{name}." for name in last_stages(network, view))


def _norms(network: nn.Module, view: str, where: Callable[[nn.Module, str], str | tuple[str, ...]]) -> list[nn.Module]:
    """Return the layers whose outputs are looked at; of layers that have an activation inside, what is before it."""
    batch, group = (
        {name: layer for name, layer in network.named_modules() if isinstance(layer, kind)}
        for kind in (nn.BatchNorm2d, nn.GroupNorm)
    )
    begins: str | tuple[str, ...] = ""
    if batch:
        begins = where(network, view)
    elif group:
        begins = f"{last_stages(network, view)[1]}."
    found = [layer for name, layer in (batch or group).items() if name.startswith(begins)]
    if not found:
        raise ModelError(
            f"the view '{view}' reads gradients at the batch or group normalisation of a convolutional network, and "
            f"{type(network).__name__} has none" + (" in its last stages" if batch or group else ""),
            fix="leave it out; networks with layer normalisation (transformers, ConvNeXt) have no such gradients",
        )
    # timm's layers that normalise and activate at once have an empty step between the two
    return [drop if isinstance(drop := getattr(layer, "drop", None), nn.Module) else layer for layer in found]


def _mean_squares(found: Sequence[Tensor]) -> Tensor:
    """Return the sum of squares of each layer, over the number of channels of all: (B, layers) float32."""
    channels = sum(values.shape[1] for values in found)
    return torch.stack([values.square().sum(1) for values in found], dim=1) / channels
