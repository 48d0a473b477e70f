"""Which models are probed, and on which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moodbench.catalog import BenchmarkSpec, Catalog
from moodbench.errors import CacheError, UsageError
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace


@dataclass(frozen=True)
class Task:
    """What a head is trained to tell apart, and on which rows.

    Attributes
    ----------
    id_train : str
    id_val : str or None
        Held-out rows; without it, every tenth of `id_train`.
    classes : tuple of int or str
        The classes that count as ID, as in a benchmark; empty: all.
    aliases : tuple of (name, name in ID train)
    needs : tuple of str
        The datasets that must be cached.
    """

    id_train: str
    id_val: str | None
    classes: tuple[int | str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: BenchmarkSpec) -> Task:
        """Return that of a benchmark."""
        aliases = tuple(sorted(spec.aliases.items()))
        return cls(spec.id_train, spec.id_val, spec.classes, aliases, spec.learned_from)

    def record(self) -> dict[str, object]:
        """Return what a head depends on, in JSON types."""
        return {"id_train": self.id_train, "classes": list(self.classes)}


def choose_models(space: Workspace, names: Sequence[str], *, layers: bool = False) -> list[ModelName]:
    """Return the cached models of these names, and perhaps their layers; of none at all, every model that is no view.

    Raises
    ------
    UnknownNameError, UsageError
        A model has no cache, or a head is named with it.
    CacheError
        No layer of them is cached, and layers are wanted.
    """
    for model in map(ModelName.parse, names):
        if model.head is not None:
            raise UsageError(f"'{model}' names a head", fix=f"--model {model.folder} --name {model.head}")
    return space.chosen_models(dict.fromkeys(names), layers=layers)


def choose_task(space: Workspace, models: Sequence[ModelName], benchmark: str | None) -> tuple[Task, tuple[str, ...]]:
    """Return what is to be done, and the ID test datasets to measure it on.

    Raises
    ------
    UnknownNameError, UsageError
        The benchmark is unknown or has one class at a time; or none is named and several could be meant.
    CacheError
        No benchmark's rows are cached.
    """
    if benchmark is not None:
        spec = space.catalog.benchmark(benchmark)
        if spec.each:
            raise UsageError(
                f"the benchmark '{benchmark}' has one ID class at a time: a head has nothing to tell apart"
            )
        return Task.of(spec), spec.id_test
    there = [set(space.cached_datasets(model)) for model in models]
    found = _possible(space.catalog, there)
    if not found:
        raise CacheError(
            "no ID train dataset of a benchmark is cached",
            file=space.cache_dir,
            fix="run moodbench extract --model M --benchmark B first",
        )
    if len(found) > 1:
        names = "; ".join(", ".join(spec.name for spec in specs) for specs in found.values())
        raise UsageError(
            "several benchmarks could be meant, and they differ in ID train or validation",
            fix=(f"name one with --benchmark; equal ones stand together: {names}"),
        )
    ((task, specs),) = found.items()
    return task, tuple(dict.fromkeys(test for spec in specs for test in spec.id_test))


def _possible(catalog: Catalog, there: Sequence[set[str]]) -> dict[Task, list[BenchmarkSpec]]:
    found: dict[Task, list[BenchmarkSpec]] = {}
    for spec in catalog.benchmarks.values():
        task = Task.of(spec)
        if not spec.each and any(datasets.issuperset(task.needs) for datasets in there):
            found.setdefault(task, []).append(spec)
    return found


def is_ready(space: Workspace, model: ModelName, task: Task, *, named: bool, report: Report) -> bool:
    """Say whether what is needed is cached; if not, that is an error for a model that was named."""
    absent = [name for name in task.needs if name not in space.cached_datasets(model)]
    if absent and named:
        raise CacheError(
            f"the model '{model}' has no cache of {' and '.join(absent)}",
            file=space.cache_dir / model.folder,
            fix=f"moodbench extract --model {model} --dataset {absent[0]}  (or moodbench import)",
        )
    if absent:
        report(f"skip {model}: no cache of {', '.join(absent)}")
    return not absent
