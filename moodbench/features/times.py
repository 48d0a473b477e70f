"""How long scores took a test row where `score` ran: ``scores/<benchmark>.times.json`` among the caches.

Among the caches and not beside the results: equal inputs give equal results, and a time is never the same twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moodbench.atomic import write_file
from moodbench.errors import ResultsError

Times = dict[tuple[str, str], float]
"""(score, parameters) → seconds a test row."""


def times_file(kept: Path) -> Path:
    """Return where the times lie, beside the row scores `kept`."""
    return kept.with_suffix(".times.json")


def read_times(file: Path, owner: Mapping[str, Any] | None = None) -> Times:
    """Return the times that were measured; none where there is no file.

    Parameters
    ----------
    file : Path
    owner : mapping, optional
        Benchmark, model and inputs: times of others are left out.

    Raises
    ------
    ResultsError
        The file cannot be read, or was changed after it was written.
    """
    try:
        said = json.loads(file.read_bytes())
        times = {(score, params): float(seconds) for score, params, seconds in said["seconds"]}
        whole = said["sha256"] == _digest(said["owner"], times)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole, said, times = False, {}, {}
    if not whole:
        raise ResultsError(
            "the measured times cannot be read", file=file, fix="delete the file and run moodbench score again"
        )
    return times if owner is None or said["owner"] == _owner(owner) else {}


def write_times(file: Path, owner: Mapping[str, Any], times: Times) -> None:
    """Put times in place of those of the same scores and parameters; others stay if they are of the same owner.

    Raises
    ------
    ResultsError
        The file system refuses.
    """
    try:
        before = read_times(file, owner)
    except ResultsError:  # what is here can be measured again
        before = {}
    every = before | times
    said = {
        "owner": _owner(owner),
        "seconds": [[*key, every[key]] for key in sorted(every)],
        "sha256": _digest(_owner(owner), every),
    }
    write_file(file, (json.dumps(said, indent=1, ensure_ascii=False) + "\n").encode())


def _owner(owner: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(owner, sort_keys=True).encode()).hexdigest()


def _digest(owner: str, times: Times) -> str:
    text = json.dumps([owner, [[*key, times[key]] for key in sorted(times)]])
    return hashlib.sha256(text.encode()).hexdigest()
