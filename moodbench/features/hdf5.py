"""The one door through which HDF5 files are read: what is wrong with one is said in words, in time, in bounded memory.

A sealed file is compared with its seal before the library sees it (`moodbench.features.seal`). One without a seal, from
before there were seals or of another program, is opened in a process of its own first: damaged metadata can make the
library crash, ask for all memory, or loop for ever, and no timer of this process would get a word in, because the
library holds the interpreter.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from moodbench.errors import CacheError, MoodbenchError
from moodbench.features.seal import BrokenSealError, Seal, read_seal

SECONDS = 20.0
"""After so long, the library is not expected to come back from a file without a seal."""

MOST_BYTES = 1 << 30
"""Memory that it may take for looking at such a file, besides twice the file's size."""

_KNOWN_GOOD: set[tuple[int, ...]] = set()
"""Files without a seal, in the state in which the library has come back from them."""


class UnreadableError(Exception):
    """The file cannot be read; the message says in a few words why."""


@contextmanager
def in_words() -> Iterator[None]:
    """Turn every exception of the library, and of what is done with what it returns, into an `UnreadableError`."""
    try:
        yield
    except (MoodbenchError, UnreadableError):
        raise
    except BrokenSealError as error:
        raise UnreadableError(str(error)) from None
    except Exception as error:  # of damaged files h5py raises nearly everything: KeyError, UnicodeDecodeError, …
        text = (str(error).splitlines() or [""])[0]
        plain = isinstance(error, OSError) and text
        raise UnreadableError(text if plain else f"{type(error).__name__}: {text}") from None


def open_hdf5(file: Path, inspect: Callable[[Any, Seal | None], object]) -> Seal | None:
    """Open a file for reading, look at it with `inspect`, close it, and return its seal if it has one.

    `inspect` takes the open `h5py.File` and the seal, and reads everything whose size a damaged file could make up.
    Without a seal it is called in a process of its own first.

    Raises
    ------
    UnreadableError
        It is no HDF5 file, damaged, or its seal does not match.
    MoodbenchError
        What `inspect` raises.
    """
    with in_words():
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise UnreadableError("it is not a regular file")
        with file.open("rb") as stream:
            seal = read_seal(stream)
            state = _state(stream.fileno())
        if seal is None and state not in _KNOWN_GOOD:
            _come_back(lambda: _look(file, inspect, seal), state[2])
            _KNOWN_GOOD.add(state)
        _look(file, inspect, seal)
        return seal


def _look(file: Path, inspect: Callable[[Any, Seal | None], object], seal: Seal | None) -> None:
    # no HDF5 lock: a forked worker would inherit it and outlive a killed parent (see moodbench.features.lock)
    h5 = h5py.File(file, "r", locking=False)
    try:
        inspect(h5, seal)
    finally:
        with contextlib.suppress(Exception):
            h5.close()


def _state(descriptor: int) -> tuple[int, ...]:
    stat = os.fstat(descriptor)
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _come_back(work: Callable[[], object], size: int) -> None:
    """Do `work` in a forked process; raise an `UnreadableError` unless it ends by itself, however that is."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # the child calls nothing but HDF5, whose lock h5py hands over: threads of others do not matter to it
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            child = os.fork()
        except OSError as error:
            os.close(read)
            os.close(write)
            what = f"the system allows no further process: {(error.strerror or str(error)).lower()}"
            raise CacheError(what, fix="run fewer programs at once, then the same command again") from None
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # what a crash says is not for the user
            _limit(MOST_BYTES + 2 * size)
            try:
                work()
            except MemoryError:
                os._exit(1)
            except BaseException:  # the same will happen in the parent, which has words for it
                pass
            os.write(write, b"back")
        os._exit(0)
    os.close(write)
    try:
        late = not select.select([read], [], [], SECONDS)[0]
        back = not late and os.read(read, 4) == b"back"
        if late:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(read)
        os.waitpid(child, 0)
    if late:
        raise UnreadableError(f"the HDF5 library did not come back from it within {SECONDS:g} s")
    if not back:
        raise UnreadableError("the HDF5 library crashed over it, or ran out of memory")


def _limit(more: int) -> None:
    """Let this process take so many bytes more than it has now, and not calculate for ever should its parent die."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        seconds = int(time.process_time() + 2 * SECONDS) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))


def stored_texts(values: Iterable[bytes]) -> tuple[str, ...]:
    """Return texts as an array of them is read; names of files that are no UTF-8 keep their bytes."""
    return tuple(text.decode("utf-8", "surrogateescape") for text in values)
