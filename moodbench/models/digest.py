"""SHA-256 of weights files. Without torch: files are checked before there is anything to compute."""

from __future__ import annotations

import hashlib
from pathlib import Path

from moodbench.errors import ModelError


def file_sha256(file: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_sha256(file: Path, expected: str) -> str:
    """Return the file's SHA-256 (hex); one that does not begin with `expected` is a `ModelError` that names both."""
    found = file_sha256(file)
    if not found.startswith(expected.lower()):
        raise ModelError(
            f"the checkpoint is not the expected file: sha256 {found}, expected {expected}",
            file=file,
            fix="the file is damaged or another version: remove it and fetch it again",
        )
    return found
