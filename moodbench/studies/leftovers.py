"""Files that earlier runs wrote into a study's folder, and that the study, which was changed, asks for no longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from moodbench.errors import DataError
from moodbench.sizes import many
from moodbench.studies.log import files_written
from moodbench.studies.own_files import output_name


def leftovers(root: Path, asked: Iterable[str]) -> list[str]:
    """Return their names in the folder, sorted. What people put there themselves is none of them.

    Parameters
    ----------
    root : Path
        The folder.
    asked : iterable of str
        Files that the study asks for.
    """
    wanted = set(asked)
    found = [name for name in files_written(root) if name not in wanted and output_name(name) == name]
    return [
        name
        for name in found
        if (root / name).is_file() and not any(_same(root / name, root / other) for other in wanted)
    ]


def _same(one: Path, other: Path) -> bool:
    """Say whether two names lead to one file, as on disks that do not tell upper from lower case."""
    with suppress(OSError):
        return one.samefile(other)
    return False


def remove(root: Path, names: Sequence[str]) -> None:
    """Remove files of the folder, and folders in it that are empty then.

    Raises
    ------
    DataError
        One cannot be removed.
    """
    for name in names:
        file = root / name
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"the file cannot be removed: {error.strerror}", file=file) from None
        for folder in file.parents:
            if folder == root:
                break
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def about(root: Path, names: Sequence[str]) -> str:
    """Return the line that names them."""
    files = many(len(names), "file")
    return f"note: {root} holds {files} that the study no longer asks for: {', '.join(names)}; --prune removes them"
