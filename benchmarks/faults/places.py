"""A cache or head copied over another: of another dataset, model, variant or name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.trial import Row
from benchmarks.small import SIZE, Small, trial
from benchmarks.world import Size
from moodbench.features.heads import read_head, store_head
from moodbench.types import Head


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for caches and one for heads."""
    small = Small.make(folder)
    Small.make(folder, SIZE, "synthetic@other")
    Small.make(folder, Size(200, 60, (40, 30), 16, 4), "narrow")
    right = small.numbers()
    row = Row("a cache in the place of another")
    for target in ("syn_train", "syn_test", "syn_ood0", "syn_ood1"):
        for source in ("syn_train", "syn_test", "syn_ood0", "syn_ood1"):
            if source != target:
                trial(row, small.cache(target), partial(_copy, small.cache(source)), small.numbers, right)
        for model in ("synthetic@other", "narrow"):
            trial(row, small.cache(target), partial(_copy, small.cache(target, model)), small.numbers, right)
    yield row
    row = Row("a head in the place of another")
    for name in (None, "probe"):
        work = partial(small.numbers, name)
        right = work()
        for model in ("synthetic", "synthetic@other", "narrow"):
            for other in (None, "probe"):
                if (name, "synthetic") != (other, model):
                    trial(row, small.head(name), partial(_copy, small.head(other, model)), work, right)
    yield row
    row = Row("a head that was replaced by another of this model, or is gone")
    right = small.numbers()
    for harm in (_other, lambda file: file.unlink()):
        trial(row, small.head(), harm, small.numbers, right)
    yield row


def _copy(source: Path, file: Path) -> str:
    file.write_bytes(source.read_bytes())
    return f"a copy of {source.parent.name}/{source.name}"


def _other(file: Path) -> str:
    head = read_head(file)
    file.unlink()
    store_head(file, Head(-head.weight, head.bias))
    return "another head"
