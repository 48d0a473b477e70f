"""One of N shards, as a job of an array is told which to fill."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from moodbench.errors import UsageError

MOST_SHARDS = 100_000
"""More files than that no folder should have."""

_SHARE = re.compile(r"(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True)
class Share:
    """One of N shards, as ``--shard 3/16`` asks for it: the third of sixteen."""

    index: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of <= MOST_SHARDS:
            what = f"--shard {self.index}/{self.of} is none of {self.of} shards"
            what = f"more than {MOST_SHARDS} shards are too many" if self.of > MOST_SHARDS else what
            raise UsageError(
                what,
                fix="--shard I/N counts from 1: in an array of SLURM that begins at 0,\n"
                "--shard $((SLURM_ARRAY_TASK_ID + 1))/$SLURM_ARRAY_TASK_COUNT",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``3/16`` means.

        Raises
        ------
        UsageError
        """
        found = _SHARE.fullmatch(text)
        if found is None:
            raise UsageError(f"--shard takes I/N, as in 3/16 for the third of sixteen, not '{text}'")
        return cls(int(found[1]), int(found[2]))

    def rows(self, total: int, batch: int) -> int:
        """Return how many rows each shard has if there are so many in all; see `whole_batches`."""
        return whole_batches(-(-total // self.of), batch)


def whole_batches(rows: int, batch: int) -> int:
    """Return the next number of rows that whole batches have, so that shards have the batches of an unsharded run."""
    return max(1, -(-rows // batch)) * batch
