"""Whether a file is a detector of ours, intact: asked before anything in it is used. Without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moodbench.errors import CacheError
from moodbench.features.hdf5 import UnreadableError, open_hdf5
from moodbench.features.seal import Seal

SCHEMA = 1

ANOTHER = "name the file that save() wrote"
DAMAGED = f"{ANOTHER}; if this is it, take another copy of it, or fit and save it anew"
KEPT = "remove it: it is fitted and saved again"
"""Of what ``detect`` keeps among the caches; a file that people name may be anything, and is nobody's to remove."""


class ForeignError(UnreadableError):
    """The file is sound as far as that goes, and no detector."""


def check_fitted(file: Path) -> None:
    """Compare every byte of the file of a detector that is kept among the caches with its seal.

    Raises
    ------
    CacheError
        It is missing, none of ours, of another schema, or was changed after it was written.
    """
    with_words(file, lambda h5, seal: refuse_foreign(h5, seal), damaged=KEPT)


def with_words(file: Path, inspect: Any, *, damaged: str = DAMAGED) -> None:
    """Open the file and look at it with `inspect`; turn what is wrong into an error that says what to do.

    `damaged` is what to do about a file that cannot be read, or is not as it was written; of one that is plainly
    something else the advice is always to name another.
    """
    if not file.exists():
        raise CacheError("there is no such file of a detector", file=file, fix=ANOTHER)
    if file.is_dir():
        raise CacheError("a detector is a file, and this is a folder", file=file, fix=ANOTHER)
    try:
        open_hdf5(file, inspect)
    except (OSError, UnreadableError) as error:
        fix = ANOTHER if isinstance(error, ForeignError) else damaged
        raise CacheError(f"no detector can be read from this file: {error}", file=file, fix=fix) from None


def refuse_foreign(h5: Any, seal: Seal | None) -> None:
    """Raise an `UnreadableError` unless the open file is a sealed detector of a schema that is known."""
    schema = h5.attrs.get("moodbench_schema")
    if "detector" not in h5 or schema is None:
        raise ForeignError("it is a cache of features" if "features" in h5 else "it holds no detector")
    if int(schema) != SCHEMA:
        raise UnreadableError(f"it has schema {int(schema)}, and this version of moodbench reads schema {SCHEMA}")
    if seal is None:
        raise UnreadableError("its seal is damaged")
