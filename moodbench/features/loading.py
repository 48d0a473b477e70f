"""Images → batches of pixels, decoded ahead of the network in other processes.

Workers hand over small parts of a batch, as bytes where the transform can normalise later: a quarter of the memory that
passes between processes, and no waiting for one worker to decode a whole batch by itself. The parts lie in memory of
their own (`SharedPlaces`), of which no more than `AHEAD` is ever taken, whatever batches, pictures and workers are.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.datasets.images import ImageSource
from moodbench.devices import give_back_freed_memory
from moodbench.errors import DataError, ModelError, MoodbenchError
from moodbench.features.settings import Settings
from moodbench.features.shared import Laid, SharedPlaces
from moodbench.models.transforms import ImageTransform, Transform
from moodbench.processes import InOrder, ProcessLostError

PART = 16
"""Images that a worker hands over at once, at most."""

AHEAD = 128 * 2**20
"""Bytes of decoded images that may wait for the network."""

Item = tuple[Tensor | NDArray[np.uint8], MoodbenchError | None]

Errors = dict[int, MoodbenchError]
"""Position in a part or batch → why the image there could not be decoded."""


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
    errors: Errors

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Part:
    """Some images of a batch, one after another, as they come from a worker or are decoded here."""

    pixels: Tensor
    errors: Errors


@dataclass(frozen=True)
class DecodedBatch:
    """Decodes and transforms images; also in worker processes."""

    images: ImageSource
    transform: ImageTransform

    def part(self, rows: Sequence[int]) -> Part:
        """Return some images as one part of a batch."""
        items = [self.one(row) for row in rows]
        errors = {i: error for i, (_, error) in enumerate(items) if error is not None}
        pixels = [values for values, _ in items]
        if isinstance(pixels[0], np.ndarray):
            return Part(torch.from_numpy(np.stack(pixels)), errors)
        return Part(torch.stack([torch.as_tensor(values) for values in pixels]), errors)

    def one(self, row: int) -> Item:
        """Return an image, or zeros and why it cannot be decoded."""
        transform = self.transform
        try:
            if isinstance(transform, Transform):
                return transform.pixels(self.images.load(row, transform.decodable_at)), None
            return transform(self.images.load(row)), None
        except DataError as error:
            size = transform.record["size"]
            # stands in for the image, so that the others keep their place in the batch and with it their arithmetic
            blank = (
                np.zeros((size, size, 3), np.uint8) if isinstance(transform, Transform) else torch.zeros(3, size, size)
            )
            return blank, DataError(error.what, file=error.file, fix=error.fix)

    @property
    def bytes(self) -> int:
        """Of an image, once it is transformed."""
        values = 3 * int(self.transform.record["size"]) ** 2
        return values if isinstance(self.transform, Transform) else 4 * values


@dataclass(frozen=True)
class _Decoding:
    """The task of a worker: part `number` → pixels in a place of the shared memory."""

    decoded: DecodedBatch
    parts: Sequence[Sequence[int]]
    memory: SharedPlaces

    def __call__(self, number: int, place: int) -> tuple[int, Laid, Errors]:
        part = self.decoded.part(self.parts[number])
        values = part.pixels.numpy()
        if values.nbytes > self.memory.size:
            size, found = self.decoded.transform.record["size"], values.nbytes // len(values)
            raise ModelError(
                f"the transform makes pictures of {found} bytes, and its record says 'size': {size}",
                fix="correct the record",
            )
        return place, self.memory.put(place, values), part.errors


def read_batch(images: ImageSource, rows: NDArray[np.int64], transform: ImageTransform) -> Batch:
    """Decode some images here and now."""
    part = DecodedBatch(images, transform).part(rows.tolist())
    return Batch(part.pixels, part.errors)


def load_batches(
    images: ImageSource, batches: Sequence[NDArray[np.int64]], transform: ImageTransform, settings: Settings
) -> Generator[Batch]:
    """Yield the images of each of `batches`, in order, while the workers decode the next.

    The pixels are on the device already, or on their way. Close the iterator to end the workers before the last batch.

    Raises
    ------
    DataError
        A worker could not be started or was killed, of lack of memory or by somebody.
    """
    if not batches:
        return
    decoded = DecodedBatch(images, transform)
    workers = settings.worker_count(sum(map(len, batches)))
    size, ahead = plan(len(batches[0]), max(workers, 1), decoded.bytes)
    parts = [batch[i : i + size].tolist() for batch in batches for i in range(0, len(batch), size)]
    with _parts(decoded, parts, min(workers, len(parts)), ahead, size) as loaded:
        for batch in batches:
            yield _joined(loaded, len(batch), settings.torch_device)


def plan(batch: int, workers: int, image: int) -> tuple[int, int]:
    """Return how many images make a part, and how many parts may be decoded ahead.

    The next batch is to be there when the network is done with one, while each worker decodes another part; but no more
    than `AHEAD` bytes (or two images, where these are larger): then parts are smaller, and at last workers wait.

    Parameters
    ----------
    batch, workers : int
    image : int
        Bytes of an image.
    """
    part = max(1, min(PART, AHEAD // (2 * workers * image)))
    wanted = -(-batch // part) + workers
    return part, max(2, min(wanted, AHEAD // (part * image)))


@contextmanager
def _parts(
    decoded: DecodedBatch, parts: Sequence[Sequence[int]], workers: int, ahead: int, size: int
) -> Iterator[Iterator[Part]]:
    """Decode the parts here, or in `workers` processes. A part is to be copied before the next is asked for."""
    if workers == 0:
        yield map(decoded.part, parts)
        return
    give_back_freed_memory()
    try:
        memory = SharedPlaces(ahead, size * decoded.bytes)
    except OSError as error:
        what = f"there is no memory to share with processes that decode images: {error.strerror}"
        raise _without_workers(what, workers) from None
    try:
        with (
            memory,
            InOrder(
                _Decoding(decoded, parts, memory), len(parts), processes=workers, ahead=ahead, begin=_one_thread
            ) as answers,
        ):
            yield (Part(torch.from_numpy(memory.get(place, laid)), errors) for place, laid, errors in answers)
    except ProcessLostError as error:
        raise _without_workers(f"a process that decodes images {error}", workers) from None
    except MemoryError as error:
        raise _without_workers(f"memory ran out while images were decoded ({error})", workers) from None


def _without_workers(what: str, workers: int) -> DataError:
    fewer = f", or fewer of them: --workers {workers // 2}" if workers > 1 else ""
    return DataError(
        what,
        fix=f"run the command again, which goes on where it stopped, without such processes: --workers 0{fewer};\n"
        "a container may need more memory (--memory, and --shm-size where its system counts that)",
    )


def _one_thread() -> None:
    torch.set_num_threads(1)


def _joined(parts: Iterator[Part], count: int, device: torch.device) -> Batch:
    """Take the parts of a batch of `count` images, and send them to the device."""
    pixels: Tensor | None = None
    errors: Errors = {}
    start = 0
    while start < count:
        part = next(parts)
        if pixels is None:
            shape = (count, *part.pixels.shape[1:])
            # from pinned memory a GPU reads by itself, while this process goes on
            pixels = torch.empty(shape, dtype=part.pixels.dtype, pin_memory=device.type == "cuda")
        pixels[start : start + len(part.pixels)] = part.pixels
        errors |= {start + i: error for i, error in part.errors.items()}
        start += len(part.pixels)
    assert pixels is not None  # a batch has images
    return Batch(pixels.to(device, non_blocking=True), errors)
