"""Lists that say which images a dataset has: fetched once, checked, kept as they came."""

from __future__ import annotations

from pathlib import Path

from moodbench.catalog import DatasetSpec, ListSpec
from moodbench.datasets.lists import check_list, list_file
from moodbench.errors import DataError, DownloadError
from moodbench.inspection.manifest import NOTES
from moodbench.transfer.http import fetch
from moodbench.types import Report


def lacks_list(spec: DatasetSpec, data_dir: Path) -> bool:
    """Whether the list of a dataset has still to be fetched."""
    image_list = spec.image_list
    if image_list is None or image_list.url is None:
        return False
    file = list_file(image_list, data_dir)
    return not file.is_file() or _fault(image_list, file) is not None


def fetch_list(spec: DatasetSpec, data_dir: Path, *, report: Report) -> None:
    """Fetch the list of a dataset, if it has one that is not here yet.

    Its digests are those of the content with LF line ends, so the bytes that come are checked here and not on their
    way.

    Raises
    ------
    DownloadError
        It cannot be fetched, or is not the one that the catalogue means.
    """
    image_list = spec.image_list
    if image_list is None or image_list.url is None or not lacks_list(spec, data_dir):
        return
    file = list_file(image_list, data_dir)
    arriving = data_dir / NOTES / "lists" / file.name
    arriving.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    fetched = fetch([image_list.url], arriving, report=report, fix=f"put it there by hand: {file}")
    fault = _fault(image_list, arriving)
    if fault is not None:
        wrong = arriving.replace(file.with_name(f"{file.name}.wrong"))
        raise DownloadError(
            f"the list of '{spec.name}' from {image_list.url} is not the one that is meant: {fault}",
            file=wrong,
            fix=f"its publisher may have changed it; a copy of the one that is meant can be put here: {file}",
        )
    arriving.replace(file)
    if image_list.sha256 is None and image_list.git_blob is None:
        report(f"no digest is published for {file.name}; recorded sha256 {fetched.sha256}")


def _fault(image_list: ListSpec, file: Path) -> str | None:
    """Say what is wrong with a list; None if it is what the catalogue says."""
    try:
        content = file.read_bytes()
        check_list(image_list, content, file)
    except DataError as error:
        return error.what
    web_page = image_list.sha256 is None and image_list.git_blob is None and content.lstrip().startswith(b"<")
    return "it is a web page" if web_page else None
