"""How many workers a cluster has room for, and how many cores each may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moodbench.errors import UsageError
from moodbench.sizes import many


@dataclass(frozen=True)
class Node:
    """A machine of a cluster: its processor cores and GPUs."""

    cpus: float
    gpus: float


def room(nodes: Sequence[Node], workers: int | None, gpus: float) -> tuple[int, int]:
    """Return how many workers to begin, and the cores of each: the most that all of them can have.

    Parameters
    ----------
    nodes : sequence of Node
    workers : int or None
        None: one for each GPU (or part of one) where they use GPUs, else one for each machine.
    gpus : float
        Of each worker.

    Raises
    ------
    UsageError
        There is no room for so many.
    """
    most = sum(_fit(node, 1, gpus) for node in nodes)
    if workers is None:
        workers = most if gpus else sum(node.cpus >= 1 for node in nodes)
    if most < max(workers, 1):
        each = "a CPU" + (f" and {gpus:g} GPU" if gpus else "")
        raise UsageError(
            f"the Ray cluster has room for {many(most, 'worker')} with {each} each, not for {max(workers, 1)}",
            fix=f"--workers {most}" if most else "fewer --gpus-per-worker, or a larger cluster",
        )
    cores = max(int(node.cpus) for node in nodes)
    while sum(_fit(node, cores, gpus) for node in nodes) < workers:
        cores -= 1
    return workers, cores


def _fit(node: Node, cpus: int, gpus: float) -> int:
    """Return how many workers a machine has room for."""
    by_cpus = int(node.cpus // cpus)
    # a worker's part of a GPU lies in one GPU; 1 / 0.1 is less than 10 in binary
    return min(by_cpus, int(int(1 / gpus + 1e-9) * node.gpus)) if gpus else by_cpus
