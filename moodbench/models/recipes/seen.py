"""What a recipe of changed images sees of one batch: pictures, the network, its head, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.backbone import Backbone

T = TypeVar("T")

PerRow = Callable[[Tensor], Tensor]
"""(B, D) features → (B,) numbers, each of its own row alone."""


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
        self._outputs: dict[str, Tensor] = {}
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
        std = self.backbone.transform.record.get("std")
        if std is None:
            raise ModelError(
                "the record of the transform has no 'std', and this view changes pixels in units of the picture's own",
                fix="put the standard deviation that colours are divided by into the record: 'std': [1, 1, 1] for none",
            )
        return torch.tensor(std, dtype=torch.float32, device=self.images.device).view(-1, 1, 1)

    def forward(self, images: Tensor | None = None) -> Tensor:
        """Return the features of pictures like `images`, (B, D) float32; of `images` themselves by default.

        As the model's own are computed; with a graph where gradients are switched on.
        """
        shown = self.images if images is None else images.contiguous(memory_format=self._layout)
        with self._precision():
            features, _ = self.backbone.compute(self.network, shown)
        return features.float()

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
        with self.maps(self.reading) as self._outputs:
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


def of_predicted(logits: Tensor) -> Tensor:
    """Return the entry of the largest of each row (B, C): (B,); of equal ones that of the first, and its gradient."""
    return logits.gather(1, logits.argmax(1, keepdim=True))[:, 0]
