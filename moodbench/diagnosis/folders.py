"""The folders of a workspace: free space, kind of file system, whether locks hold, whether a and A are one file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from moodbench.diagnosis.children import Child
from moodbench.diagnosis.findings import Finding, Level
from moodbench.diagnosis.mounts import is_network, kind_of
from moodbench.diagnosis.words import path, plain
from moodbench.sizes import human_bytes

SECTION = "folders"

SECONDS = 20.0
"""That a folder may take to answer; one on a server that is gone never does."""

SPACE = 5_000_000_000
"""ImageNet's features of one ViT-B in float32, ID train and all OOD datasets, take about as much."""

FILES = 100_000
"""Of a file system that counts them: a large dataset has more images."""


def check(folders: Mapping[str, Path]) -> Iterator[Finding]:
    """Yield findings for each folder, by what it is for; of one that is not there yet, its parent is asked."""
    children = {}
    for use, folder in {**folders, "temporary": Path(tempfile.gettempdir())}.items():
        blocked = in_the_way(folder)
        if blocked is not None:
            yield _blocked(use, folder, blocked)
            continue
        there = nearest(folder)
        children[use] = (folder, there, Child("ask_folder.py", str(there), seconds=SECONDS, isolated=True))
    for use, (folder, there, child) in children.items():
        answer, fault = child.answer()
        try:
            kind = kind_of(there)
        except Exception:  # it is only a word
            kind = None
        yield from findings(use, folder, there, kind, answer, fault)


def in_the_way(folder: Path) -> Path | None:
    """Return the file, or link to nowhere, because of which this folder can neither be used nor made; None: nothing."""
    folder = folder.absolute()
    for one in (folder, *folder.parents):
        try:
            if one.is_dir():
                return None
            if os.path.lexists(one):
                return one
        except OSError:  # may not be looked at
            continue
    return None


def _blocked(use: str, folder: Path, blocked: Path) -> Finding:
    shown = path(folder)
    what = "a link to nowhere" if blocked.is_symlink() else "a file"
    fault = f"{path(blocked)} is {what}, not a folder"
    problem = f"the folder of {use}, {shown}, cannot be used: {fault}"
    fix = f"name another with --{use}-dir, or move {path(blocked)} away"
    value = {"path": shown, "exists": False, "kind": None}
    return Finding(SECTION, use, value, f"{shown}: {fault}", "broken", problem, fix)


def nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    for one in (folder, *folder.parents):
        try:
            if one.is_dir():
                return one
        except OSError:  # may not be looked at
            continue
    return Path("/")


def findings(
    use: str, folder: Path, there: Path, kind: str | None, answer: Mapping[str, Any], fault: str
) -> Iterator[Finding]:
    """Yield what is to be said of a folder: first a line with all, as it is best; then what is wrong."""
    shown = path(folder)
    if fault:
        problem = f"the folder of {use}, {shown}, does not answer: {fault}"
        fix = "is its disk, or its server, there? name another folder, or mount it anew"
        yield Finding(SECTION, use, {"path": shown, "kind": kind}, f"{shown}: {fault}", "broken", problem, fix)
        return
    facts = [
        shown if there == folder.absolute() else f"{shown} (not there yet)",
        kind or "file system of an unknown kind",
        f"{human_bytes(answer['free'])} of {human_bytes(answer['total'])} free",
    ]
    if answer["writable"]:
        facts += [f"locks {answer['locks']}"]
        facts += ["a and A are one file"] if answer["case_insensitive"] else []
    else:
        facts += ["read-only"]
    value = {"path": shown, "exists": there == folder.absolute(), "kind": kind, **answer}
    first = Finding(SECTION, use, value, ", ".join(facts))
    faults = list(_faults(use, shown, kind, answer))
    yield replace(first, **_as_fields(faults[0])) if faults else first
    for one in faults[1:]:
        level, problem, fix = one
        yield Finding(SECTION, use, value, "", level, problem, fix)


Fault = tuple[Level, str, str]


def _as_fields(fault: Fault) -> dict[str, Any]:
    return dict(zip(("level", "problem", "fix"), fault, strict=True))


def _faults(use: str, shown: str, kind: str | None, answer: Mapping[str, Any]) -> Iterator[Fault]:
    if not answer["writable"]:
        reason = plain(answer["error"])
        if use == "data":  # images may well be looked at alone
            yield "warning", f"{shown} cannot be written: {reason}; download will not work", "name another --data-dir"
        else:
            option = "TMPDIR" if use == "temporary" else f"--{use}-dir"
            yield "broken", f"the folder of {use}, {shown}, cannot be written: {reason}", f"name another with {option}"
    elif use != "temporary":
        locks = answer["locks"]
        if locks != "work":
            problem = f"on {shown} locks {locks if locks.startswith('do not') else 'fail: ' + plain(locks)}"
            fix = "use a local disk for this folder, or mount it with locks (NFS: without nolock, with a running lockd)"
            yield "broken", f"{problem}; two runs could write one file", fix
        elif is_network(kind):
            problem = (
                f"{shown} is on a network ({kind}): locks hold in this machine, and whether they hold between several "
                "cannot be seen from here"
            )
            yield "warning", problem, "let one machine at a time write, or give each its own and use results merge"
        if answer["case_insensitive"]:
            problem = f"on {shown} names that differ in case alone are one file: models or datasets so named would mix"
            yield "warning", problem, "do not use such names, or a volume that tells them apart"
    least = SPACE if use in ("data", "cache") else SPACE // 10
    if answer["free"] < least:
        problem = f"{human_bytes(answer['free'])} are free for {use} ({shown})"
        yield "warning", problem, "make room: cache remove, or another disk with the options of the folders"
    if answer.get("files_free") is not None and answer["files_free"] < FILES:
        problem = f"{answer['files_free']} more files may be made for {use} ({shown}), less than a large dataset has"
        yield "warning", problem, "use another disk for the images"
