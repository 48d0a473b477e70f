"""Reads and writes rows at their place in a file: no page faults of a mapping, no copy, and no HDF5 in the way."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray


def read_into(descriptor: int, array: NDArray[Any], position: int) -> None:
    """Fill an array with the bytes from `position` on.

    Raises
    ------
    OSError
        The system refuses.
    EOFError
        The file ends before.
    """
    view = memoryview(array.reshape(-1).view("u1"))  # type: ignore[arg-type]
    while view:
        read = os.preadv(descriptor, [view], position)
        if read == 0:
            raise EOFError("the file ends too soon")
        view, position = view[read:], position + read


def write_from(descriptor: int, array: NDArray[Any], position: int) -> None:
    """Put the bytes of a contiguous array at `position`.

    Raises
    ------
    OSError
        The system refuses; some of them may be there.
    """
    view = memoryview(array.reshape(-1).view("u1"))  # type: ignore[arg-type]
    while view:
        written = os.pwrite(descriptor, view, position)
        view, position = view[written:], position + written
