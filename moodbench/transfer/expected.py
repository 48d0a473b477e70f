"""Is this file the one that was meant? By size and digests, with the message when the answer is no."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moodbench.digests import digest_file
from moodbench.errors import DownloadError


@dataclass(frozen=True)
class Expectation:
    """What is known about a file beforehand; None where nothing is.

    Attributes
    ----------
    bytes : int or None
        Its size.
    md5, sha256, git_blob : str or None
        Digests in hex; `git_blob` is the id that git gives to such a file.
    """

    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    git_blob: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is a digest to compare with."""
        return bool(self.digests)

    @property
    def digests(self) -> dict[str, str]:
        """Kind → digest in lower-case hex, of those that are known; the strongest first."""
        values = {"sha256": self.sha256, "md5": self.md5, "git_blob": self.git_blob}
        return {kind: value.lower() for kind, value in values.items() if value is not None}


def check_file(file: Path, expected: Expectation, origin: str) -> dict[str, str]:
    """Return the digests of a file (SHA-256 and those expected) if it is what was expected.

    Parameters
    ----------
    file : Path
    expected : Expectation
    origin : str
        Where it came from, for the message: an address, a folder, a person's words.

    Raises
    ------
    DownloadError
        It is not there, or has another size or digest; the message names both and what probably happened.
    """
    try:
        digests = digest_file(file, {"sha256": None, **expected.digests})
        fault = find_fault(file, expected, digests)
    except OSError as error:
        raise DownloadError(f"'{file.name}' cannot be read: {error.strerror}", file=file) from None
    if fault is not None:
        raise DownloadError(
            f"'{file.name}' from {origin} is not the file that is expected: {fault}",
            file=file,
            fix="nothing was done with it; fetch it again from its publisher, and where that gives the same file, "
            "the catalogue is outdated or the address serves something else",
        )
    return digests


def find_fault(file: Path, expected: Expectation, digests: Mapping[str, str]) -> str | None:
    """Return what is wrong with a file in one sentence, None if nothing is.

    Where no digest is known, a web page, a Git LFS pointer and an empty file are faults: no dataset consists of them.
    """
    size = file.stat().st_size
    wrong = []
    if expected.bytes not in (None, size):
        wrong.append(f"it has {size:,} bytes, expected {expected.bytes:,}")
    for kind, wanted in expected.digests.items():
        if digests[kind] != wanted:
            wrong.append(f"its {kind} is {digests[kind]}, expected {wanted}")
    disguise = _disguise(file)
    if wrong:
        return "; ".join([*wrong, disguise or _likely(size, expected.bytes)])
    return None if expected.known else disguise


def _disguise(file: Path) -> str | None:
    """Return what else a file seems to be."""
    with file.open("rb") as stream:
        head = stream.read(4096)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not head:
        return "it is empty"
    if text.startswith(b"version https://git-lfs.github.com/spec"):
        return "it is a Git LFS pointer in place of the file"
    if not text.startswith(b"<") or _may_be_markup(file):
        return None
    if re.search(rb"quota|virus|too many users|google drive", text):
        return "it begins like a web page: the quota or virus-scan page of a drive in place of the file"
    return "it begins like a web page: an error or login page in place of the file"


def _may_be_markup(file: Path) -> bool:
    return Path(file.name.removesuffix(".part")).suffix.lower() in (".html", ".htm", ".xml", ".svg")


def _likely(size: int, wanted: int | None) -> str:
    if wanted is not None and size < wanted:
        return "it is probably cut short"
    if wanted is not None and size > wanted:
        return "it is probably another version"
    return "it was changed at the publisher, or damaged on its way or on the disk"
