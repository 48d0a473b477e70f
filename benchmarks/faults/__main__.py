"""Run the classes of faults and print their table; ``--write`` puts it into docs/reliability.md."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tabulate import tabulate

import benchmarks.faults
from benchmarks.faults.trial import Row

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: make bench-faults FLAGS=--write -->", "<!-- end of figures -->"

HELPERS = ("trial", "steps", "changes", "inputs", "__main__", "tiny", "pieces", "packed_inputs")
"""Modules that are no class of faults."""

COLUMNS = {
    "fault": "kind",
    "runs": "runs",
    "refused by name": "refused",
    "harmless": "harmless",
    "silently wrong": "wrong",
    "traceback": "traceback",
    "hang or memory": "hang",
    "lost": "lost",
}


def main() -> int:
    """Run what is named; exit 1 if anything went wrong in silence, with a traceback, or not at all."""
    names = sorted(m.name for m in pkgutil.iter_modules(benchmarks.faults.__path__))
    names = [name for name in names if name not in HELPERS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CLASS", help=f"by default all: {', '.join(names)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="trials of each kind of 'together' (default 10; half a minute each)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args()
    unknown = sorted({*options.names} - {*names})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(names)}")
    rows: list[Row] = []
    for name in options.names or names:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            module = importlib.import_module(f"benchmarks.faults.{name}")
            if options.count is not None and hasattr(module, "COUNT"):
                vars(module)["COUNT"] = options.count
            for row in module.run(Path(folder), options.seed):
                for example in row.examples:
                    print(f"{row.kind}: {example}", file=sys.stderr, flush=True)
                rows.append(row)
                if options.write:  # row by row: an hour's figures are not lost with the last one's
                    write([row])
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    return int(any(row.wrong or row.traceback or row.hang or row.lost for row in rows))


def write(rows: Iterable[Row]) -> None:
    """Put rows into docs/reliability.md, in place of those of the same kinds that are there."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    text, _, after = rest.partition(END)
    there = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line.startswith("|")]
    kept: dict[str, Row] = {}
    for kind, *counts in there[2:]:
        kept[kind] = Row(kind)
        for field, count in zip(tuple(COLUMNS.values())[1:], counts, strict=True):
            setattr(kept[kind], field, int(count))
    every = table((kept | {row.kind: row for row in rows}).values())
    PAGE.write_text(f"{before}{BEGIN}\n\n{every}\n\n{END}{after}", encoding="utf-8")


def table(rows: Iterable[Row]) -> str:
    """Return the counts as a Markdown table."""
    cells = [[getattr(row, field) for field in COLUMNS.values()] for row in rows]
    return tabulate(cells, headers=list(COLUMNS), tablefmt="github")


if __name__ == "__main__":
    sys.exit(main())
