"""Pickles that hold nothing but NumPy arrays and plain containers. A pickle can run any program; these cannot.

A pickle is a program for a small machine. Here that machine knows fewer operations: numbers, texts, bytes, lists,
tuples and dicts, and functions of its own in the place of those that pickles of NumPy arrays name. It takes no more
memory than the file has bytes and its operations need: arrays have the size of their bytes (there are no views, so none
of stride 0), lengths are compared with the file, and keys of dicts are texts or numbers.
"""

from __future__ import annotations

import io
import os
import pickle
import re
from collections.abc import Callable
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MOST_OPERATIONS = 10_000_000
"""Of the machine. An array takes about thirty, a number in a list two to eight: more numbers belong into an array."""

_OPERATIONS = """
    PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE
    BINUNICODE8 TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS
    GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD
"""

_WORDS = {"O": "Python objects", "V": "records", "M": "dates", "m": "intervals of time", "c": "complex numbers"}


class _Kind:
    """Stands for a dtype: the pickle names its kind and width, and then its byte order."""

    def __init__(self, text: Any, _align: Any = False, _copy: Any = True) -> None:
        name = text.decode("ascii") if isinstance(text, bytes) else str(text)
        if re.fullmatch(r"[biufcSU][1-9]\d{0,8}", name) is None:
            raise pickle.UnpicklingError(f"it holds {_WORDS.get(name[:1], 'something else')}, not numbers or texts")
        self._name = name
        self._order = "="

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("it has an array of an unknown byte order")
        self._order = order

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that is meant."""
        return np.dtype(("" if self._order == "|" else self._order) + self._name)


class _Array(np.ndarray[Any, Any]):
    """An array that takes exactly the bytes that its shape needs."""

    def __setstate__(self, state: Any, /) -> None:
        shape, kind, fortran, data = state[-4:]
        data = _as_bytes(data)
        _check_size(shape, kind.dtype, data)
        super().__setstate__((1, shape, kind.dtype, bool(fortran), data))  # type: ignore[arg-type]


_NDARRAY = object()
"""Stands for the type ``numpy.ndarray``, which pickles only pass on."""


def _reconstruct(_type: Any, _shape: Any, _kind: Any) -> _Array:
    return _Array((0,), np.uint8)


def _scalar(kind: Any, data: Any = b"") -> Any:
    data = _as_bytes(data)
    _check_size((), kind.dtype, data)
    return np.frombuffer(data, kind.dtype)[0]


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Any:
    _check_size(shape, kind.dtype, data)
    return np.frombuffer(data, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):  # others make texts longer, again and again
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return bytes(text.encode("latin1"))


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    return {_key(key): value for key, value in items}


_FUNCTIONS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _ordered_dict,
}
"""Everything that pickles of NumPy arrays and plain containers refer to, and what is called instead."""


def _as_bytes(data: Any) -> bytes:
    if isinstance(data, str):  # as Python 2 wrote them
        return data.encode("latin1")
    if not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError("it holds Python objects, not numbers or texts")
    return bytes(data)


def _check_size(shape: Any, dtype: np.dtype[Any], data: Any) -> None:
    if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise pickle.UnpicklingError(f"it has an array of shape {shape!r:.60}")
    if prod(shape) * dtype.itemsize != len(data):
        raise pickle.UnpicklingError(
            f"it declares {dtype} of shape {shape}, which are {prod(shape) * dtype.itemsize} bytes, and has {len(data)}"
        )


def _key(key: Any) -> Any:
    if not isinstance(key, (str, bytes, int, float)):  # the hash of nested tuples has no floor
        raise pickle.UnpicklingError(f"it has a dict with a {type(key).__name__} as key")
    return key


class _Machine(pickle._Unpickler):  # written in Python, so that its operations can be chosen; joblib does the same
    """Rebuilds NumPy arrays and refuses every other object."""

    def __init__(self, stream: BinaryIO, size: int, encoding: str) -> None:
        super().__init__(_BoundedReader(stream, size), encoding=encoding)
        self.stack: list[Any]
        self.pop_mark: Callable[[], list[Any]]

    def load(self) -> Any:
        """Run the pickle, as in the class that this one is made from, and count its operations."""
        unframer = pickle._Unframer(self._file_read, self._file_readline)  # type: ignore[attr-defined]
        self.read, self.readline, self.readinto = unframer.read, unframer.readline, unframer.readinto
        self._unframer = unframer
        self.metastack: list[list[Any]] = []
        self.stack = []
        self.append = self.stack.append
        self.proto = 0
        read, known = self.read, _known()
        try:
            for _ in range(MOST_OPERATIONS):
                code = read(1)[0]
                if code not in known:
                    raise pickle.UnpicklingError("only NumPy arrays are accepted, in lists, tuples and dicts")
                known[code](self)
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            return stop.value
        raise pickle.UnpicklingError(
            f"it has more than {MOST_OPERATIONS} operations: it holds lists of numbers, write arrays instead"
        )

    def find_class(self, module: str, name: str) -> Any:
        found = _FUNCTIONS.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only NumPy arrays are accepted")
        return found

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _dict(self.stack[-1])[_key(key)] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        _dict(self.stack[-1]).update(_pairs(items))

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append(_pairs(items))

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not any(function is one for one in _FUNCTIONS.values()) or function is _NDARRAY:
            raise pickle.UnpicklingError("only NumPy arrays are accepted")
        self.append(function(*arguments))

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Kind, _Array)):
            raise pickle.UnpicklingError("only NumPy arrays are accepted")
        self.stack[-1].__setstate__(state)


@cache
def _known() -> dict[int, Callable[[_Machine], None]]:
    """Return the operations by their code."""
    inherited: Any = pickle._Unpickler.dispatch
    own = {
        pickle.BYTEARRAY8[0]: _Machine.load_bytearray8,
        pickle.SETITEM[0]: _Machine.load_setitem,
        pickle.SETITEMS[0]: _Machine.load_setitems,
        pickle.DICT[0]: _Machine.load_dict,
        pickle.REDUCE[0]: _Machine.load_reduce,
        pickle.BUILD[0]: _Machine.load_build,
    }
    codes = [getattr(pickle, name)[0] for name in _OPERATIONS.split()]
    return {code: own.get(code, inherited[code]) for code in codes}


def _dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise pickle.UnpicklingError("it puts items into something that is not a dict")
    return value


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


class _BoundedReader:
    """A stream from which nobody can ask for more than there is: memory would be taken for it first."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size
        self.readline = stream.readline

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise pickle.UnpicklingError("it ends too early")
        return self._stream.read(size)


def load_pickle(source: Path | BinaryIO | bytes, *, encoding: str = "ASCII") -> Any:
    """Read a pickle of NumPy arrays (alone, or in lists, tuples and dicts).

    Parameters
    ----------
    source : Path, binary stream or bytes
        A file, or what is in it.
    encoding : str
        How the texts of a pickle that Python 2 wrote are to be read: ``latin1`` where it holds arrays, ``bytes`` to
        leave them as they are. Pickles of Python 3 do not need it.

    Returns
    -------
    object
        Arrays of truth values, numbers or texts, and what they are in; dates and records are refused.

    Raises
    ------
    ValueError
        It is no pickle, or holds anything else.
    OSError
        The file cannot be read.
    """
    if isinstance(source, Path):
        with source.open("rb") as opened:
            return load_pickle(opened, encoding=encoding)
    stream: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        return _Machine(stream, size, encoding).load()
    except (pickle.UnpicklingError, UnicodeError) as error:
        raise ValueError(f"the pickle was refused: {error!s:.300}") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"the pickle is damaged: {type(error).__name__}: {error!s:.300}") from None
