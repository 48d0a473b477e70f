"""The caches of a model that a benchmark needs, found in the workspace and opened; what is missing is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from moodbench.catalog import BenchmarkSpec
from moodbench.errors import CacheError, CacheMismatchError
from moodbench.evaluation.caches import Caches, open_caches, refuse_other_head
from moodbench.features.cache import FeatureCache
from moodbench.features.heads import head_provenance
from moodbench.features.reader import RowReader
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace


def open_scorable(
    space: Workspace, name: ModelName, spec: BenchmarkSpec, *, asked: bool, report: Report
) -> Caches | None:
    """Open what is cached of (model, benchmark); None, and a word about it, if that is not enough to score.

    `asked`: the benchmark was named, so that also nothing at all is worth a word.

    Raises
    ------
    CacheError, ModelError
        A cache is damaged, does not fit the others, or the head is not there or is of other features.
    """
    cached = space.cached_datasets(name)
    if not set(spec.datasets) & set(cached):
        if asked:
            report(f"skip {name} on {spec.name}: nothing of it is cached")
        return None
    files: dict[str, Path] = {}
    for dataset in spec.datasets:
        if dataset in cached:
            file = space.cache_file(name, dataset)
            with FeatureCache(file) as cache:
                if cache.complete:
                    files[dataset] = file
                else:
                    report(f"leave out {name} on {dataset}: its cache is incomplete, run moodbench extract again")
    needed = [d for d in spec.needed if d not in files]
    if needed:
        report(f"skip {name} on {spec.name}: no cache of {', '.join(needed)}")
        return None
    absent = [d for d in spec.ood_datasets if d not in files]
    if len(absent) == len(spec.ood_datasets):
        report(f"skip {name} on {spec.name}: no cache of an OOD dataset ({', '.join(absent)})")
        return None
    if absent:
        report(f"{name} on {spec.name}: no cache of {', '.join(absent)}; means that need them stay empty")
    head = space.head_file(name)
    if name.head is not None and not head.exists():
        there = ", ".join(one.stem for one in space.other_heads(name))
        raise CacheError(
            f"the model '{name.without_head}' has no head '{name.head}'",
            file=head,
            fix=f"make it: moodbench probe --model {name.without_head} --name {name.head}, head text or head import"
            f"\nits heads: {there or 'none but its own'}",
        )
    caches = open_caches(files, spec, head, own_head=name.head is None)
    if name.head is None:
        return caches
    said = head_provenance(head)
    _check_head(head, name, spec, caches, said.get("inputs", {}))
    return replace(caches, about_head=tuple(_about_fit(name, said.get("fit"))))


def _about_fit(name: ModelName, fit: object) -> Iterator[str]:
    """Yield what a number made with a head that was trained should say: `moodbench probe` keeps how that went."""
    if isinstance(fit, dict) and fit.get("converged") is False:
        yield f"the head '{name.head}' did not converge"


def _check_head(file: Path, name: ModelName, spec: BenchmarkSpec, caches: Caches, made_from: Mapping[str, Any]) -> None:
    """Refuse a head that `moodbench probe` trained on other features of the same ID train dataset.

    And one of texts that a network with other weights has embedded. `made_from` is what it says of its inputs.
    """
    model = name.without_head
    if made_from.get("id_train") == spec.id_train and made_from.get("features") != caches.train.fingerprint:
        raise CacheMismatchError(
            f"the head '{name.head}' was trained on other features of {spec.id_train} than are cached now",
            file=file,
            fix=f"train it again: moodbench probe --model {model} --name {name.head} --force",
        )
    network = caches.train.provenance.get("model")
    weights = network.get("weights_sha256") if isinstance(network, dict) else None
    if weights is not None and made_from.get("weights_sha256") not in (None, weights):
        raise CacheMismatchError(
            f"the head '{name.head}' was made with other weights than the cached features of {spec.id_train}",
            file=file,
            fix=f"make it again: moodbench head text --model {model} --name {name.head} --force",
        )


def lacks_ood_val(space: Workspace, name: ModelName, spec: BenchmarkSpec) -> list[str]:
    """Return the OOD validation sets of which a model has no cache."""
    there = set(space.cached_datasets(name))
    return [dataset for dataset in spec.ood_val if dataset not in there]


def open_ood_val(space: Workspace, name: ModelName, spec: BenchmarkSpec, caches: Caches) -> dict[str, RowReader]:
    """Open what is cached of a model's OOD validation rows, by dataset.

    Raises
    ------
    CacheError
        A dataset is not cached, or its logits are of another head.
    """
    lacking = lacks_ood_val(space, name, spec)
    if lacking:
        datasets = " ".join(f"--dataset {dataset}" for dataset in lacking)
        raise CacheError(
            f"there is no cache of {', '.join(lacking)} of '{name}' to choose parameters on",
            file=space.cache_dir,
            fix=f"moodbench extract --model {name.without_head} {datasets}",
        )
    readers = {dataset: RowReader(space.cache_file(name, dataset)) for dataset in spec.ood_val}
    if name.head is None:
        for reader in readers.values():
            refuse_other_head(reader, caches.head, space.head_file(name))
    return readers
