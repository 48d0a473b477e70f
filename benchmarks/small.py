"""A small world of caches and what `score` gives of it, for trials that damage something."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.faults.trial import Outcome, Row, attempt
from benchmarks.world import Size, build
from moodbench.commands.score import score
from moodbench.features.heads import read_head, write_head
from moodbench.features.seal import read_seal
from moodbench.workspace import ModelName, Workspace

SCORES = ("msp", "mahalanobis", "knn")
"""One that reads logits, one that learns from labels, and one that keeps rows."""

SIZE = Size(train=200, test=60, ood=(40, 30), dim=16, classes=5)

Numbers = dict[tuple[str, str], float | None]


@dataclass(frozen=True)
class Small:
    """Caches of the model `synthetic` below a folder, with a second head called `probe`."""

    space: Workspace

    @classmethod
    def make(cls, folder: Path, size: Size = SIZE, model: str = "synthetic") -> Small:
        """Build the caches below `folder`; those of another model of the same benchmark if one is named."""
        torch.set_num_threads(1)  # what forks must not have threads
        space = Workspace(cache_dir=folder / "cache", results_dir=folder / "results")
        catalog = build(space, size, model)
        small = cls(Workspace(cache_dir=space.cache_dir, results_dir=space.results_dir, catalogs=(catalog,)))
        own = read_head(small.head(model=model))
        write_head(small.head("probe", model=model), own, {"source": "trial"})
        return small

    def cache(self, dataset: str = "syn_train", model: str = "synthetic") -> Path:
        """Return the file of a cache."""
        return self.space.cache_file(ModelName.parse(model), dataset)

    def head(self, name: str | None = None, model: str = "synthetic") -> Path:
        """Return the file of a head, by default the model's own."""
        return self.space.head_file(replace(ModelName.parse(model), head=name))

    def numbers(self, head: str | None = None, model: str = "synthetic") -> Numbers:
        """Score, with results that nobody keeps, and return the AUROC of (score, OOD dataset)."""
        with tempfile.TemporaryDirectory() as results:
            space = Workspace(cache_dir=self.space.cache_dir, results_dir=Path(results), catalogs=self.space.catalogs)
            how = {"benchmark": ["synthetic"], "device": "cpu", "threads": 1}
            rows = score(model=[model], score=SCORES, head=head, workspace=space, **how)  # type: ignore[arg-type]
        return {(row.score, row.ood): row.auroc for row in rows}

    def extent(self, file: Path, array: str) -> tuple[int, int]:
        """Return offset and bytes of an array of a sealed cache."""
        with file.open("rb") as stream:
            seal = read_seal(stream)
        assert seal is not None
        place = seal.free.get(array) or seal.parts[array]
        return place[0], place[1]


def trial(row: Row, file: Path, harm: Callable[[Path], object], work: Callable[[], object], right: object) -> Outcome:
    """Harm a copy of `file` in its place, with the same times as before, do `work`, count how it went, and mend it.

    `harm` returns what it did, for the message.
    """
    kept = file.with_name(f".{file.name}.kept")
    stat = file.stat()
    shutil.copy2(file, kept)
    try:
        done = harm(file)
        if file.exists():
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        outcome = attempt(work)
        row.count(outcome, right=outcome.value == right, case=f"{file.name}: {done}:")
    finally:
        kept.replace(file)
    return outcome


def flip(chance: random.Random, offset: int, length: int) -> Callable[[Path], object]:
    """Return a harm that flips one bit at random of these bytes of a file."""
    position, bit = offset + chance.randrange(length), chance.randrange(8)

    def harm(file: Path) -> str:
        with file.open("r+b") as stream:
            stream.seek(position)
            byte = stream.read(1)[0]
            stream.seek(position)
            stream.write(bytes([byte ^ 1 << bit]))
        return f"bit {bit} of byte {position}"

    return harm


def zero(offset: int, length: int) -> Callable[[Path], object]:
    """Return a harm that makes these bytes zero, as those of pages that were never written."""

    def harm(file: Path) -> str:
        with file.open("r+b") as stream:
            stream.seek(offset)
            stream.write(b"\0" * max(0, min(length, file.stat().st_size - offset)))
        return f"{length} zeros from byte {offset}"

    return harm
