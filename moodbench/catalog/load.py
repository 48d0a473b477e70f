"""Reading catalogue files, and looking things up by name.

The built-in files are ``datasets.yaml`` (top of the repository; inside the package when installed from a wheel) and
``moodbench/models.yaml``. A user's own file (``--catalog FILE``, ``MOODBENCH_CATALOG``) may hold any of the three
sections and is merged over them; a name that exists already is refused unless the entry says ``replace: true``.
Unknown keys are errors: a misspelt key must not be ignored in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from moodbench.catalog.benchmark import BenchmarkSpec, build_benchmark
from moodbench.catalog.dataset import DatasetSpec, build_dataset
from moodbench.catalog.entry import Entry
from moodbench.catalog.model import HeadSpec, ModelSpec, build_model
from moodbench.catalog.plain import PlainError, load_plain
from moodbench.errors import CatalogError, UnknownNameError
from moodbench.names import fault_of
from moodbench.prefixes import CLIP, HOW_WRITTEN, OUTSIDE, split, tidied
from moodbench.reading import read_text

MOST_BYTES = 16 << 20
"""Of a catalogue file; the built-in ones have sixty thousand."""

MOST_PARTS = 10
"""Of which each is a part of the next."""


@dataclass(frozen=True)
class Catalog:
    """All datasets, benchmarks and models that are known by name."""

    datasets: Mapping[str, DatasetSpec]
    benchmarks: Mapping[str, BenchmarkSpec]
    models: Mapping[str, ModelSpec]

    def dataset(self, name: str) -> DatasetSpec:
        """Return the dataset `name`, or raise `UnknownNameError`."""
        fix = f"'{name}' is a benchmark: --benchmark {name} names its datasets" if name in self.benchmarks else None
        return _look_up("dataset", name, self.datasets, fix=fix)

    @property
    def used_datasets(self) -> list[DatasetSpec]:
        """Every dataset that a benchmark names, once."""
        names = (name for benchmark in self.benchmarks.values() for name in benchmark.datasets)
        return [self.datasets[name] for name in dict.fromkeys(names)]

    def whole_of(self, spec: DatasetSpec) -> DatasetSpec:
        """Return the dataset whose folder holds the images of `spec`: itself if it is a part of none."""
        while spec.part_of is not None:
            spec = self.dataset(spec.part_of)
        return spec

    def benchmark(self, name: str) -> BenchmarkSpec:
        """Return the benchmark `name`, or raise `UnknownNameError`."""
        return _look_up("benchmark", name, self.benchmarks)

    def model(self, name: str) -> ModelSpec:
        """Return the model `name`: of the catalogue, or any that is named by where it is from (``hf:ORG/NAME``)."""
        name = tidied(name)
        library, rest = split(name)
        if library == CLIP:
            none = HeadSpec("none")
            return ModelSpec(name, rest, "multimodal", clip=rest, head=none, text_supervision=True)
        if library in OUTSIDE:
            return ModelSpec(name=name, title=rest, pretext="unspecified", network=name)
        if library is not None:
            return ModelSpec(name=name, title=rest, pretext="unspecified", timm=rest)
        fix = f"any other model works as {HOW_WRITTEN}"
        return _look_up("model", name, self.models, fix=fix)


Spec = TypeVar("Spec")


def _look_up(kind: str, name: str, items: Mapping[str, Spec], fix: str | None = None) -> Spec:
    try:
        return items[name]
    except KeyError:
        raise UnknownNameError(kind, name, items, fix=fix) from None


def load_catalog(extra: Iterable[Path] = ()) -> Catalog:
    """Read the built-in catalogue and merge the files `extra` over it, in order.

    Raises
    ------
    CatalogError
        A file is missing or not YAML, a key is unknown or missing, a value has the wrong type, a name is taken, or a
        benchmark names a dataset that nothing declares.
    """
    datasets: dict[str, DatasetSpec] = {}
    benchmarks: dict[str, BenchmarkSpec] = {}
    models: dict[str, ModelSpec] = {}
    files: dict[tuple[str, str], Path] = {}
    for file in (*_builtin_files(), *extra):
        sections = _read_yaml(file)
        files |= {(section, name): file for section, entries in sections.items() for name in entries or ()}
        _merge(datasets, sections.get("datasets"), "dataset", file, build_dataset)
        _merge(benchmarks, sections.get("benchmarks"), "benchmark", file, build_benchmark)
        _merge(models, sections.get("models"), "model", file, build_model)
    for benchmark in benchmarks.values():
        for name in benchmark.datasets:
            if name not in datasets:
                raise CatalogError(
                    f"the benchmark '{benchmark.name}' names the dataset '{name}', which no catalogue declares",
                    file=files["benchmarks", benchmark.name],
                    fix=f"add an entry '{name}' under 'datasets:'",
                )
    placed = {name: _placed(spec, datasets, files["datasets", name]) for name, spec in datasets.items()}
    return Catalog(placed, benchmarks, models)


def _placed(
    spec: DatasetSpec, datasets: Mapping[str, DatasetSpec], file: Path, seen: tuple[str, ...] = ()
) -> DatasetSpec:
    """Give a part of another dataset that one's place, and its homepage, paper and licence where it names none."""
    if spec.part_of is None:
        return spec
    fault = None
    if spec.part_of not in datasets:
        fault = "which no catalogue declares"
    elif spec.part_of in (*seen, spec.name):
        fault = "which is, in the end, a part of itself"
    elif len(seen) == MOST_PARTS:
        fault = f"the end of a chain of more than {MOST_PARTS} parts"
    if fault is not None:
        raise CatalogError(f"the dataset '{spec.name}' is part_of '{spec.part_of}', {fault}", file=file)
    whole = _placed(datasets[spec.part_of], datasets, file, (*seen, spec.name))
    told = {key: getattr(spec, key) or getattr(whole, key) for key in ("homepage", "paper", "licence")}
    spec = replace(spec, **told)
    if whole.path is not None:
        return replace(spec, path=whole.path / spec.within)
    if whole.folder is None:
        raise CatalogError(f"the dataset '{spec.name}' is part_of '{spec.part_of}', which has no folder", file=file)
    return replace(spec, folder=f"{whole.folder}/{spec.within}".rstrip("/"))


def _builtin_files() -> tuple[Path, Path]:
    package = Path(__file__).parents[1]
    inside = package / "datasets.yaml"
    return (inside if inside.exists() else package.parent / "datasets.yaml", package / "models.yaml")


def _read_yaml(file: Path) -> dict[str, Any]:
    text = read_text(
        file, "the catalogue", CatalogError, most=MOST_BYTES, fix="check --catalog, or the variable MOODBENCH_CATALOG"
    )
    try:
        data = load_plain(text)
    except PlainError as error:
        raise CatalogError(f"the catalogue is {error}", file=file) from None
    if data is None:
        return {}
    sections = {"datasets", "benchmarks", "models"}
    if not isinstance(data, dict) or not set(data) <= sections:
        found = sorted(data)[:5] if isinstance(data, dict) else type(data).__name__
        raise CatalogError(
            f"a catalogue has the sections datasets, benchmarks and models; found {found!s:.200}", file=file
        )
    for section, entries in data.items():
        if entries is not None and not isinstance(entries, dict):
            raise CatalogError(f"the section '{section}' must map names to entries", file=file)
    return data


def _merge(
    into: dict[str, Spec], section: dict[str, Any] | None, kind: str, file: Path, build: Callable[[str, Entry], Spec]
) -> None:
    if section is None:
        return
    for name, values in section.items():
        fault = fault_of(name, kind)
        if fault is not None:
            raise CatalogError(
                f"'{name}' cannot name a {kind}: it {fault}",
                file=file,
                fix="use letters, digits, '_', '-' and '.', as a string",
            )
        entry = Entry(kind, name, {} if values is None else values, file)
        replace = entry.take("replace", bool, False)
        if name in into and not replace:
            raise CatalogError(
                f"the {kind} '{name}' exists already",
                file=file,
                fix=f"choose another name, or put this entry in its place with a line below '{name}:'  replace: true",
            )
        into[name] = build(name, entry)
        entry.finish()
