"""What ``moodbench report --leaderboard`` does: a folder of shared results → one HTML page of leaderboards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moodbench.arguments import as_names, as_path
from moodbench.atomic import write_file
from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.sharing.agree import contradictory
from moodbench.sharing.layout import SUBMISSIONS, read_submissions
from moodbench.sharing.place import shared_folder


def leaderboard(
    source: str | Path, *, benchmark: str | Sequence[str] = (), out: str | Path = "leaderboard.html"
) -> Path:
    """Write one HTML page with a leaderboard of each benchmark that people shared results on, and return its file.

    Files that cannot be used, and those that contradict one another, are named at its end and have no part in it.

    Parameters
    ----------
    source : str or Path
        A shared folder (docs/sharing.md), or ``hf:ORG/NAME``.
    benchmark : str or sequence of str
        By default all.
    out : Path
        ``.html``. Equal submissions give equal bytes.

    Raises
    ------
    ResultsError
        Nothing is shared there, the hub cannot be reached, or the file cannot be written.
    UnknownNameError, UsageError
        Nobody shared results on a benchmark; the file has another suffix.
    """
    file = as_path(out)
    if file.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a leaderboard cannot be written as '{file.name}'", fix="end the file name in .html")
    chosen = as_names(benchmark)
    place = source if isinstance(source, str) else as_path(source)
    with shared_folder(place) as folder:
        found, faults = read_submissions(folder)
        known = {one.benchmark for one in found}
        for name in chosen:
            if name not in known:
                raise UnknownNameError(
                    "benchmark of shared results", name, known, plural="benchmarks of shared results"
                )
        if not found and not faults:
            fix = f"name a folder that 'moodbench results push' has written: it holds {SUBMISSIONS}/"
            raise ResultsError("there are no shared results", fix=f"{fix}; here: {source}")
        apart = contradictory(found)
        left_out = [(str(path.relative_to(folder)), error.what) for path, error in faults.items()]
        left_out += [(str(one.file.relative_to(folder)), _several(lines)) for one, lines in apart.items()]
        from moodbench.reporting.board import boards_of
        from moodbench.reporting.page import leaderboard_page

        boards = boards_of(one for one in found if one not in apart and (not chosen or one.benchmark in chosen))
        write_file(file, leaderboard_page(boards, sorted(left_out)))
    return file


def _several(lines: Sequence[str], most: int = 3) -> str:
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join(["contradicts another submission:", *lines[:most], *more])
