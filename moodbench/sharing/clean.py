"""Taking the submitter's machine out of what is shared: folders, and what addresses carry besides the address.

Results note names of files and digests, no folders; but notes of scores, plug-ins and other people's programs may hold
anything. So every text of a submission is cleaned.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from moodbench.transfer.contact import shown
from moodbench.types import Result

_LOCAL = ("cwd", "command", "folder", "host", "hostname", "path", "time", "user", "username")
"""Keys of a provenance that say something of a machine or person, whatever wrote them."""

_PART = r"[^\\/\s'\"<>|:;,()]+"
_PATH = re.compile(
    rf"(?<![\w/.\\])(?!(?<=<)/\w+\s*>)(?:file://)?(?:~\w*|\.{{1,2}}|[A-Za-z]:)?[\\/]+(?:{_PART}[\\/]+)*(?P<name>{_PART})"
)
"""A file or folder with folders before it: ``/srv/me/x``, ``~/x``, ``../a/x``, ``C:\\a\\x``."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)

HIDDEN = "…"
"""Stands for what is a folder of this machine and nothing else, a token or an address of a person."""

_SECRET = re.compile(
    r"\b(?:hf_|gh[opusr]_|github_pat_|glpat-|xox[abprs]-|sk-)[A-Za-z0-9_-]{16,}|\bAKIA[A-Z0-9]{16}\b"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"
)
"""Tokens of hubs and services by what they begin with, and e-mail addresses."""


class Cleaner:
    """Takes folders out of texts, rows and provenances; the names of the files in them stay.

    Parameters
    ----------
    folders : iterable of Path
        Folders of this machine, besides the home and the current one, which may have blanks in their names.

    Examples
    --------
    >>> Cleaner().text("cannot read /scratch/weights/vit.pth")
    'cannot read vit.pth'
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        users = set()
        known = [Path.cwd(), *(folder.absolute() for folder in folders), *(folder.resolve() for folder in folders)]
        try:
            known.append(Path.home())
            users = {getpass.getuser(), Path.home().name}
        except (RuntimeError, KeyError, OSError):  # a user that nobody knows, as in a container
            pass
        # of those near the root every path of other machines, too, has parts
        self._folders = sorted({str(one) for one in known if len(one.parts) > 2}, key=len, reverse=True)
        self._users = users

    def text(self, text: str) -> str:
        """Return a text without folders, and its addresses without user, password and tokens."""
        for folder in self._folders:
            text = text.replace(f"{folder}/", "~/").replace(folder, HIDDEN)  # the rest of a path goes below
        parts: list[str] = []
        end = 0
        for found in _ADDRESS.finditer(text):
            if not found[0].lower().startswith("file:"):
                parts += [_PATH.sub(self._name, text[end : found.start()]), shown(found[0])]
                end = found.end()
        return _SECRET.sub(HIDDEN, "".join([*parts, _PATH.sub(self._name, text[end:])]))

    def _name(self, found: re.Match[str]) -> str:
        return HIDDEN if found["name"] in self._users else found["name"]

    def row(self, row: Result) -> Result:
        """Return a row with clean texts."""
        remarks = tuple(map(self.text, row.remarks))
        return replace(row, note=self.text(row.note), remarks=remarks, params=self.text(row.params))

    def notes(self, value: Any) -> Any:
        """Return a provenance with clean texts, keys too, and without keys that say something of a machine."""
        if isinstance(value, Mapping):
            kept = {str(key): one for key, one in value.items() if key not in _LOCAL}
            return {self.text(key): self.notes(one) for key, one in kept.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self.notes(one) for one in value]
        return self.text(value) if isinstance(value, str) else value
