"""Which folders a call has to fill: parts of a dataset are obtained with the whole of it, and it once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from moodbench.catalog import Catalog, DatasetSpec
from moodbench.datasets.images import dataset_folder


@dataclass(frozen=True)
class Job:
    """One folder to fill.

    Attributes
    ----------
    whole : DatasetSpec
        The dataset whose folder it is: it has the sources.
    wanted : tuple of DatasetSpec
        What was asked for: the whole itself, or parts of it.
    """

    whole: DatasetSpec
    wanted: tuple[DatasetSpec, ...]

    @property
    def name(self) -> str:
        """What people call it: the wanted datasets, and the whole where that is another."""
        names = ", ".join(spec.name for spec in self.wanted)
        return names if self.wanted == (self.whole,) else f"{names} (of {self.whole.name})"

    def folder(self, data_dir: Path) -> Path | None:
        """Where the images of the whole lie; None if it has none on disk."""
        return dataset_folder(self.whole, data_dir)


def make_jobs(specs: Iterable[DatasetSpec], catalog: Catalog) -> list[Job]:
    """Group datasets by the whole that they are parts of.

    In the order of `specs`, but drawn datasets come last: a recipe may want to look at images obtained in this call.
    """
    wanted: dict[str, list[DatasetSpec]] = {}
    for spec in dict.fromkeys(specs):
        wanted.setdefault(catalog.whole_of(spec).name, []).append(spec)
    jobs = [Job(catalog.dataset(name), tuple(parts)) for name, parts in wanted.items()]
    return sorted(jobs, key=lambda job: job.whole.generated is not None)
