"""The seal, and the door that every HDF5 file goes through."""

from __future__ import annotations

import io
import os
import signal
import time

import h5py
import numpy as np
import pytest

from moodbench.errors import CacheError
from moodbench.features import hdf5
from moodbench.features.hdf5 import UnreadableError, open_hdf5
from moodbench.features.seal import BLOCK, BrokenSealError, check_part, put_seal, read_seal


def sealed(*, free=(), parts=()):
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="earliest", userblock_size=BLOCK) as h5:
        for name in ("rows", "names", "other"):
            h5[name] = np.arange(8, dtype="<i4")
        places = {name: (h5[name].id.get_offset(), h5[name].id.get_storage_size()) for name in h5}
    put_seal(stream, free={n: places[n] for n in free}, parts={n: places[n] for n in parts})
    return stream, places


def test_every_byte_is_free_a_part_or_sealed():
    stream, places = sealed(free=["rows"], parts=["names"])
    good = stream.getvalue()
    seal = read_seal(stream)
    check_part(stream, seal, "names")
    inside = {name: range(offset, offset + size) for name, (offset, size) in places.items()}
    for position in range(len(good)):
        data = bytearray(good)
        data[position] ^= 0x10
        changed = io.BytesIO(data)
        if position in inside["rows"]:
            check_part(changed, read_seal(changed), "names")
        elif position in inside["names"]:
            with pytest.raises(BrokenSealError, match="its names are damaged"):
                check_part(changed, read_seal(changed), "names")
        else:
            try:
                assert read_seal(changed) is None  # it does not even look like a seal any more
                assert position < len(b"moodbench seal 1 00000000\n")
            except BrokenSealError:
                pass


def test_files_without_a_seal():
    assert read_seal(io.BytesIO()) is None
    assert read_seal(io.BytesIO(b"\x89HDF\r\n\x1a\n" * 999)) is None


def test_a_seal_of_a_later_version_is_refused_by_number():
    stream, _ = sealed()
    data = stream.getvalue().replace(b"moodbench seal 1 ", b"moodbench seal 7 ", 1)
    with pytest.raises(BrokenSealError, match="of version 7"):
        read_seal(io.BytesIO(data))


@pytest.fixture
def plain(tmp_path):
    """An HDF5 file without a seal: it is opened in a process of its own first."""
    with h5py.File(tmp_path / "x.h5", "w") as h5:
        h5["a"] = [1, 2, 3]
    return tmp_path / "x.h5"


def test_a_file_without_a_seal_is_opened_after_the_library_came_back_from_it(plain, monkeypatch):
    calls = []
    for _ in range(2):
        assert open_hdf5(plain, lambda h5, seal: calls.append(h5["a"][1])) is None
    assert calls == [2, 2]  # those of the other process are not seen here
    monkeypatch.setattr(hdf5, "_come_back", lambda *_: pytest.fail("asked again"))
    open_hdf5(plain, lambda h5, seal: None)


def test_a_library_that_does_not_come_back(plain, monkeypatch):
    monkeypatch.setattr(hdf5, "SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(UnreadableError, match=r"did not come back from it within 0\.3 s"):
        open_hdf5(plain, lambda h5, seal: time.sleep(60))
    assert time.monotonic() - began < 30


def test_a_library_that_crashes_or_wants_all_memory(plain):
    for harm in (lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: os._exit(3), lambda: np.ones(1 << 33, np.uint8)):
        with pytest.raises(UnreadableError, match="crashed over it, or ran out of memory"):
            open_hdf5(plain, lambda h5, seal, harm=harm: harm())


@pytest.mark.parametrize(
    "error", [KeyError("x"), RuntimeError("x"), OverflowError("x"), UnicodeDecodeError("a", b"", 0, 1, "x")]
)
def test_whatever_the_library_raises_is_said_in_words(plain, error):
    def inspect(h5, seal):
        raise error

    with pytest.raises(UnreadableError, match=f"{type(error).__name__}: "):
        open_hdf5(plain, inspect)


def test_what_moodbench_says_stays_as_it_is(plain):
    def inspect(h5, seal):
        raise CacheError("other")

    with pytest.raises(CacheError, match="other"):
        open_hdf5(plain, inspect)


def test_what_is_no_file(tmp_path):
    (tmp_path / "x").write_text("x" * 2000)
    for file in (tmp_path, tmp_path / "none", tmp_path / "x"):
        with pytest.raises(UnreadableError):
            open_hdf5(file, lambda h5, seal: None)
