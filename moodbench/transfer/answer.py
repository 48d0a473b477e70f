"""What a server says about the bytes that it is going to send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodbench.transfer.part import Note

if TYPE_CHECKING:
    from requests import Response

_BLOCK = 256 << 10


@dataclass(frozen=True)
class Answer:
    """The head of a successful answer (200 or 206).

    Attributes
    ----------
    start : int
        Where in the file the first byte of the body belongs.
    total : int or None
        Size of the whole file.
    etag, last_modified : str or None
        The file's version.
    is_page : bool
        The server calls it a web page.
    """

    start: int
    total: int | None
    etag: str | None
    last_modified: str | None
    is_page: bool

    def note(self, url: str) -> Note:
        """Return what is to be noted about the version that is coming."""
        return Note(url, self.etag, self.last_modified, self.total)

    def continues(self, note: Note | None, size: int, url: str) -> bool:
        """Say whether the body goes on after `size` bytes that `note` describes: never two versions in one file."""
        if self.start != size:
            return False
        if note is None:
            return True
        if None not in (note.total, self.total) and note.total != self.total:
            return False
        if note.url != url:
            return True
        pairs = ((note.etag, self.etag), (note.last_modified, self.last_modified))
        return not any(None not in pair and pair[0] != pair[1] for pair in pairs)


def read_answer(response: Response) -> Answer | None:
    """Return what a 200 or 206 says; None if it makes no sense."""
    headers = response.headers
    start, total = 0, None
    if response.status_code == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
        if span is None:
            return None
        start, total = int(span[1]), None if span[2] == "*" else int(span[2])
    elif "Transfer-Encoding" not in headers and headers.get("Content-Length", "").isdigit():
        total = int(headers["Content-Length"])
    is_page = headers.get("Content-Type", "").lower().startswith("text/html")
    return Answer(start, total, headers.get("ETag"), headers.get("Last-Modified"), is_page)


def size_beyond(response: Response) -> int | None:
    """Return the size of the file that a 416 answer states."""
    span = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip())
    return None if span is None else int(span[1])


def body(response: Response) -> Iterator[bytes]:
    """Yield the bytes of the body as they come and as they are: a ``.tar.gz`` sent as encoded is not decoded.

    Where the library can, without waiting for a block to fill: what has come is not lost with the connection.
    """
    read = getattr(response.raw, "read1", response.raw.read)
    while chunk := read(_BLOCK, decode_content=False):
        yield chunk
