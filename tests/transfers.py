"""A file to be fetched, what is known of it, and what a fetch leaves."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path

import pytest

from moodbench.errors import DownloadError
from moodbench.transfer.expected import Expectation
from moodbench.transfer.http import fetch

BODY = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
PAGE = b"<!DOCTYPE html><title>Sign in</title>"
DATE = "Thu, 01 Jan 2015 00:00:00 GMT"


def known(body: bytes = BODY) -> Expectation:
    """Return what is known of `body`: its size and SHA-256."""
    return Expectation(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


DIGEST = Expectation(md5=hashlib.md5(BODY).hexdigest())


def left_beside(target: Path) -> set[str]:
    """Return the suffixes of the files that lie beside the target."""
    return {file.name.removeprefix(target.name) for file in target.parent.iterdir()} - {""}


def failure(*args, **options) -> str:
    """Return the message of a fetch that fails."""
    with pytest.raises(DownloadError) as caught:
        fetch(*args, **options)
    return str(caught.value)


def wait_for(true, process=None) -> None:
    """Wait until something is true, as long as the process lives."""
    while not true():
        assert process is None or process.poll() is None
        time.sleep(0.002)
