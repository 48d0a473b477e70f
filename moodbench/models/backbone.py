"""A network that turns pictures into features and logits, with everything one must know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.head import Features, as_vectors, head_of, kind_of, read_classifier
from moodbench.models.transforms import ImageTransform
from moodbench.types import Head

Compute = Callable[[nn.Module, Tensor], tuple[Tensor, Tensor | None]]
"""(network, (B, 3, H, W) images) → ((B, D) features, (B, C) logits or None), both of one pass."""


@dataclass
class Backbone:
    """A network in evaluation mode, its linear head, and the transform its pictures need.

    Attributes
    ----------
    network : Module
    head : Head or None
        ``logits = features @ head.weight.T + head.bias``; None for a backbone that is used without a classifier.
    transform : ImageTransform
        RGB picture → (3, image_size, image_size) float32.
    image_size : int
        In pixels.
    record : dict
        JSON-able provenance: what was loaded, from where, and the SHA-256 of the weights.
    compute : callable
        How features and logits are read off the network.
    """

    network: nn.Module
    head: Head | None
    transform: ImageTransform
    image_size: int
    record: dict[str, Any]
    compute: Compute = field(repr=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return penultimate features and the network's own classifier output on them.

        Parameters
        ----------
        images : (B, 3, H, W) float32, transformed, on the network's device

        Returns
        -------
        features : (B, D), not normalised
        logits : (B, C), or None without head

        Raises
        ------
        ModelError
            The features are not one vector per picture.
        """
        with torch.inference_mode():
            features, logits = self.compute(self.network, images)
        if features.ndim != 2 or len(features) != len(images):
            raise ModelError(
                f"the features of '{self.record.get('timm') or self.record.get('name')}' have the shape "
                f"{tuple(features.shape)}, not one vector for each of {len(images)} pictures",
                fix="give a pooling in the model's args (global_pool: avg), or a 'features' function from Python",
            )
        return features, logits if self.head is not None else None

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        transform: ImageTransform,
        *,
        features: Callable[[nn.Module, Tensor], Tensor] | None = None,
        head: Head | None = None,
        name: str = "module",
    ) -> Backbone:
        """Make a backbone of any network. It is switched to evaluation mode.

        Parameters
        ----------
        module : Module
        transform : ImageTransform
            See `build_transform`; its record must hold ``size``.
        features : callable, optional
            (module, images) → (B, D). By default timm's ``forward_features`` and ``forward_head``, or, for a network
            whose last layer is linear (as torchvision's), the input of that layer.
        head : Head, optional
            The classifier on the features, where the network itself does not say.
        name : str
            For messages and the record.

        Raises
        ------
        ModelError
            It cannot be told where the features are.
        """
        if not isinstance(getattr(transform, "record", None), dict) or "size" not in transform.record:
            raise ModelError(
                f"the transform of '{name}' has no record of what it does",
                fix="use build_transform(...), or a callable with a dict 'record' that holds 'size'",
            )
        module.eval()
        head, compute = _protocol(module, name, features, head)
        record = {
            "name": name,
            "weights": "given as a module",
            "weights_sha256": weights_sha256(module),
            "classes": None if head is None else head.classes,
            "dim": None if head is None else head.dim,
            "image_size": transform.record["size"],
        }
        return cls(module, head, transform, transform.record["size"], record, compute)


@dataclass(frozen=True)
class TimmCompute:
    """Features and logits of a timm network: one pass through the blocks, then its own classifier over the result.

    The logits go through the network's real classifier rather than a product with the head's arrays, so that comparing
    the two proves the features to be the head's input.
    """

    features: Features

    def __call__(self, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
        net: Any = network
        tokens = net.forward_features(images)
        features = self.features(net, tokens)
        if getattr(net, "num_classes", None) == 0:
            return features, None
        return features, as_vectors(net.forward_head(tokens))


@dataclass(frozen=True)
class _InputOf:
    """Features are what enters the layer `last`; logits are the output of the network."""

    last: nn.Linear

    def __call__(self, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
        seen: list[Tensor] = []
        handle = self.last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            logits = network(images)
        finally:
            handle.remove()
        return seen[-1], logits


@dataclass(frozen=True)
class CustomPass:
    """Features come from a function (network, images) → (B, D), logits from a head's arrays."""

    features: Callable[[nn.Module, Tensor], Tensor]
    head: Head | None

    def __call__(self, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.features(network, images)
        if self.head is None:
            return features, None
        weight = torch.from_numpy(self.head.weight).to(features)
        return features, nn.functional.linear(features, weight, torch.from_numpy(self.head.bias).to(features))


def _protocol(
    module: nn.Module, name: str, features: Callable[[nn.Module, Tensor], Tensor] | None, head: Head | None
) -> tuple[Head | None, Compute]:
    """Return the head (the given one, or that which the module shows by itself) and how features are read."""
    if features is not None:
        return head, CustomPass(features, head)
    if hasattr(module, "forward_features") and hasattr(module, "forward_head"):
        compute = TimmCompute(kind_of(module).features)
        if head is None:
            return read_classifier(module, name).head, compute
        # A given head replaces the network's own classifier, so the logits must come from its arrays.
        return head, CustomPass(lambda network, images: compute(network, images)[0], head)
    leaves = [layer for layer in module.modules() if not any(True for _ in layer.children())]
    if not leaves or not isinstance(leaves[-1], nn.Linear):
        raise ModelError(
            f"it cannot be told where the features of '{name}' ({type(module).__name__}) are: "
            "its last layer is not linear",
            fix="give features=, a function (module, images) -> (B, D) tensor",
        )
    input_of = _InputOf(leaves[-1])
    if head is None:
        return head_of(leaves[-1].weight, leaves[-1].bias), input_of
    return head, CustomPass(lambda network, images: input_of(network, images)[0], head)
