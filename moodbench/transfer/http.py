"""Fetch a file from the first mirror that has it: whole and checked, or not there at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from moodbench.errors import DownloadError
from moodbench.lock import exclusive
from moodbench.transfer.contact import Reach, shown
from moodbench.transfer.expected import Expectation
from moodbench.transfer.meter import SILENT, Meter
from moodbench.transfer.mirror import NETWORK, FetchedFile, GiveUpError, Transfer
from moodbench.transfer.part import Part, disk_error
from moodbench.types import Report

NOTHING_KNOWN = Expectation()


def _say_nothing(line: str) -> None:
    pass


def fetch(
    urls: str | Iterable[str],
    target: Path,
    *,
    expected: Expectation = NOTHING_KNOWN,
    meter: Meter = SILENT,
    report: Report = _say_nothing,
    attempts: int = 5,
    fix: str | None = None,
) -> FetchedFile:
    """Fetch a file unless it is there already.

    Until it is whole and checked it is called ``<target>.part`` (with a note ``<target>.part.json``), and the next call
    goes on with that. A file with a wrong digest is kept as ``<target>.wrong``. Two processes do not get into each
    other's way: the second waits. Proxies and certificates are those of the environment, as `requests` reads it.

    Parameters
    ----------
    urls : str or iterable of str
        Mirrors of the same file, best first.
    target : Path
    expected : Expectation
        Size and digests, as far as they are known.
    meter : Meter
        Is told about progress.
    report : callable
        Is given lines for people: what failed, and what is done about it.
    attempts : int
        How often in a row an address may fail without one more byte of the file.
    fix : str, optional
        What a person can do when no mirror gives the file; the last line of the error, after "or" if others precede.

    Raises
    ------
    DownloadError
        No mirror gives the file, each for the reason that the message names; or the disk does not take it.
    UsageError
        ``MOODBENCH_TIMEOUT`` is no number of seconds.
    """
    mirrors = [urls] if isinstance(urls, str) else list(dict.fromkeys(urls))
    transfer = Transfer(Part(target), expected, meter, report, attempts)

    def waiting() -> None:
        report(f"'{target.name}' is being fetched by another process: waiting for it")

    try:
        if (found := _present(transfer)) is not None:
            return found
        with exclusive(target, waiting=waiting, tidy=True):
            return _present(transfer, replace=True) or _recovered(transfer) or _from_any(transfer, mirrors, fix)
    except OSError as error:
        raise disk_error(target, error) from None


def _present(transfer: Transfer, *, replace: bool = False) -> FetchedFile | None:
    """Return the target if it is there and right; `replace`: put a wrong one out of the way."""
    target = transfer.part.target
    if not target.is_file():
        return None
    fetched, fault = transfer.examine(target, None)
    if fault is None:
        with contextlib.suppress(OSError):  # of a process killed between its last two steps
            transfer.part.note_file.unlink(missing_ok=True)
        return fetched
    if replace:
        transfer.report(f"{target} is not the file that is expected: {fault}; kept as {transfer.part.wrong_file.name}")
        transfer.part.condemn(target)
    return None


def _recovered(transfer: Transfer) -> FetchedFile | None:
    """Return the target if all of its bytes are on the disk under another name; wrong ones are not used again."""
    wrong, part, note = transfer.part.wrong_file, transfer.part, transfer.part.note()
    if transfer.expected.known and wrong.is_file() and transfer.expected.bytes in (None, wrong.stat().st_size):
        fetched, fault = transfer.examine(wrong, None)
        if fault is None:  # the catalogue was wrong, not the file
            wrong.replace(part.target)
            return fetched
    whole = transfer.expected.bytes if transfer.expected.bytes is not None else note.total if note else None
    if not part.size or part.size != whole or (note is None and not transfer.expected.known):
        return None
    fetched, fault = transfer.examine(part.file, note.url if note else None)
    if fault is None:
        part.finish()
        return fetched
    part.drop()
    return None


def _from_any(transfer: Transfer, urls: list[str], fix: str | None) -> FetchedFile:
    """Return the target from the first mirror that gives it."""
    if not urls:
        raise DownloadError(f"there is no address to fetch '{transfer.name}' from", file=transfer.part.target, fix=fix)
    urls = _in_order(transfer, urls)
    reach = Reach(urls)
    failed: dict[str, GiveUpError] = {}
    for url in urls:
        try:
            fault = reach.fault(url)
            if fault is not None:
                raise GiveUpError(fault, NETWORK)
            return transfer.from_mirror(url)
        except GiveUpError as error:
            failed[url] = error
            if len(failed) < len(urls):
                transfer.report(f"{shown(url)}: {error.reason}; trying {shown(urls[len(failed)])}")
    raise _failure(transfer, failed, fix)


def _in_order(transfer: Transfer, urls: list[str]) -> list[str]:
    """Begin with the mirror that the part is from, where another's bytes could not be told to be the same."""
    note = transfer.part.note()
    if transfer.expected.known or note is None or not transfer.part.size:
        return urls
    return sorted(urls, key=lambda url: shown(url) != note.url)


def _failure(transfer: Transfer, failed: dict[str, GiveUpError], fix: str | None) -> DownloadError:
    """Return the error that names every address with its reason, and what can be done."""
    lines = [f"{shown(url)}: {error.reason}" for url, error in failed.items()]
    source = f" {lines[0]}" if len(lines) == 1 else " any of its addresses:" + "".join(f"\n    {x}" for x in lines)
    hints = list(dict.fromkeys(error.hint for error in failed.values() if error.hint is not None))
    part = transfer.part
    file = part.wrong_file if part.wrong_file.exists() else part.target
    if part.size:
        file = part.file
        hints.append(f"the same command goes on after the {part.size:,} bytes that are here")
    by_hand = fix or "fetch it by hand from an address above"
    hints.append(f"or {by_hand}" if hints else by_hand)
    return DownloadError(f"'{transfer.name}' cannot be fetched from{source}", file=file, fix="\n".join(hints))
