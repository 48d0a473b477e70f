"""What a call of `download` brought, and what failed: told line by line, and at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moodbench.errors import DownloadError, MoodbenchError, listed
from moodbench.obtain.asset import THERE, Asset
from moodbench.obtain.jobs import Job
from moodbench.sizes import human_bytes, many
from moodbench.types import Report


class Outcome:
    """Collects what came and what failed, and tells `report` of each."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.assets: list[Asset] = []
        self.failed: dict[str, MoodbenchError] = {}

    def came(self, line: str, asset: Asset) -> None:
        """Note something that is there."""
        self.assets.append(asset)
        self.report(line)

    def failure(self, names: Iterable[str], error: MoodbenchError) -> None:
        """Note what is not there, all for the same reason. It is told at the end, where nobody overlooks it."""
        self.failed |= dict.fromkeys(names, error)

    def add(self, job: Job, results: Mapping[str, Asset | MoodbenchError]) -> None:
        """Note what became of a folder, dataset by dataset."""
        notes: dict[str, None] = {}
        for name, result in results.items():
            if isinstance(result, MoodbenchError):
                self.failure([name], result)
                continue
            count = many(result.images, "image")
            if result.state == THERE:
                self.came(f"skip {name}: complete ({count})", result)
            else:
                size = human_bytes(result.bytes or 0)
                self.came(f"{result.state} {name}: {count}, {size}, in {result.path}", result)
                notes |= {} if result.note is None else {result.note: None}
        for note in notes:
            self.report(f"note: {job.name}: {note}")

    def raise_failures(self) -> None:
        """Raise one error for all that failed, if anything did."""
        errors = list(dict.fromkeys(self.failed.values()))
        if len(errors) == 1:
            raise errors[0]
        if errors:
            total = len(self.failed) + len(self.assets)
            raise DownloadError(
                f"{len(self.failed)} of {total} could not be obtained:" + listed(self.failed),
                fix="the same command, run again, goes on with what is missing",
            )
