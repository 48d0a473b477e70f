"""How many workers a cluster has room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import UsageError
from moodbench.pools.room import Node, room


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus", "expected"),
    [
        ([(8, 0)], None, 0, (1, 8)),
        ([(8, 0), (4, 0)], None, 0, (2, 4)),
        ([(8, 0), (0, 0)], None, 0, (1, 8)),
        ([(8, 0)], 3, 0, (3, 2)),
        ([(1, 0), (1, 0)], 2, 0, (2, 1)),
        ([(96, 8), (32, 4)], None, 1, (12, 8)),
        ([(96, 8), (32, 0)], None, 1, (8, 12)),
        ([(16, 1)], None, 0.5, (2, 8)),
        ([(16, 1)], None, 0.1, (10, 1)),
        ([(4, 8)], None, 1, (4, 1)),
    ],
)
def test_every_worker_gets_as_many_cores_as_all_can_have(nodes, workers, gpus, expected):
    assert room([Node(*node) for node in nodes], workers, gpus) == expected


def test_no_room():
    with pytest.raises(UsageError, match="room for 2 workers with a CPU each, not for 3"):
        room([Node(1, 0), Node(1, 0)], 3, 0)
    with pytest.raises(UsageError, match="room for 0 workers with a CPU and 1 GPU each"):
        room([Node(4, 0)], None, 1)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(1, 12))
def test_cores_are_those_of_a_plain_search(cpus, workers):
    fits = [each for each in range(1, 10) if sum(one // each for one in cpus) >= workers]
    nodes = [Node(one, 0) for one in cpus]
    if fits:
        assert room(nodes, workers, 0) == (workers, fits[-1])
    else:
        with pytest.raises(UsageError):
            room(nodes, workers, 0)
