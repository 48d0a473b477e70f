"""Files that an entry of the catalogue names: on this disk, or fetched; checked, and where they are from, in words."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.digest import check_sha256
from moodbench.reading import check_regular


def own_file(what: str, file: Path, sha256: str | None) -> Path:
    """Return a file of the catalogue; `what` it is, for the message that it does not exist or is a folder."""
    check_regular(file, f"the {what}", ModelError)
    if sha256 is not None:
        check_sha256(file, sha256)
    return file


def fetched(name: str, url: str, sha256: str | None, *, head: bool = False) -> Path:
    """Return the local copy of what the model `name` has at an address."""
    file = hub.fetch_url(name, url, sha256=sha256, head=head)
    digest = sha256 or hub.digest_in_name(file)
    if digest is not None:
        check_sha256(file, digest)
    return file


def head_file(spec: ModelSpec) -> tuple[Path, str]:
    """Return the file with the head of an entry that has one in a file of its own, and where it is from."""
    head = spec.head
    if head.path is not None:
        return own_file(f"head of '{spec.name}'", head.path, head.sha256), f"file {head.path.name}"
    assert head.url is not None  # the catalogue asks for one of them
    file = fetched(spec.name, head.url, head.sha256, head=True)
    return file, f"file {file.name} of {urlsplit(head.url).netloc}"
