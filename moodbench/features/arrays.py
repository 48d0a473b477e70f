"""Arrays from files that other programs wrote: ``.npz``, ``.npy`` and pickles that hold nothing but NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from moodbench.errors import DataError
from moodbench.pickles import load_pickle


def load_arrays(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read `features` and, where present, `logits`, `labels`, `ids` and `classes`.

    Parameters
    ----------
    file : Path
        ``.npz`` or a pickle of a dict with those names; ``.npy`` or a pickle of one array: the features.

    Raises
    ------
    DataError
        The file is missing, of another kind, or holds other things.
    """
    suffix = file.suffix.lower()
    try:
        if suffix == ".npz":
            # opened here: NumPy leaves a file that is no archive open
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        if suffix == ".npy":
            return {"features": np.load(file, allow_pickle=False)}
        if suffix in (".pkl", ".pickle"):
            value = load_pickle(file)
            if isinstance(value, dict):
                return {str(name): np.asarray(array) for name, array in value.items()}
            return {"features": np.asarray(value)}
    except FileNotFoundError:
        raise DataError("there is no such file", file=file) from None
    except Exception as error:  # zip, numpy and pickle errors have no common base
        raise DataError(f"no arrays can be read from this file: {error}", file=file) from None
    raise DataError(f"'{suffix}' files cannot be imported", file=file, fix="bring a .npz, .npy or .pkl file")
