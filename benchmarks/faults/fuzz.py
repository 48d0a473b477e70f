"""Bad inputs: valid files of every kind, changed at random, given to the readers. No exception but moodbench's own.

Whatever is accepted must be harmless to read on; that values are the right ones is the business of digests, where there
are any. The bounded tests of the suite try the same (``tests/unit/test_fuzz.py``).
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.inputs import READERS, Files, Reader
from benchmarks.faults.trial import Row, attempt
from moodbench.errors import MoodbenchError

BATCH = 40


def cases(reader: Reader, seed: int, count: int) -> Iterator[Files]:
    """Yield changed inputs, the same for the same seed."""
    rng = random.Random(f"{reader.name} {seed}")
    worlds = reader.worlds()
    for _ in range(count):
        files = dict(rng.choice(worlds))
        name = rng.choice(list(files))
        yield {**files, name: reader.change(files[name], rng)}


def tried(reader: Reader, files: Files, folder: Path) -> str | None:
    """Give the files to the reader; return the traceback of what is not one of moodbench's errors, or None."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    try:
        reader.read(folder, next(iter(files)))
    except MoodbenchError as error:
        str(error)
        return ""
    except Exception:
        return traceback.format_exc(limit=-3)
    return None


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each reader."""
    for reader in READERS:
        row = Row(f"damaged input: {reader.name}")
        inputs = list(cases(reader, seed, reader.runs))
        for first in range(0, len(inputs), BATCH):
            _batch(reader, inputs[first : first + BATCH], folder / f"{reader.name.split()[0]}{first}", row)
        yield row


def _batch(reader: Reader, inputs: list[Files], folder: Path, row: Row) -> None:
    def work() -> list[str | None]:
        folder.mkdir()
        return [tried(reader, files, folder / str(i)) for i, files in enumerate(inputs)]

    outcome = attempt(work)
    if outcome.ending != "done":
        if len(inputs) == 1:
            row.count(outcome, right=True, case=repr(inputs[0])[:200])
            return
        for i, files in enumerate(inputs):  # which one was it?
            _batch(reader, [files], folder.with_name(f"{folder.name}.{i}"), row)
        return
    found: Any = outcome.value
    for files, trace in zip(inputs, found, strict=True):
        row.runs += 1
        if trace:
            row.traceback += 1
            row.examples += [f"{trace} {repr(files)[:200]}"] if len(row.examples) < 5 else []
        elif trace is None:
            row.harmless += 1
        else:
            row.refused += 1
