"""What a verification can find, and which of it is a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

FAULTS = {
    "absent": "not on this disk",
    "folder": "folder that cannot be read",
    "archive": "archive, table or address that cannot be used",
    "list": "image list that cannot be used",
    "note": "note of moodbench's own that cannot be read",
    "count": "wrong number of images",
    "missing": "missing",
    "extra": "not in the manifest",
    "name": "file name that is not UTF-8",
    "empty": "empty file",
    "html": "web page or error message saved as an image",
    "truncated": "truncated",
    "undecodable": "cannot be decoded",
    "large": "more pixels than --max-pixels allows",
    "size": "another size than in the manifest",
    "changed": "another content than in the manifest",
    "overlap": "the same picture as ID and as OOD",
}
"""Kinds of findings that make numbers wrong or impossible, and what they are called in a report."""

NOTES = {
    "unlisted": "not in the image list, and so not used",
    "unlabelled": "images without a label",
    "left out": "files that are no images by their suffix, and so not used",
    "duplicate": "the same picture twice",
    "near": "nearly the same picture as ID and as OOD",
}
"""Kinds that a person should know. Published sets have duplicates, and a likeness is for eyes to judge."""

KINDS = {**FAULTS, **NOTES}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    kind : str
        A key of `FAULTS` or `NOTES`.
    dataset : str
        In an overlap: the OOD dataset.
    path : str or None
        Of the image, relative to the dataset's folder; None: the dataset as a whole.
    detail : str or None
        What exactly, in words.
    other_dataset, other_path : str or None
        The picture that `path` is the same as. In an overlap: the one in the ID dataset.
    benchmarks : tuple of str
        For which the two are ID and OOD.
    """

    kind: str
    dataset: str
    path: str | None = None
    detail: str | None = None
    other_dataset: str | None = None
    other_path: str | None = None
    benchmarks: tuple[str, ...] = ()

    @property
    def fault(self) -> bool:
        """Whether it makes a verification fail."""
        return self.kind in FAULTS

    def record(self) -> dict[str, Any]:
        """Return it as a plain mapping, without what does not apply."""
        values = {key: value for key, value in asdict(self).items() if value not in (None, ())}
        return {**values, "fault": self.fault}


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Return kind → how many, in the order of `KINDS`."""
    found = Counter(finding.kind for finding in findings)
    return {kind: found[kind] for kind in KINDS if found[kind]}
