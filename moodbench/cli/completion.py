"""What a shell offers when Tab is pressed after an option: names from catalogue, caches, results and registries.

It has to be there at once, so nothing heavy is imported; and it must never disturb the line that somebody is typing:
where something cannot be read, nothing is offered, and nothing is said.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import typer

from moodbench.choices import Needs, Positive, PretextTask
from moodbench.comparison.reference import METRICS as COMPARED
from moodbench.registry import written_names
from moodbench.types import ALL_GROUPS, Family, Result
from moodbench.views import LayerView
from moodbench.workspace import ModelName, Workspace

Given = dict[str, Any]
"""The options that are on the line already, by the names of their parameters."""

REST = "rest"
"""Stands among them for arguments that have no name yet: the option that is being typed lacks its value."""

Find = Callable[[Workspace, Given], Iterable[str]]
Complete = Callable[[typer.Context, str], list[str]]

PACKAGE = Path(__file__).parents[1]


def offer(find: Find) -> Complete:
    """Return the function that typer asks for names, of a function that finds them."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        given = {**ctx.params, REST: [*ctx.args]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                names = [name for name in dict.fromkeys(find(_workspace(given), given)) if name.startswith(incomplete)]
            except Exception:  # a broken catalogue, a folder that may not be read: the command itself will say so
                return []
        return [_as_typed(name) for name in names]

    return complete


def _workspace(given: Given) -> Workspace:
    """Return where the command that is being typed would work."""
    folders = {name: Path(given[name]) for name in ("data_dir", "cache_dir", "results_dir") if given.get(name)}
    # typer hands over what stands in the environment as text in some versions (0.24), as paths in others
    return Workspace(**folders, catalogs=tuple(Path(file) for file in given.get("catalog") or ()))


def _as_typed(name: str) -> str:
    """Return a name with its blanks escaped where the shell takes what is offered as it is."""
    return name.replace(" ", "\\ ") if os.environ.get("_MOODBENCH_COMPLETE") == "complete_bash" else name


def _words(*words: str) -> Complete:
    return offer(lambda space, given: words)


def _registered(place: str, variable: str, entry_point: str | None = None) -> Complete:
    return offer(lambda space, given: written_names(PACKAGE / place, variable, entry_point))


def _all(value: Any) -> list[str]:
    """Return what an option was given, once or repeatedly."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _files(space: Workspace, given: Given) -> list[Path]:
    """Return the files of results on the benchmarks that are named or on any."""
    from moodbench.results import benchmarks_with_results, result_files

    named = _all(given.get("benchmark")) or benchmarks_with_results(space.results_dir)
    return [file for name in named for file in result_files(space.results_dir / name)]


def _with_results(space: Workspace, given: Given) -> list[ModelName]:
    """Return the models that have results, on the benchmarks that are named or on any."""
    return [ModelName.of_file(file.stem) for file in _files(space, given)]


def _known_models(space: Workspace) -> list[str]:
    known = space.catalog.models
    return [*known, *(f"{name}@{variant}" for name, spec in known.items() for variant in spec.variants)]


@offer
def models(space: Workspace, given: Given) -> list[str]:
    """Models of the catalogue and their variants."""
    return _known_models(space)


@offer
def cached_models(space: Workspace, given: Given) -> list[str]:
    """Models that have caches."""
    return [str(model) for model in space.cached_models()]


@offer
def begun_models(space: Workspace, given: Given) -> list[str]:
    """Models that have caches, be they only begun in shards."""
    return [str(model) for model in space.model_folders() if space.begun_datasets(model)]


@offer
def scored_models(space: Workspace, given: Given) -> list[str]:
    """Models that have results, with their heads."""
    return sorted(str(model) for model in _with_results(space, given))


@offer
def models_and_caches(space: Workspace, given: Given) -> list[str]:
    """Models of the catalogue, their variants, and models that have caches."""
    return [*_known_models(space), *map(str, space.cached_models())]


@offer
def scored_scores(space: Workspace, given: Given) -> list[str]:
    """Scores that have results."""
    from moodbench.results import read_provenance

    return sorted({name for file in _files(space, given) for name in read_provenance(file).get("scores", {})})


@offer
def scored_datasets(space: Workspace, given: Given) -> list[str]:
    """OOD datasets of the benchmarks that are named, or of those that have results."""
    from moodbench.results import benchmarks_with_results

    named = _all(given.get("benchmark")) or benchmarks_with_results(space.results_dir)
    specs = [spec for name, spec in space.catalog.benchmarks.items() if name in named]
    return [name for spec in specs for name in (spec.each or spec.ood_datasets)]


@offer
def cells(space: Workspace, given: Given) -> list[str]:
    """Models with their scores, as far as there are results: MODEL/SCORE."""
    from moodbench.results import read_provenance

    return [
        f"{ModelName.of_file(file.stem)}/{name}"
        for file in _files(space, given)
        for name in read_provenance(file).get("scores", {})
    ]


@offer
def table_columns(space: Workspace, given: Given) -> list[str]:
    """By what the rows of a table can be sorted: its columns, as far as they may be."""
    from moodbench.results import read_provenance

    titles = {name for file in _files(space, given) for name in read_provenance(file).get("scores", {})}
    models = [str(model) for model in _with_results(space, given)]
    return ["best", "title", "mean", *sorted(models), *sorted(titles)]


@offer
def variants(space: Workspace, given: Given) -> list[str]:
    """Variants of the models that are named."""
    known = space.catalog.models
    specs = [known[name] for name in (ModelName.parse(one).base for one in _all(given.get("model"))) if name in known]
    return [
        *(variant for spec in specs for variant in spec.variants),
        *written_names(PACKAGE / "models" / "transforms.py", "TRANSFORMS"),
    ]


@offer
def layers(space: Workspace, given: Given) -> list[str]:
    """Words for layers, and those that any model has caches of: what a network offers, only timm knows."""
    cached = (LayerView.parse(name.view) for name in space.cached_models())
    return ["all", "every:2", "every:3", *sorted({view.layer for view in cached if view is not None})]


@offer
def datasets(space: Workspace, given: Given) -> Iterable[str]:
    """Datasets of the catalogue."""
    return space.catalog.datasets


@offer
def begun_datasets(space: Workspace, given: Given) -> list[str]:
    """Datasets that the models that are named have caches of, or any model; be they only begun in shards."""
    chosen = [ModelName.parse(name) for name in _all(given.get("model"))]
    return sorted({name for model in chosen or space.model_folders() for name in space.begun_datasets(model)})


@offer
def datasets_with_images(space: Workspace, given: Given) -> list[str]:
    """Datasets that the model has caches of, or the one whose rows it takes, or else any."""
    like = _all(given.get("like"))
    chosen = [ModelName.parse(name) for name in like or _all(given.get("model"))]
    its = {name for model in chosen for name in space.cached_datasets(model)}
    return sorted(its or {name for model in space.cached_models() for name in space.cached_datasets(model)})


@offer
def benchmarks(space: Workspace, given: Given) -> Iterable[str]:
    """Benchmarks of the catalogue."""
    return space.catalog.benchmarks


@offer
def scored_benchmarks(space: Workspace, given: Given) -> list[str]:
    """Benchmarks that have results."""
    from moodbench.results import benchmarks_with_results

    return benchmarks_with_results(space.results_dir)


def _shared(space: Workspace, given: Given, part: int) -> list[str]:
    """Return names from the paths of what is shared in the folder that is named; the hub is not asked."""
    from moodbench.sharing.layout import submission_files
    from moodbench.sharing.place import is_hub

    source = given.get("source") or next(iter(given[REST]), "")
    files = [] if not source or is_hub(source) else submission_files(Path(source))
    return sorted({file.with_suffix("").parts[part] for file in files})


@offer
def submitters(space: Workspace, given: Given) -> list[str]:
    """Who shared results in the folder that is named."""
    return _shared(space, given, -1)


@offer
def shared_models(space: Workspace, given: Given) -> list[str]:
    """Models of which results are shared there."""
    return [str(ModelName.of_file(name)) for name in _shared(space, given, -2)]


@offer
def shared_benchmarks(space: Workspace, given: Given) -> list[str]:
    """Benchmarks on which results are shared there."""
    return _shared(space, given, -3)


@offer
def groups(space: Workspace, given: Given) -> list[str]:
    """OOD groups of the benchmarks that are named, or of any."""
    named = _all(given.get("benchmark"))
    specs = [spec for name, spec in space.catalog.benchmarks.items() if not named or name in named]
    return [ALL_GROUPS, *(group for spec in specs for group, members in spec.ood.items() if members)]


@offer
def cached_heads(space: Workspace, given: Given) -> list[str]:
    """Heads that the models have besides their own."""
    chosen = [ModelName.parse(name) for name in _all(given.get("model"))] or space.model_folders()
    return sorted(file.stem for model in chosen for file in space.other_heads(model))


@offer
def scored_heads(space: Workspace, given: Given) -> list[str]:
    """Heads that have results."""
    return ["own", *sorted({model.head for model in _with_results(space, given) if model.head is not None})]


def _imported(space: Workspace, given: Given) -> list[str]:
    chosen = [ModelName.parse(name) for name in _all(given.get("model"))] or space.model_folders()
    return sorted({score for model in chosen for score in space.imported_scores(model)})


@offer
def imported_scores(space: Workspace, given: Given) -> list[str]:
    """Scores that were imported for the models that are named, or for any."""
    return _imported(space, given)


@offer
def references(space: Workspace, given: Given) -> list[str]:
    """Published tables, and the CSV files and folders that lie here."""
    from moodbench.comparison.published import PUBLISHED

    here = [entry for entry in Path().iterdir() if not entry.name.startswith(".")]
    return [*PUBLISHED, *sorted(entry.name for entry in here if entry.is_dir() or entry.suffix == ".csv")]


@offer
def folders(space: Workspace, given: Given) -> list[str]:
    """Folders that lie here."""
    return sorted(entry.name for entry in Path().iterdir() if entry.is_dir() and not entry.name.startswith("."))


@offer
def label_rules(space: Workspace, given: Given) -> list[str]:
    """Rules by which the images of a folder get their labels."""
    from moodbench.catalog import LABEL_RULES

    return [rule for rule in LABEL_RULES if rule != "list"]


_BESIDES = ("auroc_low", "auroc_high", "id_accuracy", "auroc_seed_sd", "fpr95_seed_sd")
"""Fractions of a result that are no metric."""

METRICS = tuple(f.name for f in fields(Result) if f.type == "float | None" and f.name not in _BESIDES)
"""Names of metrics, in the order of the columns of results."""

metrics = _words(*METRICS)
compared_metrics = _words(*COMPARED)
pretexts = _words(*get_args(PretextTask))
families = _words(*get_args(Family))
needs = _words(*get_args(Needs))
positives = _words(*get_args(Positive))
devices = _words("auto", "cpu", "cuda")
extract_devices = _words("all", "auto", "cpu", "cuda")
batch_sizes = _words("auto")


@offer
def scores(space: Workspace, given: Given) -> list[str]:
    """Scores of moodbench and of other packages, and those that were imported."""
    return [*written_names(PACKAGE / "scores", "SCORES", "moodbench.scores"), *_imported(space, given)]


table_formats = _registered("tables/formats", "FORMATS")
plots = _registered("plots", "PLOTS")
widths = _words("column", "text")
example_studies = _words("demo", "paper")
transforms = _registered("models/transforms.py", "TRANSFORMS")
checkpoint_formats = _registered("models/formats", "FORMATS")
recipes = _registered("models/features.py", "RECIPES")
views = _registered("models/recipes", "VIEWS")
