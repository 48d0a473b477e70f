"""Whether a file is a detector of ours, intact: asked before anything in it is used. Without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moodbench.errors import CacheError
from moodbench.features.hdf5 import UnreadableError, open_hdf5
from moodbench.features.seal import Seal

SCHEMA = 1


def check_fitted(file: Path) -> None:
    """Compare every byte of the file of a detector with its seal.

    Raises
    ------
    CacheError
        It is missing, none of ours, of another schema, or was changed after it was written.
    """
    with_words(file, lambda h5, seal: refuse_foreign(h5, seal))


def with_words(file: Path, inspect: Any) -> None:
    """Open the file and look at it with `inspect`; turn what is wrong into an error that says what to do."""
    if not file.exists():
        raise CacheError("there is no such file of a detector", file=file, fix="check the path, or save one first")
    try:
        open_hdf5(file, inspect)
    except (OSError, UnreadableError) as error:
        raise CacheError(
            f"no detector can be read from this file: {error}", file=file, fix="remove it: it is fitted and saved again"
        ) from None


def refuse_foreign(h5: Any, seal: Seal | None) -> None:
    """Raise an `UnreadableError` unless the open file is a sealed detector of a schema that is known."""
    schema = h5.attrs.get("moodbench_schema")
    if "detector" not in h5 or schema is None:
        raise UnreadableError("it holds no detector")
    if int(schema) != SCHEMA:
        raise UnreadableError(f"it has schema {int(schema)}, and this version of moodbench reads schema {SCHEMA}")
    if seal is None:
        raise UnreadableError("its seal is damaged")
