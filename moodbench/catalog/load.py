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

import yaml

from moodbench.catalog.benchmark import BenchmarkSpec, build_benchmark
from moodbench.catalog.dataset import DatasetSpec, build_dataset
from moodbench.catalog.entry import Entry
from moodbench.catalog.model import ModelSpec, build_model
from moodbench.errors import CatalogError, UnknownNameError
from moodbench.names import dataset_fault, name_fault


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

    def benchmark(self, name: str) -> BenchmarkSpec:
        """Return the benchmark `name`, or raise `UnknownNameError`."""
        return _look_up("benchmark", name, self.benchmarks)

    def model(self, name: str) -> ModelSpec:
        """Return the model `name`; ``timm:NAME`` is any model that timm knows."""
        if name.startswith("timm:"):
            return ModelSpec(name=name, title=name.removeprefix("timm:"), pretext="unspecified", timm=name[5:])
        return _look_up("model", name, self.models, fix="any other timm model works as timm:NAME")


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
    for file in (*_builtin_files(), *extra):
        sections = _read_yaml(file)
        _merge(datasets, sections.get("datasets"), "dataset", file, build_dataset)
        _merge(benchmarks, sections.get("benchmarks"), "benchmark", file, build_benchmark)
        _merge(models, sections.get("models"), "model", file, build_model)
    for benchmark in benchmarks.values():
        for name in benchmark.datasets:
            if name not in datasets:
                raise CatalogError(
                    f"the benchmark '{benchmark.name}' names the dataset '{name}', which no catalogue declares",
                    fix=f"add an entry '{name}' under 'datasets:'",
                )
    return Catalog(_with_places(datasets), benchmarks, models)


def _with_places(datasets: Mapping[str, DatasetSpec]) -> dict[str, DatasetSpec]:
    """Give every part of another dataset that one's place, and its homepage, paper and licence where it names none."""
    return {name: _placed(spec, datasets, ()) for name, spec in datasets.items()}


def _placed(spec: DatasetSpec, datasets: Mapping[str, DatasetSpec], seen: tuple[str, ...]) -> DatasetSpec:
    if spec.part_of is None:
        return spec
    if spec.part_of not in datasets or spec.part_of in (*seen, spec.name):
        wrong = "which no catalogue declares" if spec.part_of not in datasets else "which is in the end part of itself"
        raise CatalogError(f"the dataset '{spec.name}' is part_of '{spec.part_of}', {wrong}")
    whole = _placed(datasets[spec.part_of], datasets, (*seen, spec.name))
    told = {key: getattr(spec, key) or getattr(whole, key) for key in ("homepage", "paper", "licence")}
    spec = replace(spec, **told)
    if whole.path is not None:
        return replace(spec, path=whole.path / spec.within)
    if whole.folder is None:
        raise CatalogError(f"the dataset '{spec.name}' is part_of '{spec.part_of}', which has no folder")
    return replace(spec, folder=f"{whole.folder}/{spec.within}".rstrip("/"))


def _builtin_files() -> tuple[Path, Path]:
    package = Path(__file__).parents[1]
    inside = package / "datasets.yaml"
    return (inside if inside.exists() else package.parent / "datasets.yaml", package / "models.yaml")


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"the catalogue cannot be read: {error}", file=file, fix="check --catalog") from None
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise CatalogError(f"the catalogue is not valid YAML: {error}", file=file) from None
    if data is None:
        return {}
    sections = {"datasets", "benchmarks", "models"}
    if not isinstance(data, dict) or not set(data) <= sections:
        found = sorted(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise CatalogError(f"a catalogue has the sections datasets, benchmarks and models; found {found}", file=file)
    return data


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a mapping that has a key twice: YAML keeps the last one in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = sorted({key for key in keys if isinstance(key, str) and keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: the key '{twice[0]}' occurs twice")
        return super().construct_mapping(node, deep)


def _merge(into: dict[str, Spec], section: object, kind: str, file: Path, build: Callable[[str, Entry], Spec]) -> None:
    if section is None:
        return
    if not isinstance(section, dict):
        raise CatalogError(f"the section '{kind}s' must map names to entries", file=file)
    for name, values in section.items():
        fault = dataset_fault(name) if kind == "dataset" else name_fault(name)
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
                f"the {kind} '{name}' exists already", file=file, fix="choose another name, or say 'replace: true'"
            )
        into[name] = build(name, entry)
        entry.finish()
