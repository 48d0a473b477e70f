"""The backbone on its device: pixels → float32 features and logits, in as many pieces as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.devices import is_out_of_memory
from moodbench.errors import ModelError
from moodbench.features.changed import Changed, OnDevice, Traced, refuse_settings
from moodbench.features.settings import Settings
from moodbench.features.targets import View, recipes_of
from moodbench.models.backbone import Backbone
from moodbench.models.layers import Layer, Taps
from moodbench.models.recipes.base import Recipe
from moodbench.models.recipes.seen import Pass
from moodbench.models.transforms import Transform
from moodbench.types import Head, NamedHead

TOLERANCE = 1e-4
"""Largest difference of the network's logits from features @ W.T + b in float32, relative to the largest logit."""

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}

Arrays = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Features (B, D) and logits (B, C)."""


Part = tuple[Tensor, Tensor | None]
"""The same on the device."""


@dataclass(frozen=True)
class Output:
    """Features and logits on their way from the device to this machine's memory: the model's own and those of views."""

    parts: Sequence[Part | None]
    there: torch.cuda.Event | None

    def arrays(self, position: int = 0) -> Arrays:
        """Wait for them, and return features and logits as arrays that may be written to.

        Parameters
        ----------
        position : int
            0: the model's own. From 1: of its views, in their order; layers and numbers have no logits.
        """
        if self.there is not None:
            self.there.synchronize()
        part = self.parts[position]
        if part is None:
            raise LookupError("the model's own features were not asked for")
        return part[0].numpy(), None if part[1] is None else part[1].numpy()


class Network:
    """The backbone on its device.

    Attributes
    ----------
    rows : int
        Images that it computes at once. Becomes half of it when memory runs out.
    channels_last : bool
        Order of its weights and pixels in memory.
    views : sequence of View
        What is computed besides: layers, which are read in the same forward pass, recipes of changed images, and layers
        of those.
    own : bool
        Whether the model's own features are computed; recipes may do without.
    """

    def __init__(
        self, backbone: Backbone, settings: Settings, rows: int, views: Sequence[View] = (), own: bool = True
    ) -> None:
        recipes = recipes_of(views)
        refuse_settings(recipes, settings.precision, settings.compile)
        self.backbone = backbone
        self.rows = rows
        self.device = settings.torch_device
        self.precision = settings.precision
        # half as fast on tensor cores, but the same numbers as everywhere else
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self.channels_last = settings.channels_last is not False
        self.layout = torch.channels_last if self.channels_last else torch.contiguous_format
        backbone.network.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        self.forward = _compiled(backbone) if settings.compile else backbone.forward
        self.padded = settings.compile  # another number of rows would be compiled anew
        self.views = views
        self.own = own
        self.layers = [view for view in views if isinstance(view, Layer)]
        self.taps = Taps(backbone.network, self.layers)
        self.head = self._placed(backbone.head)
        self.heads: dict[NamedHead | None, OnDevice] = {None: self.head}
        self.heads |= {one: self._placed(one.head) for one in dict.fromkeys(view.other for view in recipes) if one}
        changed = [view for view in views if not isinstance(view, Layer)]
        self.changed = Changed(changed, self._opened, self.taps, self.heads)
        self._changed_rows: int | None = None
        self._shares: dict[int, bool] = {}

    def _placed(self, head: Head | None) -> OnDevice:
        if head is None:
            return None
        return torch.from_numpy(head.weight).to(self.device), torch.from_numpy(head.bias).to(self.device)

    def __call__(self, pixels: Tensor, numbers: Tensor | None = None, *, changed: bool = True) -> Output:
        """Compute features (B, D), logits (B, C) and views; logits are made from the features in float32.

        On a GPU this returns while they are still being computed.

        Parameters
        ----------
        pixels : (B, size, size, 3) uint8, or (B, 3, size, size) float32, on the device
        numbers : (B,) int64, optional
            Of the images within their dataset; recipes that leave something to chance draw it from them.
        changed : bool
            False: leave the recipes of changed images out.

        Raises
        ------
        ModelError
            Not even one image fits into memory, or the network cannot be compiled.
        """
        numbers = torch.arange(len(pixels)) if numbers is None else numbers
        while True:
            try:
                pieces = zip(torch.split(pixels, self.rows), torch.split(numbers, self.rows), strict=True)
                return self._arriving([self._compute(*piece, changed) for piece in pieces])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.rows == 1:
                    raise ModelError(
                        f"one image at a time does not fit into the memory of '{self.device}'",
                        fix="free memory, use a smaller network, or --precision bf16",
                    ) from None
            # outside of the handler, so that what the failed attempt held is free
            self.rows = -(-min(self.rows, len(pixels)) // 2)
            self._let_go()

    @property
    def at_once(self) -> int:
        """Images that it computes at once, with gradients where views want them."""
        return min(self.rows, self._changed_rows or self.rows)

    def _let_go(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _compute(self, pixels: Tensor, numbers: Tensor, changed: bool) -> list[Part | None]:
        images = self._prepared(pixels)
        made: list[Tensor] = []
        traced: Traced | None = None
        if changed and self.changed.recipes:
            made, traced = self._change(images.contiguous(memory_format=self.layout), numbers)
        recipes = iter(made)
        features, read = self._plain(images, traced)
        layers = iter(read)
        parts: list[Part | None] = [None if features is None else (features, self._logits(features, self.head))]
        for view in self.views:
            if isinstance(view, Layer):
                parts.append((next(layers), None))
            elif (values := next(recipes, None)) is not None:
                parts.append((values, self._logits(values, self._head_of(view))))
        return parts

    def _plain(self, images: Tensor, traced: Traced | None) -> tuple[Tensor | None, list[Tensor]]:
        """Return features and layers of the pictures as they are: those `traced` where they have the same bits.

        Whether a pass with a graph has them, which kernels decide, is tried once for each number of images.
        """
        count = len(images)
        if not self.own and not self.layers:
            return None, []
        if traced is not None and self._shares.get(count):
            return traced
        if self.padded and count < self.rows:
            images = torch.cat([images, images.new_zeros(self.rows - count, *images.shape[1:])])
        with self._precision(), self.taps.reading() as layers:
            features = self.forward(images.contiguous(memory_format=self.layout))[0][:count]
        features = features.float()
        if traced is not None and count not in self._shares:
            pairs = zip((features, *layers), (traced[0], *traced[1]), strict=True)
            self._shares[count] = all(torch.equal(one, other) for one, other in pairs)
        return features, layers

    def _change(self, images: Tensor, numbers: Tensor) -> tuple[list[Tensor], Traced | None]:
        """Return what the recipes make of pictures, in as many pieces as gradients ask for: these take more memory."""
        while True:
            rows = min(self.at_once, len(images))
            try:
                pieces = zip(torch.split(images, rows), torch.split(numbers, rows), strict=True)
                made = [self.changed(*piece) for piece in pieces]
                joined = [torch.cat(of_one) for of_one in zip(*(values for values, _ in made), strict=True)]
                return joined, made[0][1] if len(made) == 1 else None
            except (RuntimeError, MemoryError) as error:
                if rows == 1 or not is_out_of_memory(error):
                    raise
            self._changed_rows = -(-rows // 2)
            self._let_go()

    def _logits(self, features: Tensor, head: OnDevice) -> Tensor | None:
        if head is None:
            return None
        # a product rounds the logits of a few rows otherwise than those of many: always as many as a batch has
        weight, bias = head
        count = len(features)
        rows = torch.cat([features, features.new_zeros(self.rows - count, features.shape[1])])
        return torch.addmm(bias, rows, weight.T)[:count]

    def _head_of(self, view: View) -> OnDevice:
        """Return the head that the logits of a view are made with; numbers and layers have none."""
        return self.heads[view.other] if isinstance(view, Recipe) and not view.numbers else None

    def _opened(self, images: Tensor, numbers: Tensor) -> Pass:
        return Pass(self.backbone, images, numbers, self.head, self._precision, self.layout)

    def _prepared(self, pixels: Tensor) -> Tensor:
        transform = self.backbone.transform
        if isinstance(transform, Transform) and not pixels.is_floating_point():
            return transform.normalised(pixels)
        return pixels

    def _precision(self) -> AbstractContextManager[object]:
        half = _HALF.get(self.precision)
        return nullcontext() if half is None else torch.autocast(self.device.type, half)

    def _arriving(self, pieces: list[list[Part | None]]) -> Output:
        parts = [self._part([one for one in of_one if one is not None]) for of_one in zip(*pieces, strict=True)]
        there = torch.cuda.current_stream(self.device).record_event() if self.device.type == "cuda" else None
        return Output(parts, there)

    def _part(self, pieces: list[Part]) -> Part | None:
        if not pieces:
            return None
        # joining copies even a single piece: the arrays must not share memory with a tensor of the network
        features = torch.cat([features for features, _ in pieces]).to("cpu", non_blocking=True)
        parts = [logits for _, logits in pieces if logits is not None]
        return features, torch.cat(parts).to("cpu", non_blocking=True) if parts else None

    def try_rows(self, size: int) -> None:
        """Compute as many blank images as `rows` says, which becomes smaller until they fit into memory.

        Without changed images: whether there are such must not decide on the batches of the model's own cache.
        """
        while True:
            rows = self.rows
            self(torch.zeros(rows, 3, size, size, device=self.device), changed=False).arrays()
            if self.rows == rows:
                return

    def width(self, size: int) -> int:
        """Return D."""
        blank = torch.zeros(1, 3, size, size, device=self.device).contiguous(memory_format=self.layout)
        with self._precision():
            features, _ = self.backbone.forward(blank)
        return int(features.shape[1])

    def check_views(self, pixels: Tensor) -> list[int]:
        """Refuse views that cannot be computed of this network, or not as they should; return their widths.

        Raises
        ------
        ModelError
        """
        if not self.views:
            return []
        images = self._prepared(pixels.to(self.device)).contiguous(memory_format=self.layout)
        layers = iter(self.taps.check(images) if self.layers else ())
        recipes = iter(self.changed.check(images) if self.changed.recipes else ())
        return [next(layers if isinstance(view, Layer) else recipes) for view in self.views]

    def check(self, pixels: Tensor) -> None:
        """Refuse a network whose own logits, in float32, are not features @ W.T + b."""
        if self.head is None:
            return
        weight, bias = self.head
        pixels = self._prepared(pixels.to(self.device)).contiguous(memory_format=self.layout)
        features, own = self.backbone.forward(pixels)
        name = self.backbone.record.get("timm") or self.backbone.record.get("name")
        if features.shape[1] != weight.shape[1]:
            raise ModelError(
                f"the features of '{name}' are {features.shape[1]} wide, its head expects {weight.shape[1]}",
                fix="extract without head (--no-head): scores that read features alone still work",
            )
        if own is None:
            return
        computed = torch.addmm(bias, features.float(), weight.T)
        if not bool(torch.isfinite(own).all()):
            raise ModelError(f"'{name}' gives logits that are not finite", fix="its weights are damaged")
        error = float((computed - own.float()).abs().max() / own.abs().max().clamp_min(1e-12))
        if not error <= TOLERANCE:
            raise ModelError(
                f"the logits of '{name}' are not features @ weight.T + bias: they differ by {error:.2g} of the largest "
                f"logit ({TOLERANCE:g} is allowed), so its head is not one linear layer on the penultimate features",
                fix="extract without head (--no-head): scores that read features alone still work",
            )


def _compiled(backbone: Backbone) -> Callable[[Tensor], tuple[Tensor, Tensor | None]]:
    """Return the backbone's forward pass through `torch.compile`; the first call compiles, and says if it cannot."""
    made = torch.compile(lambda images: backbone.compute(backbone.network, images), dynamic=False)

    def forward(images: Tensor) -> tuple[Tensor, Tensor | None]:
        try:
            with torch.inference_mode():
                features, logits = made(images)
        except Exception as error:  # compilers, and whatever they call, raise anything
            if is_out_of_memory(error):
                raise
            raise ModelError(
                f"torch.compile cannot compile '{backbone.record.get('timm')}' here: "
                f"{(str(error).strip().splitlines() or [type(error).__name__])[0]}",
                fix="leave --compile out, or install what it asks for (a C++ compiler on a CPU, Triton on a GPU)",
            ) from error
        return features, logits

    return forward
