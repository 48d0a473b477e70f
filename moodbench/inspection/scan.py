"""Which image files are there. Unlike the listing that feeds an extraction, it goes on after a problem."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from moodbench.datasets.suffixes import NO_SUFFIX, is_image, suffix_of
from moodbench.datasets.walking import is_utf8, walk


@dataclass
class Scan:
    """What was found below a folder.

    Attributes
    ----------
    sizes : dict
        Path relative to the folder, with ``/`` → bytes.
    broken : list of str
        Links to nowhere.
    unnameable : list of str
        Names that are not UTF-8, with the bytes that are not replaced by a question mark.
    unreadable : dict
        Folder → why it cannot be read.
    left_out : Counter
        Files that are no images, by suffix.
    examples : dict
        Suffix → one of these files.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    unnameable: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to find."""
        return not (self.sizes or self.broken or self.unnameable or self.unreadable)


def look_at(folder: Path, names: Iterable[str]) -> Scan:
    """Return those of the files `names` that are there."""
    found = Scan()
    for name in names:
        try:
            status = (folder / name).stat()
        except PermissionError as error:
            _note_unreadable(found, name, error)
        except (OSError, ValueError):
            if os.path.islink(folder / name):  # noqa: PTH114 (of any name)
                found.broken.append(name)
        else:
            if S_ISREG(status.st_mode):
                found.sizes[name] = status.st_size
    return found


def scan(folder: Path, include: tuple[str, ...] = ()) -> Scan:
    """Return every visible image file below `folder`, sorted by path.

    Parameters
    ----------
    folder : Path
    include : tuple of str
        The first-level folders to look into; empty: everything.
    """
    found = Scan()

    def unreadable(path: str, error: OSError) -> None:
        found.unreadable[path] = error.strerror or str(error)

    for name, entry in walk(folder, include, unreadable):
        if not is_image(entry.path, found.left_out):
            found.examples.setdefault(suffix_of(entry.name) or NO_SUFFIX, name)
        elif is_utf8(name):
            _add(found, name, entry)
        else:
            found.unnameable.append(os.fsencode(name).decode("utf-8", "replace"))
    found.sizes = dict(sorted(found.sizes.items()))
    for problems in (found.broken, found.unnameable):
        problems.sort()
    return found


def _add(found: Scan, name: str, entry: os.DirEntry[str]) -> None:
    try:
        status = entry.stat()
    except PermissionError as error:
        _note_unreadable(found, name, error)
    except OSError:
        found.broken.append(name)
    else:
        if S_ISREG(status.st_mode):
            found.sizes[name] = status.st_size


def _note_unreadable(found: Scan, name: str, error: OSError) -> None:
    """Note the folder of a file that may not even be looked at."""
    found.unreadable[name.rpartition("/")[0] or "."] = error.strerror or str(error)
