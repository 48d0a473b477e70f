"""Damaged results: CSV, provenance and row scores that were changed after they were written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults import tiny
from benchmarks.faults.trial import Row, attempt
from moodbench.commands.table import table
from moodbench.features.rowscores import read_row_scores
from moodbench.results import row_scores_file
from moodbench.workspace import Workspace

Damage = Callable[[bytes, random.Random], bytes]

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**400, "", "x", "\0", "../x", "é" * 500, [], [1], {}, {"a": 1}, [[]]),
    {"title": 1, "year": "x"},
)
"""Values to put in place of others."""


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Change one file at a time and print the table again."""
    space = tiny.make(folder / "tiny", seed)
    tiny.run(space, "msp", "energy", "euclid", "knn")
    chance = random.Random(seed)
    file = tiny.results(space)
    beside, rows = file.with_suffix(".json"), row_scores_file(file)
    for kind, one, damages, runs in (
        ("results CSV: a byte flipped", file, (_flip,), 120),
        ("results CSV: a digit changed", file, (_digit,), 60),
        ("results CSV: cut, at a line's end or anywhere", file, (_cut_line, _cut), 60),
        ("results CSV: lines removed, repeated, swapped", file, (_remove, _repeat, _swap), 60),
        ("results JSON: a byte flipped", beside, (_flip,), 120),
        ("results JSON: another value or key, or cut", beside, (_value, _value, _cut), 120),
        ("results JSON of before there were digests: another value", beside, (_legacy,), 120),
    ):
        yield _trials(kind, one, damages, runs, lambda: _shown(space), chance, comparable=damages != (_legacy,))
    yield _trials("row scores: a byte flipped, or cut", rows, (_flip, _flip, _cut), 120, lambda: _scores(rows), chance)
    yield _exchanged(space)


def _trials(
    kind: str,
    file: Path,
    damages: tuple[Damage, ...],
    runs: int,
    work: Callable[[], object],
    chance: random.Random,
    *,
    comparable: bool = True,
) -> Row:
    row, data, wanted = Row(kind), file.read_bytes(), attempt(work).value
    for number in range(runs):
        damaged = damages[number % len(damages)](data, chance)
        file.write_bytes(damaged)
        outcome = attempt(work)
        row.count(outcome, right=not comparable or outcome.value == wanted, case=str(number))
    file.write_bytes(data)
    return row


def _exchanged(space: Workspace) -> Row:
    """Put each file of the pair, and both, in the place of another model's, and of another state of its own."""
    row, file = Row("results: a file in another's place"), tiny.results(space)
    now = tiny.written(space)
    tiny.run(space, "mahalanobis")
    later = tiny.written(space)
    for name in ("net.csv", "net.json"):
        (file.parent / name).write_bytes(now[name])
        row.count(attempt(lambda: _shown(space)), right=False, case=f"older {name}")
        (file.parent / name).write_bytes(later[name])
    for names in (("net.csv",), ("net.csv", "net.json")):
        for name in names:
            (file.parent / name.replace("net", "other")).write_bytes(later[name])
        row.count(attempt(lambda: _shown(space)), right=False, case=f"{names} as another model's")
    return row


def _shown(space: Workspace) -> str:
    texts = [table(layout="all", format=format, workspace=space) for format in ("csv", "markdown")]
    return "\n".join(texts)


def _scores(file: Path) -> object:
    found = read_row_scores(file)
    return found and (found.owner, {path: array.tobytes() for path, array in found.arrays.items()})


def _flip(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _digit(data: bytes, chance: random.Random) -> bytes:
    place = chance.choice([i for i, byte in enumerate(data) if byte in b"0123456789"])
    other = chance.choice([digit for digit in b"0123456789" if digit != data[place]])
    return data[:place] + bytes([other]) + data[place + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _cut_line(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[: chance.randrange(len(lines))])


def _remove(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[chance.randrange(1, len(lines))]
    return b"".join(lines)


def _repeat(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines, chance.choice(lines[1:])])


def _swap(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    a, b = chance.sample(range(1, len(lines)), 2)
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def _value(data: bytes, chance: random.Random) -> bytes:
    """Put an odd value, or an odd key, somewhere into the JSON."""
    values = json.loads(data)
    where = chance.choice([place for place in _places(values) if place])
    inside: Any = values
    for key in where[:-1]:
        inside = inside[key]
    if isinstance(inside, dict) and chance.random() < 0.3:
        inside[f"{where[-1]}x"] = inside.pop(where[-1])
    else:
        inside[where[-1]] = chance.choice(ODD)
    return json.dumps(values).encode()


def _legacy(data: bytes, chance: random.Random) -> bytes:
    values = json.loads(data)
    del values["schema"], values["sha256"]
    chosen = {key: values[key] for key in ("scores", "inputs", "made_with", "versions", "moodbench")}
    return _value(json.dumps(chosen).encode(), chance)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))
