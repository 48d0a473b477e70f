"""Which names of an archive are safe to write, and which are of no use."""

from __future__ import annotations

import re

MAX_DEPTH = 32
"""Folders within folders; nobody's images lie deeper, and an archive must not fill a disk with folders."""


def shown(name: str) -> str:
    """Return a name as messages show it: what is not text or would break the line is escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in name
    )


def safe_name(name: str) -> str:
    """Return the name of a member as a relative path without empty parts and ``.``; empty for the top folder itself.

    Letters of any script, blanks and line breaks stay as they are.

    Raises
    ------
    ValueError
        It leads, or might lead on some system, somewhere else, or it is no text. The message completes
        "it has a member whose name …".
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("is not in UTF-8") from None
    if "\0" in name:
        raise ValueError("contains a zero byte")
    if "\\" in name:
        raise ValueError("contains a backslash")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise ValueError("is an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("contains '..'")
    if len(parts) > MAX_DEPTH:
        raise ValueError(f"is more than {MAX_DEPTH} folders deep")
    return "/".join(parts)


def link_target(name: str, target: str) -> str:
    """Return what a symbolic link called `name` (a safe name) points to, as a safe name from the archive's top.

    Raises
    ------
    ValueError
        It points to something that is not in the archive.
    """
    parts = name.split("/")[:-1]
    for part in target.split("/"):
        if part == ".." and not parts:
            raise ValueError(f"is a link to '{shown(target)}', outside the archive")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if target.startswith("/") or not target or not parts:
        raise ValueError(f"is a link to '{shown(target)}', which is not a file of the archive")
    return safe_name("/".join(parts))


def hard_link_target(target: str) -> str:
    """Return what a hard link points to, which a tar writes from its top, as a safe name.

    Raises
    ------
    ValueError
        It points to something that is not in the archive.
    """
    try:
        name = safe_name(target)
    except ValueError:
        name = ""
    if not name:
        raise ValueError(f"is a link to '{shown(target)}', which is not a file of the archive")
    return name


def is_hidden(name: str) -> bool:
    """Whether it is a by-product of some system (``._x``, ``.DS_Store``, ``__MACOSX/…``), no image."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def below(name: str, folder: str) -> str | None:
    """Return the rest of `name` below `folder` (everything is below ""); None if it is not below it."""
    if not folder:
        return name or None
    return name.removeprefix(folder + "/") if name.startswith(folder + "/") else None
