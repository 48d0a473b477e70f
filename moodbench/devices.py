"""Which device the work runs on, and how it computes there."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import torch

from moodbench.errors import UsageError


def resolve_device(name: str) -> torch.device:
    """Return the device for ``auto`` (CUDA, then CPU), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    UsageError
        There is no such device here.
    """
    if not isinstance(name, str | torch.device):
        raise UsageError(f"a device is a text, and {name!r:.80} is none", fix="use auto, cpu, cuda or cuda:N")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"there is no device '{name}'", fix="use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no CUDA device '{name}' on this machine", fix="use cpu, or auto")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"the device '{name}' is not supported", fix="use auto, cpu, cuda or cuda:N")
    return device


def several_devices(names: str) -> list[str]:
    """Return the devices of ``cuda:0,cuda:1`` or ``all``; one name is itself.

    Raises
    ------
    UsageError
        There is none of a name, a GPU is named twice, or they are of two kinds.
    """
    if names == "all":
        count = torch.cuda.device_count()
        if not count:
            raise UsageError("--device all means every GPU, and there is none on this machine", fix="use cpu, or auto")
        return [f"cuda:{i}" for i in range(count)]
    parts = [part.strip() for part in names.split(",")]
    if len(parts) == 1:
        return [names]
    for part in parts:
        if part in ("", "auto", "all"):
            raise UsageError(f"'{names}' is no list of devices", fix="as in cuda:0,cuda:1; all: every GPU")
    found = [resolve_device(part) for part in parts]
    if len({device.type for device in found}) > 1:
        raise UsageError(
            f"'{names}' are devices of two kinds, which do not round alike", fix="name GPUs alone: --device all"
        )
    gpus = [device.index or 0 for device in found if device.type == "cuda"]
    if len(set(gpus)) < len(gpus):
        raise UsageError(f"'{names}' names a GPU twice", fix="each GPU once; all: every GPU")
    return parts


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, instead of handing every large array back to the system at once.

    Scoring makes and drops arrays of some ten megabytes for every block of rows, a network a gigabyte of them for every
    batch of images. glibc maps each of them anew, and the system clears its pages again: that took a third of the time
    of scoring, and a fifth of a ResNet-50's. Only glibc has this switch; elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(_M_TRIM_THRESHOLD, -1)
        library.mallopt(_M_ARENA_MAX, 1)  # arenas of further threads are small, and give back what they free


def give_back_freed_memory() -> None:
    """Hand what `keep_freed_memory` made the C library keep to the system, once: before processes are forked.

    After a fork, the first write to every page that both share copies it. What is given back is cleared instead, which
    takes a fifth of that time.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


MOST_THREADS = 1024
"""More than any processor has; libraries crash when the system refuses them a thread."""


def check_threads(threads: int | None) -> None:
    """Raise a `UsageError` unless torch can be given so many threads."""
    loose: Any = threads  # what people write in Python, not what they should
    whole = isinstance(loose, Integral) and not isinstance(loose, bool)
    if threads is not None and not (whole and 1 <= threads <= MOST_THREADS):
        raise UsageError(
            f"the number of threads must be at least 1 and at most {MOST_THREADS}, got {threads!r:.80}",
            fix="a number of cores, or leave it out for all",
        )


@contextlib.contextmanager
def arithmetic(threads: int | None) -> Iterator[None]:
    """Flush denormals, whose products are more than ten times slower, keep float32 exact on GPUs, limit threads."""
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.backends.cuda.matmul.allow_tf32 = False
    if threads is not None:
        torch.set_num_threads(int(threads))
    # set before the first product: worker threads inherit the mode when they start
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out, on a GPU or a CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in text for words in ("out of memory", "can't allocate memory", "cublas_status_alloc_failed"))
    )
