"""What a call of `download` brought, and what failed: told line by line, and at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moodbench.datasets.images import dataset_folder
from moodbench.errors import DownloadError, MoodbenchError
from moodbench.obtain.jobs import Job
from moodbench.obtain.run import THERE, Placed
from moodbench.obtain.sizes import in_words


@dataclass(frozen=True)
class Obtained:
    """A dataset, or the weights of a model, that is there now.

    Attributes
    ----------
    name : str
    kind : {"dataset", "model"}
    state : str
        ``there`` (it was before), ``bundled``, ``features only``, or how it came: ``downloaded``,
        ``unpacked``, ``copied``, ``hard-linked``, ``linked``, ``in place``, ``generated``.
    images, bytes : int or None
        Number of images, and the size of the files.
    path : Path or None
        The folder of the images; of weights, the file.
    note : str or None
        What somebody who uses it must know.
    """

    name: str
    kind: str
    state: str
    images: int | None = None
    bytes: int | None = None
    path: Path | None = None
    note: str | None = None


class Outcome:
    """Collects what came and what failed, and tells `report` of each."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self.obtained: list[Obtained] = []
        self.failed: dict[str, MoodbenchError] = {}

    def came(self, line: str, obtained: Obtained) -> None:
        """Note something that is there."""
        self.obtained.append(obtained)
        self.report(line)

    def failure(self, names: Iterable[str], error: MoodbenchError) -> None:
        """Note what is not there, all for the same reason. It is told at the end, where nobody overlooks it."""
        self.failed |= dict.fromkeys(names, error)

    def placed(self, job: Job, placed: Placed, data_dir: Path) -> None:
        """Note a folder that is there, dataset by dataset."""
        note = None if placed.origin is None else placed.origin.note
        for spec in job.wanted:
            if spec.name in placed.errors:
                self.failure([spec.name], placed.errors[spec.name])
                continue
            found, folder = placed.found[spec.name], dataset_folder(spec, data_dir)
            images = len(found.names)
            line = f"skip {spec.name}: complete ({images} images)"
            if placed.how != THERE:
                line = f"{placed.how} {spec.name}: {images} images, {in_words(found.bytes)}, in {folder}"
            self.came(line, Obtained(spec.name, "dataset", placed.how, images, found.bytes, folder, note))
        if note is not None and placed.how != THERE:
            self.report(f"note: {job.name}: {note}")

    def raise_failures(self) -> None:
        """Raise one error for all that failed, if anything did."""
        errors = list(dict.fromkeys(self.failed.values()))
        if len(errors) == 1:
            raise errors[0]
        if errors:
            total = len(self.failed) + len(self.obtained)
            raise DownloadError(
                f"{len(self.failed)} of {total} could not be obtained:" + "".join(_blocks(self.failed)),
                fix="the same command, run again, goes on with what is missing",
            )


def _blocks(failed: dict[str, MoodbenchError]) -> Iterator[str]:
    """Yield each error, indented below the names that it concerns."""
    for error in dict.fromkeys(failed.values()):
        names = ", ".join(name for name, own in failed.items() if own is error)
        yield f"\n{names}: {error}".replace("\n", "\n    ")
