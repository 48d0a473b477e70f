"""Which datasets of the catalogue a command is about: those that are named, or all that are on this disk."""

from __future__ import annotations

from collections.abc import Sequence

from moodbench.catalog import FEATURES_ONLY, DatasetSpec
from moodbench.datasets.images import is_on_disk
from moodbench.errors import DataError
from moodbench.types import Report
from moodbench.workspace import Workspace

_NAMED = 5
"""Datasets that are left out and that a line names; it counts more of them."""


def chosen_datasets(
    space: Workspace, dataset: Sequence[str], benchmark: Sequence[str], report: Report
) -> list[DatasetSpec]:
    """Return the datasets that are named, alone or by a benchmark, once each; without a name all that are on this disk.

    `report` is told which are left out: those of a benchmark that have no images, or those that are not there.

    Raises
    ------
    UnknownNameError
        A name is unknown.
    DataError
        Nothing is named, and none of the datasets that benchmarks use is on this disk.
    """
    if not (dataset or benchmark):
        return _on_this_disk(space, report)
    named = [space.catalog.dataset(name) for name in dataset]
    of_benchmarks = [space.catalog.dataset(name) for b in benchmark for name in space.catalog.benchmark(b).datasets]
    without = [spec for spec in dict.fromkeys(of_benchmarks) if spec.source == FEATURES_ONLY and spec not in named]
    if without:
        some = ", ".join(spec.name for spec in without)
        report(f"leave out {some}: {FEATURES_ONLY}")
    return [spec for spec in dict.fromkeys([*named, *of_benchmarks]) if spec not in without]


def _on_this_disk(space: Workspace, report: Report) -> list[DatasetSpec]:
    specs = space.catalog.used_datasets
    present = [spec for spec in specs if is_on_disk(spec, space.data_dir)]
    absent = [spec.name for spec in specs if spec not in present]
    if absent:
        some = ", ".join(absent) if len(absent) <= _NAMED else f"{len(absent)} datasets (moodbench list datasets)"
        report(f"leave out {some}: not on this disk below '{space.data_dir}'")
    if not present:
        raise DataError(
            "none of the catalogue's datasets is on this disk",
            file=space.data_dir,
            fix="moodbench download --benchmark B  gets those of a benchmark; moodbench list datasets  says what is "
            "expected where; and extract --images FOLDER --dataset NAME  takes a folder of your own",
        )
    return present
