"""How many images the network takes at once: on a GPU measured with blank ones, before a cache is begun."""

from __future__ import annotations

import torch

from moodbench.features.network import Network
from moodbench.features.settings import CPU_BATCH, Settings

FIRST, MOST = 32, 512
"""Images in the first attempt, and more than which no network gains from."""

SHARE = 0.8
"""Of the memory that is free: the rest is for fragments of it, and for pictures that are on their way."""


def settle_batch_size(network: Network, settings: Settings, size: int) -> int:
    """Return the batch size for a new cache: the user's or the largest useful one, made smaller until it fits.

    Parameters
    ----------
    network : Network
        Its `rows` becomes the batch size.
    settings : Settings
    size : int
        Side of the images in pixels.
    """
    if settings.torch_device.type != "cuda":
        network.rows = settings.batch_size or CPU_BATCH
        if settings.compile:  # now, so that a compiler that is missing leaves no cache behind
            network.try_rows(size)
        return network.rows
    network.rows = settings.batch_size or FIRST
    before = torch.cuda.memory_allocated(settings.torch_device)
    torch.cuda.reset_peak_memory_stats(settings.torch_device)
    network.try_rows(size)
    if settings.batch_size is None and network.rows == FIRST:
        held = torch.cuda.max_memory_allocated(settings.torch_device) - before
        # what the allocator keeps for reuse counts as taken there, though the next batch will use it
        unused = torch.cuda.memory_reserved(settings.torch_device) - torch.cuda.memory_allocated(settings.torch_device)
        free = torch.cuda.mem_get_info(settings.torch_device)[0] + unused
        network.rows = grown(held / FIRST, SHARE * free)
        network.try_rows(size)
    return network.rows


def grown(bytes_an_image: float, room: float) -> int:
    """Return the largest power of two, `FIRST` to `MOST`, of images that fit into `room` bytes."""
    rows = FIRST
    while rows < MOST and 2 * rows * bytes_an_image <= room:
        rows *= 2
    return rows
