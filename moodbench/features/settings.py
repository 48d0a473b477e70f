"""How to extract: the options, and what they are on this machine when nobody says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from moodbench.choices import OnError, Precision, check_choice
from moodbench.errors import UsageError
from moodbench.processes import cores

if TYPE_CHECKING:
    import torch

CPU_BATCH = 64
"""Images at once on a CPU. More are no faster there, and fewer are lost when a run is stopped."""

FEW_IMAGES = 256
"""Below this many, starting worker processes takes longer than they save."""

MOST_WORKERS = 16


@dataclass(frozen=True)
class Settings:
    """How to extract. Made without importing torch.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; `torch_device` is what that is here.
    precision : {"fp32", "bf16", "fp16"}
        Of the network; features and logits are float32 always.
    batch_size : int or None
        None: what fits on a GPU, 64 elsewhere. A cache that is resumed keeps the size it was begun with.
    workers : int or None
        Processes that decode images; 0 decodes in this one. None: one a core, at most 16, and none for few images.
    limit : int or None
        Take only this many images, spread evenly over the dataset: a trial, marked as such.
    on_error : {"stop", "skip"}
        What to do about an image that cannot be decoded.
    progress : bool
        Show a progress bar on stderr if that is a terminal.
    channels_last : bool or None
        Order of pixels in memory: the colours of a pixel side by side. None: if the network takes it. It changes speed
        (convolutions by up to twice, on CPUs too) and rounding.
    compile : bool
        Let `torch.compile` make kernels for the network. It changes speed and rounding.
    """

    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: int | None = None
    workers: int | None = None
    limit: int | None = None
    on_error: OnError = "stop"
    progress: bool = True
    channels_last: bool | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        for name, value, least in (
            ("batch size", self.batch_size, 1),
            ("limit", self.limit, 1),
            ("workers", self.workers, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"the {name} must be at least {least}, got {value}")
        check_choice("precision", self.precision, Precision)
        check_choice("on_error", self.on_error, OnError)

    @cached_property
    def torch_device(self) -> torch.device:
        """The device on this machine; a `UsageError` if there is none of that name."""
        from moodbench.devices import resolve_device

        return resolve_device(self.device)

    def worker_count(self, images: int) -> int:
        """Return how many processes decode `images` images."""
        if self.workers is not None:
            return min(self.workers, images)
        return 0 if images < FEW_IMAGES else min(cores(), MOST_WORKERS)
