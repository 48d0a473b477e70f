"""Memory that this process and those it starts both see, in equal places; not a file in ``/dev/shm``."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodbench.processes import FORKS

Laid = tuple[tuple[int, ...], str]
"""Shape and type of an array that lies in a place."""


class SharedPlaces:
    """So many places of so many bytes each, to be used as a context manager.

    Forked processes inherit the memory, which is no file of any file system. Others are told the name of a temporary
    file, which is removed at the end.

    Raises
    ------
    OSError
        There is no such memory.
    """

    def __init__(self, places: int, size: int) -> None:
        self.places, self.size = places, size
        self._file: str | None = None
        if FORKS:
            self._memory = mmap.mmap(-1, places * size)
            return
        descriptor, self._file = tempfile.mkstemp(prefix="moodbench-")
        try:
            os.ftruncate(descriptor, places * size)
            self._memory = mmap.mmap(descriptor, places * size)
        finally:
            os.close(descriptor)

    def __enter__(self) -> SharedPlaces:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.unlink(self._file)  # noqa: PTH108
        # the memory itself goes with its last user: a view of it may still be held

    def put(self, place: int, values: NDArray[Any]) -> Laid:
        """Lay an array into a place; `get` finds it with what is returned.

        Raises
        ------
        ValueError
            It is larger than a place.
        """
        if values.nbytes > self.size:
            raise ValueError(f"{values.nbytes} bytes do not fit into {self.size}")
        laid = values.shape, values.dtype.str
        np.copyto(self.get(place, laid), values)
        return laid

    def get(self, place: int, laid: Laid) -> NDArray[Any]:
        """Return the array that lies in a place: a view, which the next one there overwrites."""
        shape, dtype = laid
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self._memory, dtype=dtype, count=count, offset=place * self.size).reshape(shape)

    def __getstate__(self) -> dict[str, Any]:
        return {"places": self.places, "size": self.size, "_file": self._file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        assert self._file is not None  # forked processes inherit everything
        with open(self._file, "r+b") as stream:  # noqa: PTH123
            self._memory = mmap.mmap(stream.fileno(), self.places * self.size)
