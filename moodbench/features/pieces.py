"""Where the rows of a cache lie: one file, or several of consecutive rows; read at their places, without HDF5."""

from __future__ import annotations

import bisect
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError
from moodbench.features.raw import read_into
from moodbench.features.seal import Seal, check_part

AGAIN = "run the same command again; if the cache is gone, make it with moodbench extract or moodbench import first"


@dataclass(frozen=True)
class Place:
    """Where an array lies in a file, what type its numbers have, and the shape of a row."""

    offset: int
    kind: np.dtype[Any]
    width: tuple[int, ...]

    def of(self, row: int) -> int:
        """Return the offset of a row."""
        return self.offset + row * math.prod(self.width) * self.kind.itemsize


@dataclass(frozen=True)
class Piece:
    """A file and the rows of the cache that it holds. Picklable.

    Attributes
    ----------
    file : Path
    start, rows : int
        Number of its first row in the cache, and how many it has.
    places : mapping of name to Place
    seal : Seal or None
    state : tuple of int
        What tells this file, in this state, from every other (`state_of`).
    """

    file: Path
    start: int
    rows: int
    places: Mapping[str, Place]
    seal: Seal | None
    state: tuple[int, ...]

    @property
    def stop(self) -> int:
        """Number of the row behind its last."""
        return self.start + self.rows

    def here(self) -> Piece:
        """Return the same as another machine sees it: devices and numbers of files are each one's own.

        Raises
        ------
        CacheError
            The file is not there, or was changed.
        """
        with opened(self.file) as descriptor:
            state = state_of(descriptor)
        if state[2:] != self.state[2:]:
            raise CacheError("the cache was replaced or changed while it was read", file=self.file, fix=AGAIN)
        return replace(self, state=state)

    def read(self, descriptor: int, name: str, array: NDArray[Any], first: int) -> None:
        """Fill an array with rows of this file from `first` on, which is counted within it."""
        read_into(descriptor, array, self.places[name].of(first))

    def part(self, name: str) -> NDArray[Any]:
        """Return an array that never changes, once it was compared with the seal.

        Raises
        ------
        BrokenSealError, OSError, EOFError
        """
        place = self.places[name]
        array = np.empty((self.rows, *place.width), place.kind)
        with self.file.open("rb") as stream:
            if self.seal is not None:
                check_part(stream, self.seal, name)
            read_into(stream.fileno(), array, place.offset)
        return array


class Reading:
    """Reads rows of pieces that follow one another, in any order of calls; fastest forwards. A context manager."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._starts = [piece.start for piece in pieces]
        self._open: dict[int, tuple[int, ExitStack]] = {}

    def rows(self, name: str, start: int, count: int) -> NDArray[Any]:
        """Return `count` rows of an array from row `start` of the cache on.

        Raises
        ------
        CacheError
            A file was removed, replaced, changed or shortened since it was looked at, or the system refuses.
        """
        place = self._pieces[0].places[name]
        array = np.empty((count, *place.width), place.kind)
        for number, (_, files) in list(self._open.items()):
            if self._pieces[number].stop <= start or self._pieces[number].start >= start + count:
                files.close()
                del self._open[number]
        at = start
        for number in range(max(0, bisect.bisect_right(self._starts, start) - 1), len(self._pieces)):
            piece = self._pieces[number]
            stop = min(piece.stop, start + count)
            if at >= stop:
                break
            self._read(number, name, array[at - start : stop - start], at - piece.start)
            at = stop
        return array

    def _read(self, number: int, name: str, array: NDArray[Any], first: int) -> None:
        piece = self._pieces[number]
        try:
            piece.read(self._descriptor(number), name, array, first)
        except OSError as error:
            raise CacheError(f"the cache cannot be read: {error.strerror}", file=piece.file) from None
        except EOFError:
            raise CacheError("the cache became shorter while it was read", file=piece.file, fix=AGAIN) from None

    def _descriptor(self, number: int) -> int:
        """Return the open file of a piece, once it is known to be the same as ever."""
        if number not in self._open:
            piece, files = self._pieces[number], ExitStack()
            descriptor = files.enter_context(opened(piece.file))
            if state_of(descriptor) != piece.state:
                files.close()
                raise CacheError("the cache was replaced or changed while it was read", file=piece.file, fix=AGAIN)
            self._open[number] = descriptor, files
        return self._open[number][0]

    def close(self) -> None:
        """Close the files."""
        for _, files in self._open.values():
            files.close()
        self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def opened(file: Path) -> Iterator[int]:
    """Open the file to read from its descriptor; whatever the system then objects to is a `CacheError`."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CacheError(f"the cache cannot be read: {error.strerror}", file=file, fix=AGAIN) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def state_of(file: int | Path) -> tuple[int, ...]:
    """Return what tells this file, in this state, from every other."""
    stat = os.fstat(file) if isinstance(file, int) else file.stat()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
