"""Damaged bytes of caches in shards: in shards, manifests and plans, joined and not; and files in another's place."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.pieces import SHARDS, Check, Extractor, cache_of, contents, packed, pictures, shards_of
from benchmarks.faults.trial import Row, attempt
from benchmarks.small import flip, trial, zero
from moodbench.commands.cache import verify_caches
from moodbench.features.shards.plan import plan_file
from moodbench.workspace import Workspace

TIMES, FEWER = 90, 12

PAGE = 4096

Files = Callable[[Path], list[Path]]
Work = Callable[[Path], object]


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for each kind of file and use: what is returned must be what undisturbed shards give."""
    chance = random.Random(seed)
    extractor = Extractor(pictures(folder / "pictures", seed))
    joined = Check(extractor, folder / "joined", extractor.jobs)
    last = Check(extractor, folder / "last", extractor.but_the_last)
    unjoined = Check(extractor, folder / "unjoined", extractor.unjoined)
    yield _read("bit flips in shards", joined, shards_of, chance)
    yield _read("bit flips in a manifest", joined, _manifest, chance)
    yield _verified(joined, chance)
    going_on = partial(_contents_after, extractor.whole)
    yield _then("bit flips in a plan, then going on", last, _plan, going_on, chance)
    yield _then("bit flips in shards, then going on", last, shards_of, going_on, chance)
    yield _then("bit flips in shards, then joining", unjoined, shards_of, going_on, chance)
    yield _then(
        "bit flips in shards and manifest, then cache pack", joined, _all, partial(_contents_after, packed), chance
    )
    yield _pages(joined, chance)
    yield _exchanged(folder, joined)


def _manifest(place: Path) -> list[Path]:
    return [cache_of(place)]


def _plan(place: Path) -> list[Path]:
    return [plan_file(cache_of(place))]


def _all(place: Path) -> list[Path]:
    return [cache_of(place), *shards_of(place)]


def _contents_after(work: Work, place: Path) -> str:
    work(place)
    return contents(place)


def _flipped(chance: random.Random, file: Path) -> Callable[[Path], object]:
    return flip(chance, 0, file.stat().st_size)


def _read(kind: str, check: Check, files: Files, chance: random.Random) -> Row:
    row, here = Row(kind), check.place()
    for _ in range(TIMES):
        file = chance.choice(files(here))
        trial(row, file, _flipped(chance, file), partial(contents, here), check.right[0])
    return row


def _verified(check: Check, chance: random.Random) -> Row:
    """`cache verify` says of every flip that there is one."""
    row, here = Row("bit flips in shards and manifest, then cache verify"), check.place()

    def verified() -> None:
        for one in verify_caches(Workspace(cache_dir=here)):
            if one.fault is not None:
                raise one.fault

    for _ in range(TIMES // 2):
        file = chance.choice(_all(here))
        trial(row, file, _flipped(chance, file), verified, "must be found")
    return row


def _then(kind: str, check: Check, files: Files, work: Work, chance: random.Random) -> Row:
    """Damage a file and do some work, in a place of its own."""
    row = Row(kind)
    for _ in range(TIMES // 2):
        here = check.place()
        file = chance.choice(files(here))
        done = _flipped(chance, file)(file)
        outcome = attempt(partial(work, here))
        row.count(outcome, right=outcome.value == check.right[0], case=f"{file.name}: {done}:")
    return row


def _pages(check: Check, chance: random.Random) -> Row:
    row, here = Row("shards, manifests with zeros in 4 kB, or cut"), check.place()
    for number in range(2 * FEWER):
        file = chance.choice(_all(here))
        size = file.stat().st_size
        harm = (
            zero(chance.randrange(max(1, size - PAGE)), PAGE) if number % 2 else partial(_cut, chance.randrange(size))
        )
        trial(row, file, harm, partial(contents, here), check.right[0])
    return row


def _cut(length: int, file: Path) -> str:
    with file.open("r+b") as stream:
        stream.truncate(length)
    return f"{length} bytes are left"


def _exchanged(folder: Path, check: Check) -> Row:
    """A shard or manifest in the place of another, of this cache and of one with other weights."""
    row, here = Row("a shard or manifest in the place of another"), check.place()
    other = Extractor(folder / "pictures", weights=1)
    theirs = folder / "theirs"
    other.jobs(theirs)
    sources = [*shards_of(here), *shards_of(theirs), cache_of(theirs)]
    kept = folder / "kept"
    kept.mkdir()
    for number, source in enumerate(sources):
        shutil.copy2(source, kept / str(number))
    for target in _all(here):
        for number, source in enumerate(sources):
            if target != source:
                trial(row, target, partial(_copy, kept / str(number)), partial(contents, here), check.right[0])
    assert row.runs == (1 + SHARDS) * len(sources) - SHARDS
    return row


def _copy(source: Path, file: Path) -> str:
    file.write_bytes(source.read_bytes())
    return f"a copy of number {source.name}"
