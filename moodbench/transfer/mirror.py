"""One file from one address: go on where it ended, again and again while there is hope, and check it in the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

from moodbench.digests import digest_file
from moodbench.transfer.answer import Answer, body, read_answer, size_beyond
from moodbench.transfer.contact import explain_error, explain_status, limits, pause_asked_for, session, shown
from moodbench.transfer.expected import Expectation, find_fault
from moodbench.transfer.meter import Meter
from moodbench.transfer.part import Note, Part
from moodbench.types import Report

if TYPE_CHECKING:
    from requests import Response

FIRST_PAUSE = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""

LONGEST_PAUSE = 60.0
"""No pause is longer. A server that asks for a longer one is left for the next mirror."""

BUSY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which the same request may succeed."""

NETWORK = "look at the network; a proxy goes into HTTPS_PROXY, patience in seconds into MOODBENCH_TIMEOUT"
LATER = "try again later: the server is busy"


@dataclass(frozen=True)
class FetchedFile:
    """A file that is whole.

    Attributes
    ----------
    file : Path
    url : str or None
        Where it came from, without credentials; None if it was there already.
    bytes : int
    sha256 : str
        In hex.
    checked : bool
        Whether a digest was known that it was compared with.
    fetched_bytes : int
        How many bytes came over the network now, those of failed attempts included.
    """

    file: Path
    url: str | None
    bytes: int
    sha256: str
    checked: bool
    fetched_bytes: int


class GiveUpError(Exception):
    """An address does not give the file, for a `reason`; `hint` says what may help."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


class _AgainError(Exception):
    """Another attempt may help, after `pause` seconds if that is said. If none is left, `hint` says what may help."""

    def __init__(self, reason: str, hint: str = NETWORK, *, pause: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.pause = reason, hint, pause


class Transfer:
    """One target on its way from whatever address."""

    def __init__(self, part: Part, expected: Expectation, meter: Meter, report: Report, attempts: int) -> None:
        self.part, self.expected, self.meter, self.report, self.attempts = part, expected, meter, report, attempts
        self.name = part.target.name
        self.came = 0

    def from_mirror(self, url: str) -> FetchedFile:
        """Return the target, whole and checked.

        Raises
        ------
        GiveUpError
            This address does not give it.
        """
        best, spent, renewed = self.part.size, 0, False
        while True:
            try:
                at_once = self._receive(url)
            except _AgainError as again:
                if self.part.size > best:
                    best, spent = self.part.size, 0
                spent += 1
                self._pause(again, spent)
                continue
            fetched, fault = self.examine(self.part.file, shown(url))
            if fault is None:
                self.part.finish()
                return fetched
            if at_once or renewed:
                self.part.condemn()
                raise GiveUpError(f"{fault}; kept as {self.part.wrong_file.name}")
            self.report(
                f"'{self.name}', continued, is not the file that is expected: fetching it once more from its start"
            )
            self.part.drop()
            best, spent, renewed = 0, 0, True

    def _pause(self, again: _AgainError, spent: int) -> None:
        if spent >= self.attempts:
            raise GiveUpError(f"{again.reason}, at the last of {self.attempts} attempts", again.hint)
        if again.pause == 0:
            return
        pause = max(min(FIRST_PAUSE * 2 ** (spent - 1), LONGEST_PAUSE), again.pause or 0)
        self.report(f"'{self.name}': {again.reason}; trying again in {pause:.0f} s")
        sleep(pause)

    def _receive(self, url: str) -> bool:
        """Ask for what is missing and take it. Returns whether the whole file came in this one answer."""
        import urllib3

        headers = self._range(shown(url))
        try:
            with session().get(url, headers=headers, stream=True, timeout=limits()) as response:
                if response.status_code == 416 and headers:
                    return self._nothing_left(response)
                answer = self._accept(response, shown(url), ranged=bool(headers))
                self._copy(response, answer)
                return answer.start == 0
        except (OSError, urllib3.exceptions.HTTPError) as error:  # the disk's errors are DownloadErrors by now
            reason, hope = explain_error(error)
            raise (_AgainError(reason) if hope else GiveUpError(reason)) from None

    def _range(self, url: str) -> dict[str, str]:
        """Return the headers that ask for the rest, if the part may be continued from `url`."""
        size, note = self.part.size, self.part.note()
        totals = (self.expected.bytes, None if note is None else note.total)
        if not size or any(total is not None and size > total for total in totals):
            return {}
        validator = note.validator if note is not None and note.url == url else None
        if validator is not None:
            return {"Range": f"bytes={size}-", "If-Range": validator}
        return {"Range": f"bytes={size}-"} if self.expected.known else {}  # the digest decides in the end

    def _nothing_left(self, response: Response) -> bool:
        """Handle a server that has no byte after those that are here."""
        size, note = self.part.size, self.part.note()
        totals = {size_beyond(response), self.expected.bytes, None if note is None else note.total} - {None}
        if totals == {size} or (not totals and self.expected.known):
            return False
        self.part.drop()
        raise _AgainError("the file changed at the publisher", pause=0)

    def _accept(self, response: Response, url: str, *, ranged: bool) -> Answer:
        """Read the head of an answer and make the part ready for its body."""
        status = response.status_code
        if status in BUSY:
            pause = pause_asked_for(response.headers)
            if pause > LONGEST_PAUSE:
                raise GiveUpError(f"{explain_status(response)}, come back in {pause:,.0f} s", LATER)
            raise _AgainError(explain_status(response), LATER, pause=pause or None)
        answer = read_answer(response) if status == 200 or (status == 206 and ranged) else None
        if answer is None:
            raise GiveUpError(explain_status(response))
        if self.expected.bytes is not None and answer.total not in (None, self.expected.bytes):
            page = ", and calls it a web page" if answer.is_page else ""
            raise GiveUpError(f"it offers {answer.total:,} bytes{page}; expected are {self.expected.bytes:,}")
        if self.part.is_wrong_one(answer.note(url)):
            raise GiveUpError(
                f"it still offers the file that is kept as {self.part.wrong_file.name} (not what is expected)",
                f"remove {self.part.wrong_file} if it should be fetched once more",
            )
        note = self.part.note()
        if status == 200:
            self.part.start(answer.note(url))
        elif not answer.continues(note, self.part.size, url):
            self.part.drop()
            raise _AgainError("the file changed at the publisher", pause=0)
        elif note is None or note.url != url:
            self.part.annotate(Note(url, total=answer.total))
        return answer

    def _copy(self, response: Response, answer: Answer) -> None:
        size = answer.start
        whole = answer.total if answer.total is not None else self.expected.bytes
        self.meter.begin(self.name, size, whole)
        try:
            with self.part.writing():
                for chunk in body(response):
                    size += len(chunk)
                    self.came += len(chunk)
                    if whole is not None and size > whole:
                        break
                    self.part.append(chunk)
                    self.meter.advance(len(chunk))
        finally:
            self.meter.end()
        if whole is not None and size > whole:
            self.part.drop()
            raise GiveUpError(f"it sends more than {whole:,} bytes")
        if whole is not None and size < whole:
            raise _AgainError(f"it ended after {size:,} of {whole:,} bytes")

    def examine(self, file: Path, url: str | None) -> tuple[FetchedFile, str | None]:
        """Return a file as fetched, and what is wrong with it."""
        digests = digest_file(file, {"sha256": None, **self.expected.digests})
        fault = find_fault(file, self.expected, digests)
        size = file.stat().st_size
        done = FetchedFile(self.part.target, url, size, digests["sha256"], self.expected.known, self.came)
        return done, fault
