"""Whether a weights file is the expected one. Without torch: files are checked before there is anything to compute."""

from __future__ import annotations

from pathlib import Path

from moodbench.digests import file_sha256
from moodbench.errors import ModelError


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
