"""What a recipe of changed images sees of one batch: pictures, the network, its head, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.backbone import Backbone
from moodbench.models.layers import Taps

T = TypeVar("T")

PerRow = Callable[[Tensor], Tensor]
"""(B, D) features → (B,) numbers, each of its own row alone."""

Reduce = Callable[[Tensor], Tensor]
"""Gradient at the output of a module → what is kept of it."""


class Pass:
    """One batch of pictures on its way through a network.

    Parameters
    ----------
    backbone : Backbone
        Its weights ask for no gradients.
    images : (B, 3, H, W) float32
        Transformed, on the network's device. Nobody writes to them.
    numbers : (B,) int64
        Of the pictures within their dataset, on the CPU: what chance is drawn from.
    head : (weight (C, D), bias (C,)) or None
        On the device. `under` puts another in its place.
    precision : callable
        Opens the block within which the network computes.
    layout : memory format
        That pictures have.

    Attributes
    ----------
    reading : sequence of str
        Modules whose outputs `output` returns; set before anything is computed.
    watching : sequence of Module
        Modules at whose outputs `gradients_at` returns gradients; likewise.
    """

    def __init__(
        self,
        backbone: Backbone,
        images: Tensor,
        numbers: Tensor,
        head: tuple[Tensor, Tensor] | None,
        precision: Callable[[], AbstractContextManager[object]],
        layout: torch.memory_format,
    ) -> None:
        self.backbone = backbone
        self.images = images
        self.numbers = numbers
        self.head = head
        self._precision = precision
        self._layout = layout
        self.reading: Sequence[str] = ()
        self.watching: Sequence[nn.Module] = ()
        self._outputs: dict[str, Tensor] = {}
        self._catch = _Catch()
        self._taps: Taps | None = None
        self._last: tuple[Tensor, list[Tensor]] | None = None
        self._memo: dict[tuple[int, str], Any] = {}

    def __len__(self) -> int:
        return len(self.images)

    @property
    def network(self) -> nn.Module:
        """In evaluation mode."""
        return self.backbone.network

    @cached_property
    def std(self) -> Tensor:
        """(3, 1, 1) float32, what the transform has divided colours by, on a scale from 0 to 1.

        So much is a step of 1 in the pixels of `images`; steps that a paper counts in the pixels of the picture are
        divided by it.

        Raises
        ------
        ModelError
            The transform's record does not say it.
        """
        return self._of_colours("std", "the standard deviation that colours are divided by", "[1, 1, 1]")

    @cached_property
    def mean(self) -> Tensor:
        """(3, 1, 1) float32, what the transform has subtracted before; raises as `std` does."""
        return self._of_colours("mean", "the mean that is subtracted from colours", "[0, 0, 0]")

    def _of_colours(self, name: str, what: str, none: str) -> Tensor:
        values = self.backbone.transform.record.get(name)
        if values is None:
            raise ModelError(
                f"the record of the transform has no '{name}', and this view changes pixels in units of the picture's "
                "own",
                fix=f"put {what} into the record: '{name}': {none} for none",
            )
        return torch.tensor(values, dtype=torch.float32, device=self.images.device).view(-1, 1, 1)

    def clamped(self, images: Tensor) -> Tensor:
        """Return pictures with every colour between black and white."""
        return torch.maximum(torch.minimum(images, (1 - self.mean) / self.std), -self.mean / self.std)

    def forward(self, images: Tensor | None = None) -> Tensor:
        """Return the features of pictures like `images`, (B, D) float32; of `images` themselves by default.

        As the model's own are computed; with a graph where gradients are switched on.
        """
        shown = self.images if images is None else images.contiguous(memory_format=self._layout)
        with self._precision(), self._reading() as layers:
            features, _ = self.backbone.compute(self.network, shown)
        features = features.float()
        if self._taps is not None:
            self._last = features.detach(), [layer.detach() for layer in layers]
        return features

    def _reading(self) -> AbstractContextManager[list[Tensor]]:
        return nullcontext([]) if self._taps is None else self._taps.reading()

    @contextmanager
    def tapped(self, taps: Taps | None) -> Iterator[None]:
        """Read layers in every pass of `forward` within the block; `last` has those of the last one."""
        self._taps, self._last = taps, None
        try:
            yield
        finally:
            self._taps = None

    @property
    def last(self) -> tuple[Tensor, list[Tensor]]:
        """Features (B, D) and layers, (B, width) each, of the last pass of `forward` within `tapped`."""
        if self._last is None:
            raise ModelError("no pass of the network was asked for, so it has no layers")
        return self._last

    def logits(self, features: Tensor) -> Tensor:
        """Return what the head makes of features (B, D): (B, C) float32.

        Recipes that ask for them say ``head = True``.
        """
        if self.head is None:
            raise LookupError("this model has no head; declare head = True")
        weight, bias = self.head
        return torch.addmm(bias, features, weight.T)

    @cached_property
    def _traced(self) -> tuple[Tensor, Tensor]:
        with self.maps(self.reading) as self._outputs, self._catch.at(self.watching):
            return self._trace(self.images)

    @property
    def traced(self) -> Tensor:
        """(B, D) float32, the features of `images` with the graph of their computation; computed once for all."""
        return self._traced[1]

    def output(self, name: str) -> Tensor:
        """Return what a module made of `images`, with the graph from there to `traced`.

        Recipes name the modules that they want (`Recipe.reads`). As it is: tokens (B, N, D) or a map (B, D, H, W).
        """
        _ = self._traced
        return self._outputs[name]

    def shared(self, key: str, compute: Callable[[], T]) -> T:
        """Return what is filed under `key`, computed by the first recipe that asks for it with this head."""
        place = id(self.head), key
        if place not in self._memo:
            self._memo[place] = compute()
        found: T = self._memo[place]
        return found

    @contextmanager
    def under(self, head: tuple[Tensor, Tensor] | None) -> Iterator[Pass]:
        """Put a head in the place of the model's own within the block; it must outlive the pass."""
        before, self.head = self.head, head
        try:
            yield self
        finally:
            self.head = before

    def _trace(self, images: Tensor) -> tuple[Tensor, Tensor]:
        leaf = images.detach().requires_grad_()
        with torch.enable_grad():
            return leaf, self.forward(leaf)

    def gradient(self, of: PerRow, images: Tensor | None = None) -> Tensor:
        """Return the gradient of a number of each picture with respect to its own normalised pixels, (B, 3, H, W).

        Parameters
        ----------
        of : callable
            (B, D) features → (B,) float32.
        images : (B, 3, H, W) float32, optional
            At other pictures than `images`.
        """
        leaf, features = self._traced if images is None else self._trace(images)
        with torch.enable_grad():
            total = of(features).sum()
        (found,) = torch.autograd.grad(total, leaf, retain_graph=images is None)
        return found

    def gradients_at(self, modules: Sequence[nn.Module], reduce: Reduce, of: PerRow) -> list[Tensor]:
        """Return what `reduce` makes of the gradient at the output of each module, in one pass back from `traced`.

        Recipes say at which (`Recipe.watches`). The gradient is that of the output as the module returns it, whatever
        is done to it in place afterwards.

        Parameters
        ----------
        modules : sequence of Module
        reduce : callable
            Gradient at an output → what is kept of it. It is called as soon as there is one, so none of them is kept.
        of : callable
            As of `gradient`: (B, D) features → (B,) float32.
        """
        _ = self._traced
        with self._catch.caught(reduce) as found:
            self.gradient(of)
        if lacking := [module for module in modules if module not in found]:
            raise LookupError(f"{lacking[0]} is not watched; name it in Recipe.watches")
        return [found[module] for module in modules]

    @contextmanager
    def maps(self, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Collect what modules of these names return while the network computes within the block.

        As they are: tokens (B, N, D) or maps (B, D, H, W), with their graph where gradients are switched on. Of a
        module that runs several times, the last.
        """
        found: dict[str, Tensor] = {}

        def hook(name: str) -> Any:
            def keep(module: nn.Module, inputs: Any, output: Any) -> None:
                found[name] = output[0] if isinstance(output, (tuple, list)) else output

            return keep

        handles = [self.network.get_submodule(name).register_forward_hook(hook(name)) for name in names]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()


class _Catch:
    """What gradients that pass by are handed to; graphs hold it, so it holds none of their tensors."""

    def __init__(self) -> None:
        self._reduce: Reduce | None = None
        self._found: dict[nn.Module, Tensor] = {}

    @contextmanager
    def at(self, modules: Sequence[nn.Module]) -> Iterator[None]:
        """Look at the outputs that these return within the block, whenever a gradient reaches them."""
        handles = [module.register_forward_hook(self._watch) for module in dict.fromkeys(modules)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _watch(self, module: nn.Module, inputs: Any, output: Any) -> None:
        output.register_hook(lambda gradient: self._take(module, gradient))

    def _take(self, module: nn.Module, gradient: Tensor) -> None:
        if self._reduce is not None:
            self._found[module] = self._reduce(gradient)

    @contextmanager
    def caught(self, reduce: Reduce) -> Iterator[dict[nn.Module, Tensor]]:
        """Collect what `reduce` makes of the gradients that are taken within the block."""
        self._reduce, self._found = reduce, {}
        try:
            yield self._found
        finally:
            self._reduce, self._found = None, {}


def of_predicted(logits: Tensor) -> Tensor:
    """Return the entry of the largest of each row (B, C): (B,); of equal ones that of the first, and its gradient."""
    return logits.gather(1, logits.argmax(1, keepdim=True))[:, 0]
