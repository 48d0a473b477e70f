"""Size and SHA-256 of many files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from moodbench.digests import size_and_sha256
from moodbench.inspection.manifest import FileRecord
from moodbench.processes import cores
from moodbench.progress import bar

_AT_ONCE = 64


def hash_files(root: Path, names: Sequence[str], *, progress: bool = False) -> dict[str, FileRecord]:
    """Return the records of the files `names` below `root`, in that order.

    One thread a core: reading and hashing happen without the interpreter's lock, and threads end with their process.
    """
    workers = min(16, cores())
    records: dict[str, FileRecord] = {}
    parts = [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]
    with (
        ThreadPoolExecutor(workers) as pool,
        bar("hash", len(names), shown=progress, unit="file", leave=False) as done,
    ):
        hashed = pool.map(lambda part: [FileRecord(*size_and_sha256(root / name)) for name in part], parts)
        try:
            for part, found in zip(parts, hashed, strict=True):
                records.update(zip(part, found, strict=True))
                done.update(len(part))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return records
