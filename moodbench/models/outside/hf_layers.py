"""The layers of a network of transformers, offered as timm's networks offer theirs.

transformers returns hidden states without saying which module made them. So a picture goes through, and a layer is a
module whose output is such a state; what does not match stays unnamed, and `moodbench.models.layers` says that the
network offers none. What it then compares layers with are the hidden states themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_MOST_PREFIX = 16
"""Tokens before those of the patches: class token, distillation token, registers."""


@dataclass(frozen=True)
class HiddenStates:
    """Stands for timm's ``forward_intermediates``: the hidden states of some layers.

    Attributes
    ----------
    network : list of one Module
        In a list, or it would become a part of itself.
    states : tuple of int
        Which of the hidden states are those of the layers.
    prefix : int
        Tokens that are no patches.
    """

    network: Sequence[nn.Module]
    states: tuple[int, ...]
    prefix: int

    def __call__(
        self, images: Tensor, *, norm: bool = False, intermediates_only: bool = True, return_prefix_tokens: bool = False
    ) -> list[Any]:
        """Return a map (B, D, H, W) of each layer, with its other tokens (B, P, D) where it has any."""
        found = [states_of(self.network[0], images)[place] for place in self.states]
        return [self._as_map(one) for one in found]

    def _as_map(self, values: Tensor) -> Any:
        if values.ndim != 3:
            return values
        patches = values[:, self.prefix :].transpose(1, 2)[..., None]
        return (patches, values[:, : self.prefix]) if self.prefix else patches


def states_of(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the hidden states of a pass; none where the network returns none."""
    try:
        output = network(images, output_hidden_states=True)
    except (TypeError, ValueError):
        return []
    states = getattr(output, "hidden_states", None)
    return [one for one in states if isinstance(one, Tensor)] if isinstance(states, (tuple, list)) else []


def offer_layers(network: nn.Module, features: Any, images: Tensor, patch: int | None) -> None:
    """Give a network of transformers the attributes by which `moodbench.models.layers` reads layers, if it has any.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    features : callable
        (network, images) → (B, D): which tokens they depend on says how the network pools.
    images : (B, 3, H, W) float32
        No two alike.
    patch : int, optional
        Side of its patches in pixels.
    """
    outputs: dict[str, Tensor] = {}

    def listening(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            values = output[0] if isinstance(output, (tuple, list)) and output else output
            if isinstance(values, Tensor):
                outputs[name] = values

        return hook

    # of a layer and what wraps it the outer one, which comes first
    handles = [one.register_forward_hook(listening(name)) for name, one in network.named_modules() if name]
    try:
        with torch.no_grad():
            states = states_of(network, images)
    finally:
        for handle in handles:
            handle.remove()
    named: dict[int, str] = {}
    order = {name: place for place, (name, _) in enumerate(network.named_modules())}
    for place, state in enumerate(states):
        made = [name for name, one in outputs.items() if one.shape == state.shape and torch.equal(one, state)]
        numbered = [name for name in made if name.rpartition(".")[2].isdecimal()]
        if numbered:
            named[place] = min(numbered, key=lambda name: (name.count("."), order[name]))
    if not named or len(set(named.values())) < len(named):
        return
    first = states[next(iter(named))]
    tokens = first.ndim == 3
    side = images.shape[-1] // patch if patch else 0
    beyond = first.shape[1] - side * side if tokens and side else 0
    prefix = beyond if 0 < beyond <= _MOST_PREFIX else 0
    net: Any = network
    net.feature_info = [{"module": name} for name in named.values()]
    net.forward_intermediates = HiddenStates([network], tuple(named), prefix)
    net.forward_features = _Forward([network])
    net.num_prefix_tokens = prefix
    net.global_pool = _pooling(network, features, images, list(named.values())[-1], prefix) if tokens else "avg"
    if prefix and getattr(net, "cls_token", None) is None:
        net.cls_token = True


@dataclass(frozen=True)
class _Forward:
    """Stands for timm's ``forward_features``: the whole pass."""

    network: Sequence[nn.Module]

    def __call__(self, images: Tensor) -> Any:
        return self.network[0](images)


def _pooling(network: nn.Module, features: Any, images: Tensor, last: str, prefix: int) -> str:
    """Return how a network pools its last layer, in timm's words: the tokens that its features depend on.

    ``token``: the first alone; ``avg``: the patches alone. Anything else, as both side by side, is no way to pool
    another layer.
    """
    if not prefix:
        return "avg"
    kept: list[Tensor] = []

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, (tuple, list)) else output)

    handle = network.get_submodule(last).register_forward_hook(hook)
    try:
        with torch.enable_grad():
            leaf = images.detach().requires_grad_()
            values = features(network, leaf)
            weights = torch.arange(values.shape[1], dtype=values.dtype).cos()
            (gradient,) = torch.autograd.grad((values * weights).sum(), kept[-1])
    except RuntimeError:  # it lets no gradient through
        return "unknown"
    finally:
        handle.remove()
    counts = gradient.abs().amax(dim=(0, 2)) > 0
    if bool(counts[0]) and not bool(counts[1:].any()):
        return "token"
    return "avg" if not bool(counts[:prefix].any()) and bool(counts[prefix:].all()) else "class token and patches"


def patch_of(config: Any) -> int | None:
    """Return the side of the patches that a configuration says; None where there is no single one."""
    inner = getattr(config, "vision_config", None)
    for one in (config, inner):
        size = one.get("patch_size") if isinstance(one, Mapping) else getattr(one, "patch_size", None)
        if isinstance(size, int) and size > 0:
            return size
    return None
