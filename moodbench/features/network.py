"""The backbone on its device: pixels → float32 features and logits, in as many pieces as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.errors import ModelError
from moodbench.features.settings import Settings
from moodbench.models.backbone import Backbone
from moodbench.models.layers import Layer, Taps
from moodbench.models.transforms import Transform

TOLERANCE = 1e-4
"""Largest difference of the network's logits from features @ W.T + b in float32, relative to the largest logit."""

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}

Arrays = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Features (B, D) and logits (B, C)."""


@dataclass(frozen=True)
class Output:
    """Features, logits and layers on their way from the device to this machine's memory."""

    features: Tensor
    logits: Tensor | None
    layers: Sequence[Tensor]
    there: torch.cuda.Event | None

    def arrays(self) -> Arrays:
        """Wait for them, and return features and logits as arrays that may be written to."""
        self._wait()
        return self.features.numpy(), None if self.logits is None else self.logits.numpy()

    def layer(self, position: int) -> NDArray[np.float32]:
        """Wait for them, and return the vectors of a layer, (B, D), likewise."""
        self._wait()
        values: NDArray[np.float32] = self.layers[position].numpy()
        return values

    def _wait(self) -> None:
        if self.there is not None:
            self.there.synchronize()


class Network:
    """The backbone on its device.

    Attributes
    ----------
    rows : int
        Images that it computes at once. Becomes half of it when memory runs out.
    channels_last : bool
        Order of its weights and pixels in memory.
    layers : sequence of Layer
        What is read of it besides.
    """

    def __init__(self, backbone: Backbone, settings: Settings, rows: int, layers: Sequence[Layer] = ()) -> None:
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
        self.layers = layers
        self.taps = Taps(backbone.network, layers)
        head = backbone.head
        self.weight = None if head is None else torch.from_numpy(head.weight).to(self.device)
        self.bias = None if head is None else torch.from_numpy(head.bias).to(self.device)

    def __call__(self, pixels: Tensor) -> Output:
        """Compute features (B, D), logits (B, C) and layers; logits are made from the features in float32.

        On a GPU this returns while they are still being computed.

        Parameters
        ----------
        pixels : (B, size, size, 3) uint8, or (B, 3, size, size) float32, on the device

        Raises
        ------
        ModelError
            Not even one image fits into memory, or the network cannot be compiled.
        """
        while True:
            try:
                return self._arriving([self._compute(piece) for piece in torch.split(pixels, self.rows)])
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
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _compute(self, pixels: Tensor) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        count = len(pixels)
        pixels = self._prepared(pixels)
        if self.padded and count < self.rows:
            pixels = torch.cat([pixels, pixels.new_zeros(self.rows - count, *pixels.shape[1:])])
        with self._precision(), self.taps.reading() as layers:
            features = self.forward(pixels.contiguous(memory_format=self.layout))[0][:count]
        features = features.float()
        if self.weight is None or self.bias is None:
            return features, None, layers
        # a product rounds the logits of a few rows otherwise than those of many: always as many as a batch has
        rows = torch.cat([features, features.new_zeros(self.rows - count, features.shape[1])])
        return features, torch.addmm(self.bias, rows, self.weight.T)[:count], layers

    def _prepared(self, pixels: Tensor) -> Tensor:
        transform = self.backbone.transform
        if isinstance(transform, Transform) and not pixels.is_floating_point():
            return transform.normalised(pixels)
        return pixels

    def _precision(self) -> AbstractContextManager[object]:
        half = _HALF.get(self.precision)
        return nullcontext() if half is None else torch.autocast(self.device.type, half)

    def _arriving(self, pieces: list[tuple[Tensor, Tensor | None, list[Tensor]]]) -> Output:
        # joining copies even a single piece: the arrays must not share memory with a tensor of the network
        features = torch.cat([features for features, _, _ in pieces]).to("cpu", non_blocking=True)
        parts = [logits for _, logits, _ in pieces if logits is not None]
        logits = torch.cat(parts).to("cpu", non_blocking=True) if parts else None
        layers = [
            torch.cat(of_one).to("cpu", non_blocking=True)
            for of_one in zip(*(layers for _, _, layers in pieces), strict=True)
        ]
        there = torch.cuda.current_stream(self.device).record_event() if self.device.type == "cuda" else None
        return Output(features, logits, layers, there)

    def try_rows(self, size: int) -> None:
        """Compute as many blank images as `rows` says, which becomes smaller until they fit into memory."""
        while True:
            rows = self.rows
            self(torch.zeros(rows, 3, size, size, device=self.device)).arrays()
            if self.rows == rows:
                return

    def widths(self, size: int) -> tuple[int, int | None]:
        """Return D and C."""
        blank = torch.zeros(1, 3, size, size, device=self.device).contiguous(memory_format=self.layout)
        with self._precision():
            features, _ = self.backbone.forward(blank)
        return features.shape[1], None if self.weight is None else len(self.weight)

    def check_layers(self, pixels: Tensor) -> list[int]:
        """Refuse layers that cannot be read in the forward pass as timm returns them; return their widths.

        Raises
        ------
        ModelError
        """
        if not self.layers:
            return []
        return self.taps.check(self._prepared(pixels.to(self.device)).contiguous(memory_format=self.layout))

    def check(self, pixels: Tensor) -> None:
        """Refuse a network whose own logits, in float32, are not features @ W.T + b."""
        if self.weight is None or self.bias is None:
            return
        pixels = self._prepared(pixels.to(self.device)).contiguous(memory_format=self.layout)
        features, own = self.backbone.forward(pixels)
        name = self.backbone.record.get("timm") or self.backbone.record.get("name")
        if features.shape[1] != self.weight.shape[1]:
            raise ModelError(
                f"the features of '{name}' are {features.shape[1]} wide, its head expects {self.weight.shape[1]}",
                fix="extract without head (--no-head): scores that read features alone still work",
            )
        if own is None:
            return
        computed = torch.addmm(self.bias, features.float(), self.weight.T)
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


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out, on a GPU or a CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in text for words in ("out of memory", "can't allocate memory", "cublas_status_alloc_failed"))
    )
