"""Of which kind the file system of a folder is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

NETWORK = re.compile(
    r"^(nfs\d*|cifs|smb\w*|afs|afpfs|9p|lustre|beegfs|gpfs|ceph|glusterfs|fuse\..*fs|webdav|panfs|pvfs2)$"
)
"""Kinds whose locks and renames hold between machines only as far as the server and its settings say so."""

_LOCAL_FUSE = {"fuse.fuse-overlayfs", "fuse.ntfs", "fuse.lxcfs"}

_BSD = re.compile(r"^.* on (?P<where>/.*?) \((?P<kind>[^,)]+)")


def is_network(kind: str | None) -> bool:
    """Say whether files of this kind of file system lie on another machine."""
    return kind is not None and kind not in _LOCAL_FUSE and NETWORK.match(kind) is not None


def kind_of(folder: Path, table: str | None = None) -> str | None:
    """Return the kind of file system that holds a folder, such as ``ext4`` or ``nfs4``; None where nobody says.

    `table` is what the system says of its mounts; by default it is asked.
    """
    where = os.path.realpath(folder)
    found: tuple[str, str | None] = ("", None)
    for place, kind in _mounts(_table() if table is None else table):
        inside = where == place or where.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(found[0]):  # of several at one place, the last one is seen
            found = (place, kind)
    return found[1]


def _table() -> str:
    if sys.platform == "darwin":
        asked = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=False)
        return asked.stdout
    return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")


def _mounts(table: str) -> list[tuple[str, str]]:
    found = []
    for line in table.splitlines():
        bsd = _BSD.match(line)
        words = line.split(" ")
        if bsd is not None:
            found.append((bsd["where"], bsd["kind"]))
        elif len(words) >= 3:
            found.append((_unescaped(words[1]), words[2]))
    return found


def _unescaped(text: str) -> str:
    """Return a place of /proc/self/mounts, whose blanks are written as ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)
