"""A file that is not whole yet, and the note beside it that says what it is a part of.

``target.part`` holds the first bytes of ``target``; ``target.part.json`` says which version of which address they
belong to. The note is there before the bytes are, and another version begins with an empty part: whatever moment a
process is killed at, the two fit together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from moodbench.errors import DownloadError
from moodbench.reading import parse_json

SCHEMA = 1


@dataclass(frozen=True)
class Note:
    """What the bytes of a part belong to.

    Attributes
    ----------
    url : str
        Without credentials.
    etag, last_modified : str or None
        By which the server knows a version of the file; None where it said none, or where the bytes come from more
        than one address.
    total : int or None
        Size of the whole in bytes.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None

    @property
    def validator(self) -> str | None:
        """What ``If-Range`` may say; weak tags cannot vouch for single bytes."""
        strong = self.etag if self.etag and not self.etag.startswith("W/") else None
        return strong or self.last_modified


class Part:
    """The part of one target. What the disk refuses is a `DownloadError`."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.file = target.with_name(target.name + ".part")
        self.note_file = target.with_name(target.name + ".part.json")
        self.wrong_file = target.with_name(target.name + ".wrong")
        self.wrong_note = target.with_name(target.name + ".wrong.json")
        self._stream: int | None = None

    @property
    def size(self) -> int:
        """Bytes that are here."""
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            return 0

    def note(self) -> Note | None:
        """Return the note; None if there is none that can be read."""
        return _read(self.note_file)

    def start(self, note: Note) -> None:
        """Throw away what is here and begin the version that `note` describes."""
        with self._disk():
            self.drop()
            self.annotate(note)

    def annotate(self, note: Note) -> None:
        """Write the note, whole or not at all."""
        with self._disk():
            temporary = self.note_file.with_name(self.note_file.name + ".new")
            temporary.write_text(json.dumps({"schema": SCHEMA, "note": asdict(note)}) + "\n", encoding="utf-8")
            temporary.replace(self.note_file)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the part open for `append`."""
        with self._disk():
            self._stream = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            yield
        finally:
            stream, self._stream = self._stream, None
            with self._disk():
                os.close(stream)

    def append(self, chunk: bytes) -> None:
        """Hand bytes to the operating system, which keeps them even if this process is killed at once."""
        assert self._stream is not None
        with self._disk():
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._stream, rest) :]

    def finish(self) -> None:
        """Call the part by the target's name."""
        with self._disk():
            self.file.replace(self.target)
            for file in (self.note_file, self.wrong_file, self.wrong_note):
                file.unlink(missing_ok=True)

    def condemn(self, file: Path | None = None) -> None:
        """Put the part (or `file`) out of the way under a name that nobody takes for the target's."""
        with self._disk():
            self.wrong_file.unlink(missing_ok=True)
            self.wrong_note.unlink(missing_ok=True)
            if file is None and self.note_file.exists():
                self.note_file.replace(self.wrong_note)
            (file or self.file).replace(self.wrong_file)

    def is_wrong_one(self, note: Note) -> bool:
        """Say whether `note` describes the very version that was put out of the way before."""
        return note.validator is not None and self.wrong_file.exists() and _read(self.wrong_note) == note

    def drop(self) -> None:
        """Throw the part away."""
        with self._disk():
            self.file.unlink(missing_ok=True)
            self.note_file.unlink(missing_ok=True)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_error(self.target, error) from None


def disk_error(target: Path, error: OSError) -> DownloadError:
    """Return the message for a disk that does not take a file."""
    return DownloadError(
        f"'{target.name}' cannot be written: {error.strerror or error}",
        file=target.parent,
        fix="make room or get the right to write there, or choose another folder; "
        "what is there is kept, and the same command goes on with it",
    )


def _read(file: Path) -> Note | None:
    try:
        values = parse_json(file.read_text(encoding="utf-8"))
        note = Note(**values["note"]) if values["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if note is not None and _is_sound(note) else None


def _is_sound(note: Note) -> bool:
    texts = all(isinstance(text, str | None) for text in (note.etag, note.last_modified))
    return isinstance(note.url, str) and texts and isinstance(note.total, int | None)
