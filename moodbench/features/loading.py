"""Images → batches of pixels, decoded ahead of the network in other processes.

Workers hand over small parts of a batch, as bytes where the transform can normalise later: a quarter of the memory that
passes between processes, little shared memory however large the batch (containers often have 64 MB), and no waiting
for one worker to decode a whole batch by itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from moodbench.datasets.images import ImageSource
from moodbench.devices import give_back_freed_memory
from moodbench.errors import DataError, MoodbenchError
from moodbench.features.settings import Settings
from moodbench.models.transforms import ImageTransform, Transform

PART = 16
"""Images that a worker hands over at once."""

SHARED = 48 * 2**20
"""Bytes of shared memory that decoded images may take while they wait."""

Item = tuple[Tensor | NDArray[np.uint8], MoodbenchError | None]


@dataclass(frozen=True)
class Batch:
    """What a network is shown at once.

    Attributes
    ----------
    pixels : (B, size, size, 3) uint8, or (B, 3, size, size) float32 of transforms that are not moodbench's own
        Zero where an image could not be decoded.
    errors : dict
        Position in the batch → why.
    """

    pixels: Tensor
    errors: dict[int, MoodbenchError]

    def __len__(self) -> int:
        return len(self.pixels)

    def pin_memory(self) -> Batch:
        """Return the same in memory that a GPU reads by itself; the loader asks for this."""
        return Batch(self.pixels.pin_memory(), self.errors)


class Decoded(Dataset[Item]):
    """Decodes and transforms one image; runs in worker processes."""

    def __init__(self, images: ImageSource, transform: ImageTransform) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Item:
        transform = self.transform
        try:
            if isinstance(transform, Transform):
                return transform.pixels(self.images.load(index, transform.decodable_at)), None
            return transform(self.images.load(index)), None
        except DataError as error:
            size = transform.record["size"]
            # stands in for the image, so that the others keep their place in the batch and with it their arithmetic
            blank = (
                np.zeros((size, size, 3), np.uint8) if isinstance(transform, Transform) else torch.zeros(3, size, size)
            )
            return blank, DataError(error.what, file=error.file, fix=error.fix)


def collate(items: Sequence[Item]) -> Batch:
    """Return some images as one part of a batch."""
    errors = {i: error for i, (_, error) in enumerate(items) if error is not None}
    pixels = [values for values, _ in items]
    if isinstance(pixels[0], np.ndarray):
        return Batch(torch.from_numpy(np.stack(pixels)), errors)
    return Batch(torch.stack([torch.as_tensor(values) for values in pixels]), errors)


def read_batch(images: ImageSource, rows: NDArray[np.int64], transform: ImageTransform) -> Batch:
    """Decode some images here and now."""
    decoded = Decoded(images, transform)
    return collate([decoded[int(i)] for i in rows])


def load_batches(
    images: ImageSource, batches: Sequence[NDArray[np.int64]], transform: ImageTransform, settings: Settings
) -> Iterator[Batch]:
    """Yield the images of each of `batches`, in order, while the workers decode the next.

    The pixels are on the device already, or on their way.
    """
    if not batches:
        return
    parts = [batch[i : i + PART].tolist() for batch in batches for i in range(0, len(batch), PART)]
    # more workers than cores is the user's choice
    warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
    workers = settings.worker_count(sum(map(len, batches)), len(parts))
    if workers:
        give_back_freed_memory()
    loaded = iter(
        DataLoader(
            Decoded(images, transform),
            batch_sampler=parts,
            collate_fn=collate,
            num_workers=workers,
            prefetch_factor=parts_ahead(len(batches[0]), workers, transform.record["size"]) if workers else None,
            pin_memory=settings.device.type == "cuda",
        )
    )
    for batch in batches:
        yield _joined([_moved(next(loaded), settings.device) for _ in range(0, len(batch), PART)])


def parts_ahead(batch: int, workers: int, size: int) -> int:
    """Return how many parts each worker decodes ahead: the next batch is to be there when the network is done with one.

    At least two, and no more than `SHARED` allows.
    """
    wanted = -(-batch // (PART * workers)) + 1
    return max(2, min(wanted, SHARED // (3 * size * size * PART * workers)))


def _moved(part: Batch, device: torch.device) -> Batch:
    return Batch(part.pixels.to(device, non_blocking=True), part.errors)


def _joined(parts: Sequence[Batch]) -> Batch:
    starts = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    errors = {start + i: e for start, part in zip(starts, parts, strict=False) for i, e in part.errors.items()}
    return Batch(parts[0].pixels if len(parts) == 1 else torch.cat([part.pixels for part in parts]), errors)
