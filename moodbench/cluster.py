"""Ray, for those who ask for it: a cluster is started here or joined, and left as it was found.

ray is an extra (``pip install 'moodbench-ood[ray]'``), imported when ``--engine ray`` is asked for, not before. Whoever
works on it gets the module from `the_ray`, has a `Cluster` for the time of a ``with`` block, and takes what fails in a
worker through `fault_of`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodbench.choices import EngineName, check_choice
from moodbench.errors import MoodbenchError, UsageError
from moodbench.ray_tokens import agree, bring_own, environment_kept, no_token
from moodbench.release import with_extra

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_oom_retries": "3",
}
"""Settings that Ray reads when it is imported: nothing is sent to its makers or written to the terminal, and what is
killed for want of memory is not tried again for ever. Those that are set already stay."""

STORE = 2 << 30
"""Bytes of the object store of a cluster that is started here, at most; what does not fit is kept on the disk."""

LEAST_STORE = 80 << 20
"""Ray accepts no smaller one."""

SHORT = 45
"""Characters of a temporary folder: Ray makes names of sockets in it, which have 107 at most."""

STARTS = 3
"""Attempts to start a cluster here: its processes must answer in half a minute, and a busy machine lets them wait."""

ANSWER = 5.0
"""Seconds in which a cluster must answer; Ray itself would go on asking for minutes."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = 4  # type of the frame that whoever speaks HTTP/2, as Ray does, answers with (RFC 9113, 3.4)


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that this process has joined.

    Attributes
    ----------
    workers : int
        Tasks or actors that run at once.
    cpus_each, gpus_each : float
        What each of them is given (``num_cpus`` and ``num_gpus`` in Ray's words).
    address : str or None
        Where it is; None where it was started here, and ends with the block.
    """

    workers: int
    cpus_each: float
    gpus_each: float
    address: str | None


def check_engine(
    engine: str, address: str | None = None, workers: int | None = None, *, own_workers: bool = True
) -> None:
    """Raise a `UsageError` unless these arguments fit together, and where ray is asked for and is not installed.

    `own_workers`: the number of workers belongs to Ray alone (the local engine of ``extract`` has some too).
    """
    check_choice("engine", engine, EngineName)
    if workers is not None and workers < (1 if own_workers or engine == "ray" else 0):
        raise UsageError(f"the number of workers must be at least 1, got {workers}")
    if engine == "ray":
        the_ray()
    elif address is not None:
        raise UsageError(f"the address '{address}' is that of a Ray cluster", fix="--engine ray --address ADDRESS")
    elif workers is not None and own_workers:
        raise UsageError("the local engine has no workers", fix="--engine ray --workers N, or --threads N")


def the_ray() -> Any:
    """Return the module `ray`.

    Raises
    ------
    UsageError
        It is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs the package 'ray', which cannot be imported: {error}", fix=with_extra("ray")
        ) from None
    return ray


@contextlib.contextmanager
def cluster(
    address: str | None = None, workers: int | None = None, *, cpus_each: float = 1, gpus_each: float = 0
) -> Iterator[Cluster]:
    """Join a cluster, or start one on this machine and end it; yield what there is.

    A cluster that this process has joined before (`ray.init` in a notebook) is used as it is, and stays.

    Parameters
    ----------
    address : str, optional
        ``auto`` (that of this machine, or of the environment variable RAY_ADDRESS) or ``HOST:PORT``. By default a
        cluster is started.
    workers : int, optional
        Tasks or actors that run at once. By default as many as have room.
    cpus_each, gpus_each : float
        What each of them needs.

    Raises
    ------
    UsageError
        ray is not installed, or the address is none.
    MoodbenchError
        No cluster answers there, it has no room for a single worker, or it cannot be started.
    """
    ray = the_ray()
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield _joined(ray, address or "auto", workers, cpus_each, gpus_each)
        return
    folder = None
    with environment_kept():
        try:
            if address is None:
                many = workers or max(1, int(len(os.sched_getaffinity(0)) // max(cpus_each, 0.01)))
                folder = _start(ray, max(1, round(many * cpus_each)))
                yield _joined(ray, None, workers, cpus_each, gpus_each)
            else:
                _join(ray, address)
                yield _joined(ray, address, workers, cpus_each, gpus_each)
        finally:
            with _signals_kept():
                ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _joined(ray: Any, address: str | None, workers: int | None, cpus_each: float, gpus_each: float) -> Cluster:
    there = ray.cluster_resources()
    room = min(
        there.get(name, 0) / each if each else float("inf") for name, each in (("CPU", cpus_each), ("GPU", gpus_each))
    )
    if room < 1:
        wanted = " and ".join(f"{n:g} {name}" for name, n in (("CPU", cpus_each), ("GPU", gpus_each)) if n)
        raise MoodbenchError(
            f"a worker needs {wanted}, and the Ray cluster has {there.get('CPU', 0):g} CPU and "
            f"{there.get('GPU', 0):g} GPU",
            fix="ask for less a worker, or join a larger cluster",
        )
    return Cluster(workers or max(1, int(min(room, 1 << 16))), cpus_each, gpus_each, address)


def _start(ray: Any, cpus: int) -> Path:
    """Start a cluster on this machine alone, and return its folder."""
    bring_own()
    base = tempfile.gettempdir()
    for attempt in range(STARTS):
        folder = Path(tempfile.mkdtemp(prefix="mb-", dir=base if len(base) < SHORT - 12 else "/tmp"))
        try:
            _init(
                ray,
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=_store_bytes(),
                _temp_dir=str(folder),
            )
            return folder
        except BaseException as error:
            with _signals_kept():
                ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
            if not isinstance(error, Exception):
                raise
            if attempt == STARTS - 1:
                raise MoodbenchError(
                    f"Ray cannot be started on this machine: {_line(error)}",
                    fix="wait until the machine is less busy, or leave --engine ray out",
                ) from None
    raise AssertionError("unreachable")


def _store_bytes() -> int:
    """Return how large an object store may be here: a part of the memory, and no more than shared memory has."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    with contextlib.suppress(OSError):
        shared = os.statvfs("/dev/shm")
        free = min(free, int(0.9 * shared.f_bavail * shared.f_frsize))
    return max(LEAST_STORE, min(STORE, free))


def _join(ray: Any, address: str) -> None:
    where = _where(address)
    try:
        if where is not None:
            _knock(where)
        agree(address, where)
        _init(ray, address=address if where is None else where)
    except MoodbenchError:
        raise
    except Exception as error:
        if "token" in f"{error} {error.__cause__}".lower():
            raise no_token(address) from None
        raise MoodbenchError(
            f"the Ray cluster at '{address}' cannot be joined: {_line(error)}",
            fix="this machine must be one of the cluster: ray start --address HOST:PORT  (its first: ray start --head)",
        ) from None


def _where(address: str) -> str | None:
    """Return ``HOST:PORT``; None where Ray itself finds out."""
    if address == "auto":
        if os.environ.get("RAY_ADDRESS"):
            return _where(os.environ["RAY_ADDRESS"]) if os.environ["RAY_ADDRESS"] != "auto" else None
        with contextlib.suppress(Exception):  # no part of what Ray promises: without it, Ray asks for long
            from ray._private.services import get_ray_address_from_environment

            found = get_ray_address_from_environment("auto", None)
            return str(found) if found and found != "auto" else None
        return None
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16 or "/" in host:
        raise UsageError(
            f"'{address}' is no address of a Ray cluster", fix="auto, or HOST:PORT as `ray start` prints it"
        )
    return address


def _knock(address: str) -> None:
    """Raise a `MoodbenchError` unless somebody answers there who speaks Ray's protocol (gRPC, so HTTP/2)."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER) as line:
            line.settimeout(ANSWER)
            line.sendall(_PREFACE)
            answer = line.recv(9)
    except OSError as error:
        why = error.strerror or str(error) or "no answer"
        raise MoodbenchError(
            f"no Ray cluster answers at '{address}': {why}",
            fix="ray status  says where one runs; without --address one is started on this machine",
        ) from None
    if len(answer) < 4 or answer[3] != _SETTINGS:
        raise MoodbenchError(
            f"what answers at '{address}' is no Ray cluster", fix="the address that `ray start` prints"
        )


def _init(ray: Any, **how: Any) -> None:
    with contextlib.suppress(AttributeError):  # it writes on stdout that workers died; we say what became of the work
        ray._private.worker.print_to_stdstream = _nothing
    with _signals_kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, namespace="moodbench", **how)


def _nothing(*data: object, **how: object) -> None:
    """Take what Ray would print."""


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what is done about signals: Ray would have a process end without closing its files."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def refuse_if_ray_is_gone() -> None:
    """Raise a `MoodbenchError` if Ray has ended on this machine, which would end this process without a word."""
    worker = the_ray()._private.worker
    name = getattr(getattr(worker, "_global_node", None), "raylet_socket_name", None)  # no part of what Ray promises
    if not isinstance(name, str):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER)
        try:
            line.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            raise MoodbenchError(
                "Ray has ended on this machine, and with it the work of this command",
                fix="look why (memory, `ray stop`), start it again, and run the same command: what is done is kept",
            ) from None
        except OSError:  # busy, or called otherwise
            return


def fault_of(error: BaseException) -> BaseException:
    """Return what to raise in the place of what Ray raised: the error of the work itself, or one message.

    Errors of the work come as they were raised in the worker, without Ray's traceback. A worker that died again and
    again, or a machine that has another moodbench, is one message.
    """
    ray = the_ray()
    cause = getattr(error, "cause", None)
    if isinstance(error, ray.exceptions.RayTaskError) and isinstance(cause, BaseException):
        error = cause
    if isinstance(error, ImportError) and str(error.name or "").partition(".")[0] == "moodbench":
        return MoodbenchError(
            f"a machine of the Ray cluster lacks this moodbench: {_line(error)}",
            fix="install the same version on all of them",
        )
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return MoodbenchError(
            "a worker of the Ray cluster ran out of memory, and again when it was tried anew",
            fix="--workers N: fewer at once",
        )
    if isinstance(error, ray.exceptions.RayError):
        return MoodbenchError(f"the Ray cluster lost a part of the work for good: {_line(error)}", fix="run it again")
    return error


def _line(error: BaseException) -> str:
    """Return the first sentence of a message of Ray's, which may be pages long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0].rstrip(".")[:200]
