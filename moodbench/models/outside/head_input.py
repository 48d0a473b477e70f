"""Which layer of any network is its classifier: found by running it, and proved by what it returns.

A network that is a stranger does not say where its features are. But its classifier is a layer that it runs, and whose
output it returns: so every layer is listened to while two pictures of noise go through, and one is taken whose answer
is the network's answer. That `logits == features @ W.T + b` is then no guess, and it is compared again on the first
real pictures whenever a cache is begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.head import NO_HEAD, affine, as_vectors, head_of
from moodbench.types import Head

TOLERANCE = 1e-5
"""Largest difference of a layer's answer from that of the network in float32, relative to the largest logit."""

WAYS = {
    "one": "plain",
    "first": "first of several vectors",
    "mean": "mean of several vectors",
    "heads": "mean of several heads",
}
"""How the answers of the layers make the network's: of one layer on one vector, on several, and of several layers."""


@dataclass(frozen=True)
class HeadInput:
    """Reads features and logits of a picture in one pass: what enters the classifier, and what the network returns.

    Attributes
    ----------
    layers : tuple of str
        Names of the modules that classify. Of several with vectors of their own these lie side by side.
    way : str
        A key of `WAYS`.
    shared : bool
        Several layers read the same vector.
    """

    layers: tuple[str, ...]
    way: str = "one"
    shared: bool = False

    def __call__(self, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, D) features and (B, C) logits of (B, 3, H, W) images."""
        seen: dict[str, Tensor] = {}

        def listening(name: str) -> Any:
            def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
                seen[name] = inputs[0]

            return hook

        handles = [network.get_submodule(name).register_forward_pre_hook(listening(name)) for name in self.layers]
        try:
            logits = answer_of(network(images))
        finally:
            for handle in handles:
                handle.remove()
        vectors = [_one_vector(seen[name], self.way) for name in self.layers]
        return vectors[0] if self.shared or len(vectors) == 1 else torch.cat(vectors, dim=1), logits


@dataclass(frozen=True)
class Found:
    """The classifier of a network, and how its features are read."""

    head: Head
    compute: HeadInput

    @property
    def how(self) -> str:
        """In words, for the record."""
        return WAYS[self.compute.way]


def answer_of(output: Any) -> Tensor:
    """Return the (B, C) tensor among what a network returns: itself, ``logits`` of a record or dict, or the only one.

    Raises
    ------
    ModelError
        There is none, or more than one.
    """
    if isinstance(output, Tensor):
        return as_vectors(output)
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return as_vectors(named)
    parts = list(
        output.values() if isinstance(output, Mapping) else output if isinstance(output, (tuple, list)) else ()
    )
    flat = [one for one in parts if isinstance(one, Tensor) and one.ndim == 2]
    if len(flat) != 1:
        raise ModelError(
            f"the network returns a {type(output).__name__} with {len(flat)} tensors of one row for each picture, "
            "so it cannot be told which of them are logits",
            fix="let it return its logits alone, or call them 'logits' in a dict",
        )
    return flat[0]


def find_head(network: nn.Module, images: Tensor, name: str) -> Found:
    """Return the classifier of a network in evaluation mode.

    Parameters
    ----------
    network : Module
        (B, 3, H, W) → (B, C) logits, or what `answer_of` finds them in.
    images : (B, 3, H, W) float32
        No two alike, and none of one colour.
    name : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        It does not return the same numbers twice, or they are no linear function of one vector.
    """
    runs, logits = _listened(network, images)
    _check_answer(logits, answer_of(network(images)), len(images), name)
    scale = float(logits.abs().max())

    def agree(one: Tensor) -> bool:
        return one.shape == logits.shape and float((one - logits).abs().max()) <= TOLERANCE * scale

    classes = logits.shape[1]
    candidates = [run for run in runs if run.outputs.shape[-1] == classes]
    # from the outside in, so that a batch norm before the matrix is part of the classifier, as it is of timm's
    for way in ("one", "first", "mean"):
        for run in candidates:
            if agree(_one_vector(run.outputs, way)):
                found = _head(run, way)
                if found is not None and agree(_applied(found, _one_vector(run.inputs, way))):
                    return Found(found, HeadInput((run.name,), way))
    several = _mean_of_heads(candidates, agree)
    if several is not None:
        return several
    raise _not_linear(network, runs, classes, name)


@dataclass(frozen=True)
class _Run:
    """A module, what entered it and what came out, last."""

    name: str
    module: nn.Module
    inputs: Tensor
    outputs: Tensor


def _listened(network: nn.Module, images: Tensor) -> tuple[list[_Run], Tensor]:
    """Return what modules took and gave, in the order of their names, and the network's answer."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def listening(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
                seen[name] = inputs[0], as_vectors(output)

        return hook

    handles = [one.register_forward_hook(listening(name)) for name, one in network.named_modules() if name]
    try:
        with torch.no_grad():
            logits = answer_of(network(images))
    finally:
        for handle in handles:
            handle.remove()
    modules = dict(network.named_modules())
    return [_Run(name, modules[name], *seen[name]) for name in modules if name in seen], logits


def _check_answer(logits: Tensor, again: Tensor, count: int, name: str) -> None:
    if logits.ndim != 2 or len(logits) != count or not logits.shape[1]:
        raise ModelError(
            f"'{name}' returns {tuple(logits.shape)} for {count} pictures, not one row of logits for each", fix=NO_HEAD
        )
    if not bool(torch.isfinite(logits).all()) or not bool(logits.any()):
        raise ModelError(
            f"'{name}' answers a picture of noise with numbers that are zero or not finite",
            fix="its weights are damaged",
        )
    if not torch.allclose(logits, again, rtol=0, atol=TOLERANCE * float(logits.abs().max())):
        raise ModelError(
            f"'{name}' gives other numbers each time that it is shown the same picture",
            fix="something in it is left to chance (dropout, masks) though it is in evaluation mode: switch it off",
        )


def _one_vector(values: Tensor, way: str) -> Tensor:
    """Return (B, D) of what enters or leaves a layer."""
    values = as_vectors(values)
    if values.ndim == 3:
        if way == "mean":
            return values.mean(1)
        if way == "first" or values.shape[1] == 1:
            return values[:, 0]
    return values


def _head(run: _Run, way: str) -> Head | None:
    try:
        known = affine(run.module)
    except (ModelError, RuntimeError):  # a batch norm without statistics, a module of another kind
        return None
    if known is None or _one_vector(run.inputs, way).shape[1:] != known[0].shape[1:]:
        return None
    return head_of(*map(torch.from_numpy, known))


def _applied(head: Head, vectors: Tensor) -> Tensor:
    return nn.functional.linear(vectors.float(), torch.from_numpy(head.weight), torch.from_numpy(head.bias))


def _mean_of_heads(candidates: Sequence[_Run], agree: Any) -> Found | None:
    """Return several layers whose mean is the network's answer, as of networks that were distilled."""
    heads = [(run, head) for run in candidates if (head := _head(run, "one")) is not None]
    # of a layer and its wrapper, the wrapper
    outer = [(run, head) for run, head in heads if not any(_inside(run.name, other.name) for other, _ in heads)]
    if len(outer) < 2:
        return None
    vectors = [_one_vector(run.inputs, "one") for run, _ in outer]
    if not agree(sum(_applied(head, one) for (_, head), one in zip(outer, vectors, strict=True)) / len(outer)):
        return None
    shared = all(one.shape == vectors[0].shape and torch.equal(one, vectors[0]) for one in vectors)
    weights = [torch.from_numpy(head.weight) / len(outer) for _, head in outer]
    bias = torch.stack([torch.from_numpy(head.bias) for _, head in outer]).mean(0)
    weight = torch.stack(weights).sum(0) if shared else torch.cat(weights, dim=1)
    return Found(head_of(weight, bias), HeadInput(tuple(run.name for run, _ in outer), "heads", shared))


def _inside(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def _not_linear(network: nn.Module, runs: Sequence[_Run], classes: int, name: str) -> ModelError:
    last = runs[-1] if runs else None
    said = "" if last is None else f"; the last layer is '{last.name}' ({type(last.module).__name__})"
    return ModelError(
        f"no layer of '{name}' ({type(network).__name__}) is one linear function whose answer are its {classes} outputs"
        + said,
        fix=NO_HEAD,
    )
