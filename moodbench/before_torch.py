"""Switches of the environment that torch reads when it is loaded: whoever extracts sets them first."""

from __future__ import annotations

import os

SWITCHES = {
    # Threads of the network share their cores with decoding. By default one that waits for another keeps its core busy,
    # which makes both several times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Pages of 2 MB for large tensors, where the system has them: 500 times fewer to be cleared.
    "THP_MEM_ALLOC_ENABLE": "1",
}
"""No effect where torch was loaded already."""


def set_switches() -> None:
    """Set those that are not set otherwise."""
    for switch, value in SWITCHES.items():
        os.environ.setdefault(switch, value)
