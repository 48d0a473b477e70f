"""Which features a network's classifier reads, and the one matrix and bias that it applies to them.

Most networks end in one linear layer on ``forward_head(..., pre_logits=True)``. What else there is stands in `KINDS`,
one line for a class of networks; the invariant ``logits == features @ W.T + b`` is checked whenever a cache is begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.types import Head

Array = NDArray[np.float64]
Affine = tuple[Array, Array]
"""Weight (C, D) and bias (C,) of a layer, float64."""

Features = Callable[[Any, Any], Tensor]
"""(network, what its ``forward_features`` returned) → (B, D) features."""

NO_HEAD = "extract it without head (--no-head): scores that read features alone still work"


@dataclass(frozen=True)
class Reading:
    """How features are read off a network, and its head on them.

    Attributes
    ----------
    how : str
        ``plain``, or in words what had to be done.
    features : callable
    head : Head or None
        None where the network has no classifier.
    """

    how: str
    features: Features
    head: Head | None


Share = tuple[float, nn.Module]
"""A linear layer and its part in the logits."""


@dataclass(frozen=True)
class Kind:
    """A way in which networks classify.

    Attributes
    ----------
    how : str
    features : callable
    columns : callable
        network → for each vector that `features` lays side by side, the layers that read it. Their answers, each
        times its share, add up to the logits.
    vectors : int
        D of a network without classifier is so many times timm's ``head_hidden_size``.
    """

    how: str
    features: Features
    columns: Callable[[Any], Sequence[Sequence[Share]]]
    vectors: int = 1


# -- what enters the classifier -----------------------------------------------------------------------------------


def pre_logits(network: Any, tokens: Any) -> Tensor:
    """Return what timm calls the pre-logits; (B, D, 1, 1), as a convolution takes them, become (B, D)."""
    return as_vectors(network.forward_head(tokens, pre_logits=True))


def two_tokens(network: Any, tokens: Any) -> Tensor:
    """Return the class and the distillation token, side by side: timm's pre-logits are their mean, which is neither."""
    both: Tensor = tokens[:, :2].flatten(1)
    return both


def after_hidden_layer(network: Any, tokens: Any) -> Tensor:
    """Return what the last layer of a classifier with a hidden layer reads."""
    features, mlp = pre_logits(network, tokens), network.head.fc
    if not _has_hidden_layer(network):
        return features
    hidden: Tensor = mlp.norm(mlp.act(mlp.fc1(features)))
    return hidden


def as_vectors(output: Tensor) -> Tensor:
    """Return (B, D) for (B, D, 1, 1); all else unchanged."""
    return output.flatten(1) if output.ndim == 4 and output.shape[2:] == (1, 1) else output


# -- the layers of the classifier ---------------------------------------------------------------------------------


def _same(*layers: nn.Module) -> list[list[Share]]:
    """All read the same features, and their mean counts."""
    return [[(1 / len(layers), layer) for layer in layers]]


def _each(*layers: nn.Module) -> list[list[Share]]:
    """Each reads features of its own, and their mean counts."""
    return [[(1 / len(layers), layer)] for layer in layers]


def _stages(network: Any) -> list[list[Share]]:
    """EfficientViM: a layer for each stage, mixed by learned weights; two for each where it was distilled."""
    heads = [(network.heads, network.weights)]
    if hasattr(network, "heads_dist"):
        heads.append((network.heads_dist, network.weights_dist))
    mixed = [
        [(float(share) / len(heads), layer) for share, layer in zip(_array(weights.softmax(-1)), layers, strict=True)]
        for layers, weights in heads
    ]
    return [list(column) for column in zip(*mixed, strict=True)]


def _has_hidden_layer(network: Any) -> bool:
    return hasattr(network.head.fc, "fc2")


PLAIN = Kind("plain", pre_logits, lambda net: _same(net.get_classifier()))
_TWO_HEADS = Kind("mean of two heads", pre_logits, lambda net: _same(net.head, net.head_dist))
_TWO_NESTED = Kind("mean of two heads", pre_logits, lambda net: _same(net.head.head, net.head.head_dist))
_WHOLE_HEAD = Kind("plain", pre_logits, lambda net: _same(net.head))
_ONE_NESTED = Kind("plain", pre_logits, lambda net: _same(net.head.head))
_TWO_TOKENS = Kind("two tokens side by side", two_tokens, lambda net: _each(net.head, net.head_dist), vectors=2)
_BRANCHES = Kind("branches side by side", pre_logits, lambda net: _each(*net.head))
_STAGES = Kind("stages side by side, weighted", pre_logits, _stages)
_HIDDEN = Kind("after the hidden layer", after_hidden_layer, lambda net: _same(net.head.fc.fc2))

KINDS: dict[str, Callable[[Any], Kind]] = {
    "VisionTransformerDistilled": lambda net: _TWO_TOKENS,
    "PoolingVisionTransformer": lambda net: PLAIN if net.head_dist is None else _TWO_TOKENS,
    "CrossVit": lambda net: _BRANCHES,
    "EfficientViM": lambda net: _STAGES,
    "EfficientFormer": lambda net: _TWO_HEADS,
    "EfficientFormerV2": lambda net: _TWO_HEADS,
    "SwiftFormer": lambda net: _TWO_HEADS,
    "LevitDistilled": lambda net: _TWO_HEADS,
    "EfficientVitMsra": lambda net: _WHOLE_HEAD,
    "SHViT": lambda net: _WHOLE_HEAD,
    "RepVit": lambda net: _TWO_NESTED if net.head.distillation else _ONE_NESTED,
    "IFormer": lambda net: _TWO_NESTED if net.head.distillation else _ONE_NESTED,
    "MetaFormer": lambda net: _HIDDEN if _has_hidden_layer(net) else PLAIN,
}
"""timm's classes of networks (or their ancestors) that are not plain, or whose ``get_classifier()`` is not the whole
classifier (EfficientViT's and SHViT's leave out the batch norm). What it is made of matters little: `affine` folds
batch norms."""


def kind_of(network: nn.Module) -> Kind:
    """Return how `network` classifies."""
    for ancestor in type(network).__mro__:
        if ancestor.__name__ in KINDS:
            return KINDS[ancestor.__name__](network)
    return PLAIN


def read_classifier(network: nn.Module, name: str) -> Reading:
    """Return the features that a timm network's classifier reads, and weight and bias of it as one matrix.

    Parameters
    ----------
    network : Module
        With timm's ``forward_features``, ``forward_head`` and ``get_classifier``.
    name : str
        Name of the model, for messages.

    Raises
    ------
    ModelError
        The classifier is not one linear function of one feature vector.
    """
    net: Any = network
    kind = kind_of(network)
    if getattr(net, "num_classes", None) == 0:
        return Reading(kind.how, kind.features, None)
    if not hasattr(net, "get_classifier"):
        raise _not_linear(network, name, "it does not say which layer is its classifier")
    if getattr(net, "aux_head", None) is not None:
        raise _not_linear(network, name, "the largest answer of a second classifier on the single patches is added")
    columns = kind.columns(net)
    layers = [layer for column in columns for _, layer in column]
    if all(_absent(layer) for layer in layers):
        return Reading(kind.how, kind.features, None)
    folded = ", batch norm folded" if any(_is_folded(layer) for layer in layers) else ""
    parts = [[(share, _affine_of(layer, network, name)) for share, layer in column] for column in columns]
    return Reading(kind.how + folded, kind.features, _combined(parts))


def head_of(weight: Tensor, bias: Tensor | None) -> Head:
    """Return the head with copies of `weight` (C, D) and `bias` (C,); without bias, zeros."""
    return _head(*_arrays(weight, bias))


def affine(layer: object) -> Affine | None:
    """Return weight and bias of a layer that is one linear function, or None if it is not.

    A linear layer, a 1×1 convolution, and a wrapper around one linear layer, with a batch norm before it or without,
    are understood. Layers without parameters (dropout, pooling) count as nothing: they have done their work before the
    features.
    """
    if isinstance(layer, nn.Linear):
        return _arrays(layer.weight, layer.bias)
    if isinstance(layer, nn.Conv2d):
        one_by_one = layer.kernel_size == (1, 1) and layer.groups == 1
        return _arrays(layer.weight.flatten(1), layer.bias) if one_by_one else None
    parts = list(_parts(layer))
    match [type(part) for part in parts]:
        case [only] if issubclass(only, (nn.Linear, nn.Conv2d)):
            return affine(parts[0])
        case [norm, linear] if issubclass(norm, nn.BatchNorm1d) and issubclass(linear, nn.Linear):
            return _folded(parts[0], parts[1])
    return None


def _parts(layer: object) -> Iterator[nn.Module]:
    """Yield the parts of a wrapper that hold numbers; nothing if it holds numbers of its own."""
    if isinstance(layer, nn.Module) and not [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]:
        yield from (part for part in layer.children() if part.state_dict())


def _is_folded(layer: object) -> bool:
    return any(isinstance(part, nn.BatchNorm1d) for part in _parts(layer))


def _folded(norm: Any, linear: Any) -> Affine:
    """Return ``linear(norm(x))`` as one linear function. The running statistics are what evaluation uses."""
    if norm.running_mean is None:
        raise ModelError("a batch norm without running statistics cannot be folded into the head", fix=NO_HEAD)
    weight, bias = _arrays(linear.weight, linear.bias)
    scale = 1 / np.sqrt(_array(norm.running_var) + norm.eps)
    shift = -_array(norm.running_mean) * scale
    if norm.affine:
        gain = _array(norm.weight)
        scale, shift = scale * gain, shift * gain + _array(norm.bias)
    return weight * scale, bias + weight @ shift


def _affine_of(layer: object, network: nn.Module, name: str) -> Affine:
    found = affine(layer)
    if found is not None:
        return found
    if isinstance(layer, (tuple, list, nn.ModuleList)):
        raise _not_linear(network, name, f"it has {len(layer)} classifiers instead of one")
    raise _not_linear(network, name, f"its classifier is a {type(layer).__name__}")


def _combined(columns: Sequence[Sequence[tuple[float, Affine]]]) -> Head:
    weight = np.concatenate([sum(share * w for share, (w, _) in column) for column in columns], axis=1)
    bias = sum(share * b for column in columns for share, (_, b) in column)
    return _head(weight, np.asarray(bias))


def _absent(layer: object) -> bool:
    return layer is None or (isinstance(layer, nn.Module) and not layer.state_dict())


def _arrays(weight: Tensor, bias: Tensor | None) -> Affine:
    return _array(weight), np.zeros(len(weight)) if bias is None else _array(bias)


def _array(tensor: Tensor) -> Array:
    return tensor.detach().to("cpu", torch.float64).numpy()


def _head(weight: Array, bias: Array) -> Head:
    return Head(weight.astype(np.float32), bias.astype(np.float32))


def _not_linear(network: nn.Module, name: str, why: str) -> ModelError:
    return ModelError(
        f"the head of '{name}' ({type(network).__name__}) is not one linear layer on its features: {why}", fix=NO_HEAD
    )
