"""Recipes: which tokens of a network make up its features, and linear heads that come in a file of their own.

Self-supervised networks are published without a classifier, and the linear heads trained on them read more than the
class token. A recipe says what, in the order in which the publisher's head counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.checkpoint import read_checkpoint
from moodbench.models.head import head_of, kind_of
from moodbench.registry import Registry
from moodbench.types import Head

Read = Callable[[nn.Module, Tensor], Tensor]
"""(network, (B, 3, H, W) images) → (B, D) features."""

PRE_LOGITS = "pre_logits"
"""The recipe for a network with a classifier of its own: what that classifier reads."""


class Recipe(Protocol):
    """How features are read off a network that has no classifier."""

    def reader(self, network: nn.Module, name: str) -> Read:
        """Return the function that reads them; `name` is the model's, for messages.

        Raises
        ------
        ModelError
            The network has no such tokens.
        """
        ...

    def width(self, network: nn.Module) -> int:
        """Return D."""
        ...


RECIPES: Registry[Recipe] = Registry("features recipe")


class PreLogits:
    """What the network's own classifier reads, or would read."""

    def reader(self, network: nn.Module, name: str) -> Read:
        """Return the pass through the blocks and the pooling."""
        features = kind_of(network).features

        def read(net: Any, images: Tensor) -> Tensor:
            return features(net, net.forward_features(images))

        return read

    def width(self, network: nn.Module) -> int:
        """Return D of a network without classifier."""
        net: Any = network
        return kind_of(network).vectors * int(net.head_hidden_size)


@dataclass(frozen=True)
class Tokens:
    """Class tokens of the last blocks and the mean of the last patch tokens, all after the final norm.

    Attributes
    ----------
    blocks : int
        Of how many last blocks the class token is taken.
    copies : int
        D is so many times the width of a token.
    combine : callable
        (class tokens, first to last block, each (B, width); mean patch token of the last block (B, width)) → (B, D)
    """

    blocks: int
    copies: int
    combine: Callable[[Sequence[Tensor], Tensor], Tensor]

    def reader(self, network: nn.Module, name: str) -> Read:
        """Return the pass that collects the tokens. Registers count neither as class token nor as patch."""
        _check_tokens(network, name)

        def read(net: Any, images: Tensor) -> Tensor:
            taken = net.forward_intermediates(
                images,
                indices=self.blocks,
                return_prefix_tokens=True,
                norm=True,
                output_fmt="NLC",
                intermediates_only=True,
            )
            classes = [prefix[:, 0] for _, prefix in taken]
            patches, _ = taken[-1]
            return self.combine(classes, patches.mean(dim=1))

        return read

    def width(self, network: nn.Module) -> int:
        """Return D."""
        net: Any = network
        return self.copies * int(net.num_features)


def _check_tokens(network: nn.Module, name: str) -> None:
    net: Any = network
    if not hasattr(net, "forward_intermediates") or getattr(net, "cls_token", None) is None:
        raise ModelError(
            f"the features of '{name}' are to hold its class token, but {type(network).__name__} has none",
            fix="use features: pre_logits (what timm pools), or an architecture with a class token",
        )
    if isinstance(getattr(net, "norm", None), (nn.Identity, type(None))):
        raise ModelError(
            f"the features of '{name}' are tokens after the final norm, but as built this {type(network).__name__} "
            "has none: it norms what it has pooled",
            fix="add args: {global_pool: token}, if its weights belong to that form; else use features: pre_logits",
        )


def _interleaved(classes: Sequence[Tensor], mean: Tensor) -> Tensor:
    return torch.stack((classes[-1], mean), dim=-1).flatten(1)


RECIPES.register(PRE_LOGITS)(PreLogits())
# DINOv2's heads of one layer, and its heads of four.
RECIPES.register("cls_mean")(Tokens(1, 2, lambda classes, mean: torch.cat((*classes, mean), dim=1)))
RECIPES.register("cls4_mean")(Tokens(4, 5, lambda classes, mean: torch.cat((*classes, mean), dim=1)))
# DINO's head of ViT-B counts c0, m0, c1, m1, …; those of ViT-S read the class tokens of four blocks.
RECIPES.register("cls_mean_interleaved")(Tokens(1, 2, _interleaved))
RECIPES.register("cls4")(Tokens(4, 4, lambda classes, mean: torch.cat(tuple(classes), dim=1)))


def read_head(file: Path) -> Head:
    """Return the linear head of a file that holds nothing else: ``weight`` (C, D) and ``bias`` (C,).

    Any prefix before the two names is allowed (``module.linear.weight``).

    Raises
    ------
    ModelError
        The file cannot be read, or holds something else or more than that.
    """
    tensors = read_checkpoint(file, selectable=False).tensors
    prefixes = {name.rpartition("weight")[0] for name in tensors if name.rpartition(".")[2] == "weight"}
    prefix = next(iter(prefixes), "")
    weight, bias = tensors.get(f"{prefix}weight"), tensors.get(f"{prefix}bias")
    if len(prefixes) != 1 or weight is None or bias is None or len(tensors) != 2:
        shown = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in list(tensors.items())[:4])
        more = ", …" if len(tensors) > 4 else ""
        raise ModelError(
            f"the file is not a linear head: it holds {len(tensors)} tensors ({shown}{more})",
            file=file,
            fix="a head is one 'weight' (C, D) and one 'bias' (C,), under any common prefix",
        )
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ModelError(
            f"the file is not a linear head: its weight is {tuple(weight.shape)}, its bias {tuple(bias.shape)}",
            file=file,
            fix="a head is one 'weight' (C, D) and one 'bias' (C,)",
        )
    return head_of(weight, bias)


def check_width(head: Head, file: Path, recipe: str, network: nn.Module, name: str) -> None:
    """Raise a `ModelError` unless `head` reads features of the width that `recipe` gives."""
    width = RECIPES.get(recipe).width(network)
    if head.dim == width:
        return
    net: Any = network
    other = [known for known in RECIPES if known != PRE_LOGITS and RECIPES.get(known).width(network) == head.dim]
    raise ModelError(
        f"the head reads {head.dim} numbers, but the features '{recipe}' of '{name}' are {width} wide "
        f"(a token of {type(network).__name__} has {net.num_features})",
        file=file,
        fix=f"use features: {' or '.join(other)}" if other else "use the head that belongs to this network",
    )
