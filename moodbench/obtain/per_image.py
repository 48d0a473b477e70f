"""Datasets whose images are fetched one by one: several at a time, those that are there kept, failures collected."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from moodbench.errors import DownloadError
from moodbench.inspection.manifest import NOTES
from moodbench.progress import bar
from moodbench.sheets import exact_line
from moodbench.transfer.contact import (
    Reach,
    explain_error,
    explain_status,
    limits,
    pause_asked_for,
    session,
    shown,
)
from moodbench.transfer.mirror import BUSY, LONGEST_PAUSE

if TYPE_CHECKING:
    import requests

ATTEMPTS = 4
PAUSE = 0.5
"""Seconds before the second attempt; twice as long before each further one."""
PART = ".part"

_CHUNK = 1 << 16
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P4", b"P5", b"P6")


@dataclass(frozen=True)
class Failure:
    """An image that could not be fetched; `unreachable`: nobody answered at all."""

    path: str
    address: str
    reason: str
    unreachable: bool = False


def failed_file(data_dir: Path, dataset: str) -> Path:
    """Where the images that could not be fetched are named."""
    return data_dir / NOTES / f"{dataset}.failed.csv"


def write_failures(data_dir: Path, dataset: str, failures: Sequence[Failure]) -> None:
    """Name the images that could not be fetched; without any, there is no such file."""
    file = failed_file(data_dir, dataset)
    if not failures:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}{PART}")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        stream.write(exact_line(("path", "address", "reason")))
        stream.writelines(exact_line((f.path, f.address, f.reason)) for f in sorted(failures, key=lambda f: f.path))
    temporary.replace(file)


def fetch_images(address: str, names: Sequence[str], folder: Path, *, jobs: int, progress: bool) -> list[Failure]:
    """Fetch the images `names` into `folder`; return those that failed.

    Files that are there are complete (they got their name when they were) and are not fetched again.

    Parameters
    ----------
    address : str
        With ``{name}`` in place of a name.
    names : sequence of str
        Paths below `folder`, with ``/``.
    jobs : int
        How many at a time.

    Raises
    ------
    DownloadError
        Nobody answers. What was fetched so far stays.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        _check_reach(image_address(address, missing[0]))
    fetcher = _Fetcher(address, folder)
    failures: list[Failure] = []
    silent = 0
    done = len(names) - len(missing)
    with (
        bar("fetch", len(names), shown=progress, unit="image", done=done, leave=False) as fetched,
        ThreadPoolExecutor(jobs) as pool,
    ):
        try:
            for future in as_completed([pool.submit(fetcher.fetch, name) for name in missing]):
                failure = future.result()
                fetched.update()
                failures += [] if failure is None else [failure]
                silent = silent + 1 if failure is not None and failure.unreachable else 0
                if silent >= max(8, 2 * jobs):
                    raise _no_answer(failures[-1].reason)
        except BaseException:
            fetcher.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for leftover in folder.rglob(f"*{PART}"):
        leftover.unlink()
    return failures


def _check_reach(url: str) -> None:
    reason = Reach([url]).fault(url)
    if reason is not None:
        raise _no_answer(reason)


def _no_answer(reason: str) -> DownloadError:
    return DownloadError(
        f"the images cannot be fetched: {reason}",
        fix="check the network (and HTTPS_PROXY), then run the same command again: it goes on from here",
    )


class _Fetcher:
    """Fetches single images, from several threads."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder
        self.stop = threading.Event()

    def fetch(self, name: str) -> Failure | None:
        """Fetch one image; retry what may pass."""
        failure = None
        for attempt in range(ATTEMPTS):
            if self.stop.is_set():
                break
            failure, pause = self._try(name)
            if pause is None or attempt == ATTEMPTS - 1:
                break
            self.stop.wait(min(LONGEST_PAUSE, pause or PAUSE * 2**attempt))
        return failure

    def _try(self, name: str) -> tuple[Failure | None, float | None]:
        """Return the failure, and seconds to wait before another attempt (0: as usual; None: there is no use)."""
        import requests

        url = image_address(self.address, name)
        try:
            with session().get(url, stream=True, timeout=limits()) as answer:
                if answer.status_code == 200:
                    reason, again = self._store(name, answer)
                    return (None if reason is None else Failure(name, shown(url), reason)), again
                again = pause_asked_for(answer.headers) if answer.status_code in BUSY else None
                return Failure(name, shown(url), explain_status(answer)), again
        except requests.RequestException as error:
            reason, may_pass = explain_error(error)
            return Failure(name, shown(url), reason, unreachable=may_pass), 0.0 if may_pass else None

    def _store(self, name: str, answer: requests.Response) -> tuple[str | None, float | None]:
        """Return why the body is not an image (None: it is, and is stored), and the pause as above."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(file.name + PART)
        size, head = 0, b""
        with part.open("wb") as stream:
            for chunk in answer.iter_content(_CHUNK):
                if self.stop.is_set():
                    return "interrupted", None
                head = head or chunk[:64]
                size += stream.write(chunk)
        declared = answer.headers.get("Content-Length", "")
        if declared.isdigit() and "Content-Encoding" not in answer.headers and int(declared) != size:
            return f"only {size} of {declared} bytes came", 0.0
        if not looks_like_image(head):
            part.unlink()
            return _no_image(head), None
        part.replace(file)
        return None, None


def image_address(address: str, name: str) -> str:
    """Return the address of one image."""
    return address.replace("{name}", quote(name))


def looks_like_image(head: bytes) -> bool:
    """Whether a file that begins so may be an image."""
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _no_image(head: bytes) -> str:
    if not head:
        return "the server sent nothing"
    return "the server sent a web page" if head.lstrip().startswith(b"<") else "what the server sent is not an image"
