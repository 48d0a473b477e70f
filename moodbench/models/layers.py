"""The layers of a network: their names, and one vector of each for a picture, read while the network computes.

Names and outputs are those of timm's `feature_info` and `forward_intermediates`: the blocks of a transformer, the
stages of a convolutional network, as they return them, without the network's final norm. They are read by hooks in the
very forward pass that makes the features, and pooled at once: whole maps of all layers would be as large as a batch of
pictures many times over. That a hook sees what `forward_intermediates` returns is proved before a cache is begun.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.choices import Pool
from moodbench.errors import ModelError
from moodbench.views import LayerChoice, LayerView

TOLERANCE = 1e-4
"""Largest difference of what a hook reads from `forward_intermediates` in float32, relative to the largest number."""


@dataclass(frozen=True)
class Layer:
    """A layer of a network, and how its output becomes one vector.

    Attributes
    ----------
    name : str
        Of the module, as timm has it in `feature_info`.
    index, count : int
        Which it is of how many, from the input to the output; from 0.
    pool : {"cls", "mean", "std"}
        The class token; or the mean over the patches (without class token and registers), or over the map; or the
        standard deviation over the same places (of n, divided by n - 1).
    view : str
        What follows ``@`` in the name of its cache.
    """

    name: str
    index: int
    count: int
    pool: str
    view: str

    @property
    def noted(self) -> dict[str, Any]:
        """What the provenance of its cache notes."""
        record = {"name": self.name, "index": self.index, "count": self.count, "pool": self.pool, "norm": False}
        return {"layer": record}


def choose_layers(
    network: nn.Module, choice: LayerChoice, pool: Pool = "model", option: str = "--layers"
) -> tuple[Layer, ...]:
    """Return the chosen layers of a network, in its order; `option` asked for them.

    Raises
    ------
    UnknownNameError
        It has no layer of that name.
    ModelError
        It does not offer its layers, has no class token, or pools in a way that only its last layer can be pooled in.
    """
    offered = layer_names(network, option)
    own = _own_pool(network)
    if pool == "model" and own is None:
        raise ModelError(
            f"{type(network).__name__} pools its last layer with '{_said(network)}', which other layers have no "
            "weights for",
            fix="--pool mean" + (" or --pool cls" if _has_class_token(network) else ""),
        )
    if pool == "cls" and not _has_class_token(network):
        raise ModelError(f"{type(network).__name__} has no class token", fix="--pool mean, or leave --pool out")
    chosen = own if pool == "model" else pool
    assert chosen is not None
    suffix = None if chosen == own else chosen
    return tuple(
        Layer(name, offered.index(name), len(offered), chosen, str(LayerView(name, suffix)))
        for name in choice.of(offered)
    )


def layer_names(network: nn.Module, option: str = "--layers") -> list[str]:
    """Return the names of the layers that a network offers, from input to output; `option` asked for them.

    Raises
    ------
    ModelError
        It offers none.
    """
    info = getattr(network, "feature_info", None)
    rows = getattr(info, "info", info)  # timm keeps a list, or wraps it
    names = [str(row.get("module", "")) for row in rows] if isinstance(rows, Sequence) else []
    modules = dict(network.named_modules())
    if not hasattr(network, "forward_intermediates") or not names or any(name not in modules for name in names):
        raise ModelError(
            f"{type(network).__name__} does not offer its layers (timm's forward_intermediates and feature_info)",
            fix=f"leave {option} out, or use a network of timm that does: most of its transformers and convolutional "
            "networks",
        )
    return names


def _has_class_token(network: nn.Module) -> bool:
    return getattr(network, "cls_token", None) is not None


def _said(network: nn.Module) -> str:
    return str(getattr(network, "global_pool", ""))


def _own_pool(network: nn.Module) -> str | None:
    """Return how the network pools its last layer; None: not in a way that fits every layer."""
    own = getattr(network, "global_pool", None)
    if not isinstance(own, str):
        return "mean"  # of convolutional networks, whose maps are averaged
    return {"token": "cls", "avg": "mean"}.get(own) if own or _has_class_token(network) else "mean"


@dataclass(frozen=True)
class Taps:
    """Reads layers of a network while it computes.

    Attributes
    ----------
    network : Module
    layers : sequence of Layer
    """

    network: nn.Module
    layers: Sequence[Layer]

    @contextmanager
    def reading(self) -> Iterator[list[Tensor]]:
        """Read what the layers return within the block: a list, filled by its end, of (B, D) float32 for each layer.

        Raises
        ------
        ModelError
            A layer was not run, or more than once.
        """
        seen: list[list[Tensor]] = [[] for _ in self.layers]
        handles = []
        try:
            for layer, into in zip(self.layers, seen, strict=True):
                module = self.network.get_submodule(layer.name)
                handles.append(module.register_forward_hook(self._hook(layer, into)))
            taken: list[Tensor] = []
            yield taken
        finally:
            for handle in handles:
                handle.remove()
        for layer, found in zip(self.layers, seen, strict=True):
            if len(found) != 1:
                raise self._refused(layer, f"ran {len(found)} times in one pass")
            taken.append(found[0])

    def _hook(self, layer: Layer, into: list[Tensor]) -> Any:
        prefix = int(getattr(self.network, "num_prefix_tokens", 0) or 0)
        colours_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            values = output[0] if isinstance(output, (tuple, list)) else output
            into.append(_pooled(values, layer.pool, prefix, colours_last))

        return hook

    def check(self, images: Tensor) -> list[int]:
        """Compare what the hooks read with `forward_intermediates`, and return the width of each layer.

        Parameters
        ----------
        images : (B, 3, H, W) float32, transformed, on the network's device

        Raises
        ------
        ModelError
            They differ.
        """
        net: Any = self.network
        with torch.inference_mode():
            with self.reading() as read:
                net.forward_features(images)
            references = self._intermediates(images)
        for layer, own, wanted in zip(self.layers, read, references, strict=True):
            if own.shape != wanted.shape:
                raise self._refused(layer, f"gives {tuple(own.shape)}, forward_intermediates {tuple(wanted.shape)}")
            if not bool(torch.isfinite(own).all()):
                raise self._refused(layer, "gives numbers that are not finite")
            error = float((own - wanted).abs().max() / wanted.abs().max().clamp_min(1e-12))
            if not error <= TOLERANCE:
                raise self._refused(layer, f"differs from forward_intermediates by {error:.2g} of its largest number")
        return [values.shape[1] for values in read]

    def _intermediates(self, images: Tensor) -> list[Tensor]:
        """Return the layers as timm's `forward_intermediates` has them, pooled: (B, D) each."""
        net: Any = self.network
        known = inspect.signature(net.forward_intermediates).parameters
        more = {"return_prefix_tokens": True} if "return_prefix_tokens" in known else {}
        maps = net.forward_intermediates(images, norm=False, intermediates_only=True, **more)
        if len(maps) != self.layers[0].count:
            raise self._refused(self.layers[0], f"is one of {self.layers[0].count}, and {len(maps)} are returned")
        return [_of_timm(maps[layer.index], layer.pool) for layer in self.layers]

    def _refused(self, layer: Layer, what: str) -> ModelError:
        return ModelError(
            f"the layer '{layer.name}' of {type(self.network).__name__} cannot be read in the forward pass: it {what}",
            fix="leave it out: name others with --layers NAME,NAME",
        )


def _pooled(values: Tensor, pool: str, prefix: int, colours_last: bool) -> Tensor:
    """Return one vector of each picture, (B, D) float32, that shares no memory with the layer's output.

    `values` are tokens (B, N, D), of which the first `prefix` are no patches, or a map (B, D, H, W) or (B, H, W, D).
    """
    if pool == "std":
        if values.ndim == 4:
            return _deviation(values.flatten(1, 2) if colours_last else values.flatten(2).mT)
        return _deviation(values[:, prefix:] if values.ndim == 3 else values.flatten(1)[:, None])
    if values.ndim == 4:
        return values.mean((1, 2) if colours_last else (2, 3), dtype=torch.float32)
    if values.ndim != 3:
        return values.flatten(1).to(torch.float32, copy=True)
    if pool == "cls":
        return values[:, 0].to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    return values[:, prefix:].mean(1, dtype=torch.float32)


def _of_timm(found: Tensor | tuple[Tensor, Tensor], pool: str) -> Tensor:
    """Pool what `forward_intermediates` returns of a layer: a map (B, D, H, W), with the other tokens where it has."""
    values, others = found if isinstance(found, tuple) else (found, None)
    if pool == "cls" and others is not None:
        return others[:, 0].float()
    return _deviation(values.flatten(2).mT) if pool == "std" else values.mean((2, 3), dtype=torch.float32)


def _deviation(places: Tensor) -> Tensor:
    """Return the standard deviation over places (B, N, D), (B, D) float32; no numbers where N is 1."""
    values = places.float()
    return values.std(1) if values.shape[1] > 1 else values[:, 0] * torch.nan
