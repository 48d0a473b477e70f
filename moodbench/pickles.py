"""Pickles that hold nothing but NumPy arrays and plain containers. A pickle can run any program; these cannot."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

_ALLOWED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}
"""Everything that pickles of NumPy arrays and plain containers refer to, in old and new versions of NumPy."""


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays and refuses every other object."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only NumPy arrays are accepted")
        # the private module moved in NumPy 2; the old path only warns
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_pickle(source: Path | bytes, *, encoding: str = "ASCII") -> Any:
    """Read a pickle of NumPy arrays (alone, or in lists, tuples and dicts).

    Parameters
    ----------
    source : Path or bytes
        A file, or what is in it.
    encoding : str
        How the texts of a pickle that Python 2 wrote are to be read: ``latin1`` where it holds arrays, ``bytes`` to
        leave them as they are. Pickles of Python 3 do not need it.

    Raises
    ------
    ValueError
        It is no pickle, or holds anything else.
    OSError
        The file cannot be read.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        return _ArrayUnpickler(io.BytesIO(data), encoding=encoding).load()
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"the pickle was refused: {error}") from None
