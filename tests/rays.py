"""A Ray cluster of two nodes on this machine, each begun by `ray start`, of which the second may be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

TRIES = 4
"""Ray gives its own processes half a minute; on a busy machine they may need longer."""

ROOT = Path(__file__).parents[1]

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
"""What nodes and whoever joins them show, so that nothing hangs on a token in the home folder or none."""


@dataclass
class Nodes:
    """A cluster: its address, and the first process of each node, which leads the session of all others."""

    address: str
    sessions: list[subprocess.Popen[bytes]]
    environment: dict[str, str]

    def lose(self, node: int) -> None:
        """Kill every process of a node at once, as when its machine fails."""
        _kill(self.sessions[node].pid)


def free_port() -> int:
    """Return a port where nobody listened a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def two_nodes(cpus: tuple[int, int] = (1, 1), *, tokens: bool = True) -> Iterator[Nodes]:
    """Begin the cluster, and end it; meanwhile, the environment has the token of one that asks for `tokens`."""
    folder = Path(tempfile.mkdtemp(prefix="mbt-", dir="/tmp"))  # names of sockets are short
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_enable_metrics_collection": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        **(TOKEN if tokens else {"RAY_AUTH_MODE": "disabled"}),
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
    }
    nodes = Nodes(f"127.0.0.1:{free_port()}", [], environment)
    before = os.environ.get("RAY_AUTH_TOKEN")
    os.environ["RAY_AUTH_TOKEN"] = TOKEN["RAY_AUTH_TOKEN"]
    try:
        head = ["--head", f"--port={nodes.address.partition(':')[2]}", "--include-dashboard=false"]
        _begin(nodes, folder, [*head, f"--temp-dir={folder}"], cpus[0], "first")
        _begin(nodes, folder, [f"--address={nodes.address}"], cpus[1], "second")
        yield nodes
    finally:
        os.environ.pop("RAY_AUTH_TOKEN")
        if before is not None:
            os.environ["RAY_AUTH_TOKEN"] = before
        for process in nodes.sessions:
            _kill(process.pid)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _begin(nodes: Nodes, folder: Path, options: list[str], cpus: int, resource: str) -> None:
    words = [str(Path(sys.executable).with_name("ray")), "start", *options, f"--num-cpus={cpus}", "--num-gpus=0"]
    words += [f'--resources={{"{resource}": 1}}', "--object-store-memory=80000000", "--block"]
    said = folder / f"{resource}.log"
    for _ in range(TRIES):
        with said.open("w") as stream:
            process = subprocess.Popen(
                words,
                env=nodes.environment,
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        end = time.monotonic() + 90
        while time.monotonic() < end and process.poll() is None:
            if "Ray runtime started" in said.read_text():
                nodes.sessions.append(process)
                return
            time.sleep(0.1)
        _kill(process.pid)
        process.wait()
    pytest.skip(f"Ray cannot be started on this machine now: {said.read_text()[-500:]}")


def _kill(session: int) -> None:
    """Kill all processes of a session."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and os.getsid(int(folder.name)) == session:
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:  # it has ended meanwhile
            continue
