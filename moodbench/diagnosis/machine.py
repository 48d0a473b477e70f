"""The machine and the process: system, Python, processor, memory, limits."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from moodbench.diagnosis.findings import Finding
from moodbench.diagnosis.words import path, plain
from moodbench.release import __version__
from moodbench.sizes import human_bytes

SECTION = "machine"

OPEN_FILES = 1024
"""Caches, lists, pipes to decoding processes and libraries stay below this with many models and layers."""

MEMORY = 4_000_000_000
"""With less, a network of ViT-B's size and its batch do not fit beside torch."""

SHM = 256 << 20
"""A batch of 64 images of 224 × 224 as float32 is 38 MB, and each worker of a DataLoader keeps two."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_CGROUP = Path("/sys/fs/cgroup")
_SHM = Path("/dev/shm")


def check() -> Iterator[Finding]:
    """Yield all of it."""
    yield Finding(SECTION, "moodbench", __version__, f"{__version__}, in {path(Path(__file__).parents[1])}")
    yield Finding(SECTION, "Python", platform.python_version(), _python())
    yield Finding(SECTION, "system", system())
    yield from _encoding()
    yield from _processor()
    yield from _memory()
    yield from _shm()
    yield from _open_files()


def _python() -> str:
    kind = "in an environment" if sys.prefix != sys.base_prefix else "not in an environment"
    return f"{platform.python_implementation()} {platform.python_version()}, {path(sys.executable)}, {kind}"


def system() -> str:
    """Return what the system calls itself."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return ", ".join(filter(None, (name, platform.platform())))


def _encoding() -> Iterator[Finding]:
    names = {"files": sys.getfilesystemencoding(), "output": getattr(sys.stdout, "encoding", None) or "unknown"}
    other = [name for name in names.values() if name.lower().replace("-", "") != "utf8"]
    text = ", ".join(f"{what} {name}" for what, name in names.items())
    if other:
        problem = f"the encoding here is {other[0]}: names and tables with other characters show question marks"
        yield Finding(SECTION, "encoding", names, text, "warning", problem, "set PYTHONUTF8=1")
    else:
        yield Finding(SECTION, "encoding", names, text)


def _processor() -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    quota = quota_of(_CGROUP / "cpu.max")
    text = f"{platform.machine()}, {cores} cores" + (f", {usable} of them for this process" if usable < cores else "")
    value = {"machine": platform.machine(), "cores": cores, "usable": usable, "quota": quota}
    if quota is not None and quota < usable:
        problem = f"this container may use {quota:g} cores, and libraries start {usable} threads, which then wait"
        fix = f"--threads {max(1, round(quota))}, or OMP_NUM_THREADS={max(1, round(quota))}"
        yield Finding(SECTION, "processor", value, f"{text}, quota {quota:g}", "warning", problem, fix)
    else:
        yield Finding(SECTION, "processor", value, text)
    given = {name: os.environ[name] for name in _THREADS if name in os.environ}
    if given:
        yield Finding(SECTION, "threads asked for", given, ", ".join(f"{k}={plain(v)}" for k, v in given.items()))


def quota_of(file: Path) -> float | None:
    """Return how many cores a control group may use; None for as many as there are."""
    try:
        allowed, period = file.read_text(encoding="utf-8").split()[:2]
        return int(allowed) / int(period)
    except (OSError, ValueError):  # "max", or there is no such file
        return None


def _memory() -> Iterator[Finding]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = _available()
    limits = [_number(_CGROUP / "memory.max"), _number(_CGROUP / "memory" / "memory.limit_in_bytes")]
    limit = min((one for one in limits if one is not None and one < total), default=None)
    value = {"total": total, "available": free, "limit": limit}
    text = human_bytes(total) + ("" if free is None else f", {human_bytes(free)} available")
    text += "" if limit is None else f", limit of this container {human_bytes(limit)}"
    usable = min(filter(None, (total, free, limit)))
    if usable < MEMORY:
        problem = f"{human_bytes(usable)} of memory are there to use, which is little beside torch"
        fix = "end what else runs, raise the container's --memory, or extract with a smaller --batch-size"
        yield Finding(SECTION, "memory", value, text, "warning", problem, fix)
    else:
        yield Finding(SECTION, "memory", value, text)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _shm() -> Iterator[Finding]:
    if sys.platform != "linux":
        return
    try:
        disk = os.statvfs(_SHM)
    except OSError as error:
        yield shm_finding(None, plain(error.strerror or error))
        return
    yield shm_finding(disk.f_blocks * disk.f_frsize)


def shm_finding(size: int | None, fault: str = "") -> Finding:
    """Return what is to be said of the size of /dev/shm."""
    text = fault if size is None else human_bytes(size)
    if size is None or size < SHM:
        problem = (
            f"/dev/shm has {text}: DataLoader workers of torch, in training or other programs, die of a bus error "
            "with it (moodbench itself does without)"
        )
        return Finding(SECTION, "/dev/shm", size, text, "warning", problem, "start the container with --shm-size=2g")
    return Finding(SECTION, "/dev/shm", size, text)


def _open_files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield open_files_finding(*(None if one == resource.RLIM_INFINITY else one for one in (soft, hard)))


def open_files_finding(soft: int | None, hard: int | None) -> Finding:
    """Return what is to be said of how many files may be open; None for any number."""
    soft_text, hard_text = ("unlimited" if one is None else str(one) for one in (soft, hard))
    value, text = {"soft": soft, "hard": hard}, f"{soft_text}, may be raised to {hard_text}"
    if soft is not None and soft < OPEN_FILES:
        most = 4096 if hard is None else min(4096, hard)
        problem = f"only {soft} files may be open: 'Too many open files' with many workers, models or layers"
        fix = f"ulimit -n {most} in the shell" if most > soft else "have the hard limit raised"
        return Finding(SECTION, "open files", value, text, "warning", problem, fix)
    return Finding(SECTION, "open files", value, text)
