"""How long a score takes for a test row, alone: in the run itself scores share what several read of a block."""

from __future__ import annotations

from time import perf_counter

import torch

from moodbench.errors import CacheError
from moodbench.scores.base import Score
from moodbench.scores.block import Block
from moodbench.scores.machinery.returned import numbers

ROWS = 512
"""Of a block, at most: enough for the products of matrices to be what takes the time."""

TRIES = 5
LONG = 0.02
"""Seconds after which a score is not tried again."""


def seconds_a_row(score: Score, block: Block) -> float | None:
    """Return the least time of a few runs of a fitted score over some rows, divided by their number.

    On one thread of a CPU, or on the GPU of the run: threads that wait for one another are slow in ways that are no
    property of a score. The least, because whatever else the machine does only adds to it. None where the score fails.
    What fitting took is not in it: that is a pass or two over ID train which all scores share.
    """
    some = block.rows(torch.arange(len(block), device=block.features.device) < ROWS)
    times: list[float] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while len(times) < TRIES and sum(times) < LONG:
            alone = some.apart()
            start = perf_counter()
            numbers(score.score(alone), len(alone))  # on a GPU the numbers are there when it is done
            times.append(perf_counter() - start)
    except CacheError:
        raise
    except (Exception, SystemExit):  # the run itself has said so
        return None
    finally:
        torch.set_num_threads(threads)
    return min(times) / len(some)
