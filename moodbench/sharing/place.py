"""Where people share: a folder of this disk, or a dataset repository of the hub, both read as a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moodbench.errors import ResultsError, UsageError
from moodbench.sharing.layout import HUB


def is_hub(place: str | Path) -> bool:
    """Say whether a place is a repository of the hub."""
    return isinstance(place, str) and place.startswith(HUB)


@contextmanager
def shared_folder(source: str | Path, revision: str | None = None) -> Iterator[Path]:
    """Yield a folder with what was shared: the one that is named, or a copy of what the hub has.

    Raises
    ------
    ResultsError
        There is no such folder or repository, or the hub cannot be reached.
    UsageError
        A folder has no revisions.
    """
    if is_hub(source):
        from moodbench.sharing.hub import Repository

        with Repository.parse(str(source), revision).copied() as (folder, _):
            yield folder
        return
    if revision is not None:
        fix = "git switches the branches of a folder"
        raise UsageError("--revision is for repositories of the hub (hf:ORG/NAME)", fix=fix)
    folder = Path(source)
    if not folder.is_dir():
        raise ResultsError("there is no such folder", file=folder, fix="name a shared folder, or hf:ORG/NAME")
    yield folder
