"""Which catalogues are read, and whether they are valid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from moodbench.catalog import load_catalog
from moodbench.diagnosis.findings import Finding
from moodbench.diagnosis.words import path, plain
from moodbench.errors import MoodbenchError
from moodbench.sizes import many

SECTION = "catalogues"


def check(extra: tuple[Path, ...]) -> Iterator[Finding]:
    """Yield the built-in one, then each file in the order in which they are merged."""
    yield _read("built-in", ())
    for number, file in enumerate(extra, 1):
        yield _read(path(file), extra[:number])


def _read(name: str, files: tuple[Path, ...]) -> Finding:
    try:
        found = load_catalog(files)
    except MoodbenchError as error:
        fix = error.fix or "the message says what is wrong in it"
        return Finding(SECTION, name, None, "not valid", "broken", f"catalogue {name}: {plain(error.what)}", plain(fix))
    counts = {"datasets": len(found.datasets), "benchmarks": len(found.benchmarks), "models": len(found.models)}
    text = ", ".join(many(count, what.removesuffix("s")) for what, count in counts.items())
    return Finding(SECTION, name, counts, f"valid, {'with it ' if files else ''}{text}")
