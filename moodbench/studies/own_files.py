"""What the files are called that a study's folder has of its own, and which names its outputs may have beside them."""

from __future__ import annotations

from pathlib import PurePath

STUDY, ENVIRONMENT, RESOLVED, COMMANDS, LOG, INPUTS, RESULTS = (
    "study.yaml",
    "environment.json",
    "resolved.json",
    "commands.sh",
    "run.log",
    "inputs",
    "results",
)

_TAKEN = {name.casefold() for name in (STUDY, ENVIRONMENT, RESOLVED, COMMANDS, LOG, INPUTS, RESULTS)}


def output_name(text: str) -> str | None:
    """Return how a file of the folder is called, in the one way of several (``./a.md`` is ``a.md``).

    None: it would lie elsewhere, or where the folder has a file or folder of its own, on disks that do not tell upper
    from lower case too.
    """
    path = PurePath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0].casefold() in _TAKEN:
        return None
    return path.as_posix()


def in_the_way(names: list[str]) -> tuple[str, str] | None:
    """Return two of some outputs that cannot both be: one file, or one in a folder that is called as the other."""
    known: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        for other, written in known.items():
            if folded == other or folded.startswith(f"{other}/") or other.startswith(f"{folded}/"):
                return written, name
        known[folded] = name
    return None
