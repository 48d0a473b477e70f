"""Where things lie: the data, cache and results folders, the catalogue, and the paths derived from names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from moodbench.arguments import as_path, as_paths
from moodbench.catalog import Catalog, load_catalog
from moodbench.errors import CacheError, DataError, UnknownNameError, UsageError
from moodbench.names import check_name, dataset_fault, name_fault
from moodbench.prefixes import HOW_WRITTEN, base_fault, base_of, folder_of, split, tidied
from moodbench.shard_names import shards_folder, unfinished
from moodbench.views import LayerView, is_view, other_model, split_at

CLASSES = "classes"
"""The folder of the results by class, beside the results of a benchmark."""

IMPORTED = "imported"
"""The folder of scores that another program computed, beside the caches of a model."""


@dataclass(frozen=True)
class ModelName:
    """A model as it is named on the command line: ``BASE[@VARIANT][@VIEW][+HEAD]``.

    A view is a layer, or features of changed images (`moodbench.views`). ``timm:NAME``, ``hf:ORG/NAME`` and others are
    bases too (`moodbench.prefixes`, which also says how their folders are called).
    Whatever its parts come from, they can be parts of a path: anything else is a `UsageError`.
    """

    base: str
    variant: str | None = None
    head: str | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        parts = {"": self.base, "variant ": self.variant, "view ": self.view, "head ": self.head}
        for kind, part in parts.items():
            fault = None if part is None else (name_fault if kind else base_fault)(part)
            if part is not None and fault is None and kind in ("variant ", "view "):
                fault = _view_fault(part, kind == "view ")
            if part is not None and fault is not None:
                raise UsageError(
                    f"'{self}' cannot name a model: {kind}'{split(part)[1]}' {fault}",
                    fix=f"write MODEL, MODEL@VARIANT, {HOW_WRITTEN}, without blanks; a head is called likewise",
                )
        fault = name_fault(self.file.replace("@", "-").replace("+", "-"))
        if fault is not None:
            raise UsageError(f"'{self}' cannot name a model: it {fault}", fix="choose a shorter name, or path")

    @classmethod
    def parse(cls, name: str) -> ModelName:
        """Split a name."""
        rest, plus, head = name.partition("+")
        base, at, settings = rest.partition("@")
        variant, view = split_at(settings) if at else (None, None)
        return cls(tidied(base), variant, head if plus else None, view)

    @classmethod
    def of_folder(cls, folder: str) -> ModelName:
        """Return the name whose caches lie in `folder` (without a head: heads share the folder)."""
        base, at, settings = folder.partition("@")
        variant, view = split_at(settings) if at else (None, None)
        return cls(base_of(base), variant, None, view)

    @classmethod
    def of_file(cls, stem: str) -> ModelName:
        """Return the name whose results lie in the files called `stem`."""
        folder, _, head = stem.partition("+")
        return replace(cls.of_folder(folder), head=head or None)

    @property
    def without_head(self) -> ModelName:
        """Whose caches these are."""
        return replace(self, head=None)

    def beside(self, view: str) -> ModelName:
        """Return the model whose caches lie beside those of this one under the name `view`."""
        other = other_model(view)
        return replace(self.whole, view=view) if other is None else ModelName.parse(other)

    @property
    def whole(self) -> ModelName:
        """The model that this is a view of, without a head; itself where it is none."""
        return replace(self, head=None, view=None)

    @property
    def _settings(self) -> str:
        return "".join(f"@{part}" for part in (self.variant, self.view) if part is not None)

    @property
    def folder(self) -> str:
        """Name of the folder that holds the caches."""
        return folder_of(self.base) + self._settings

    @property
    def file(self) -> str:
        """Name without suffix of the result files."""
        return self.folder if self.head is None else f"{self.folder}+{self.head}"

    def __str__(self) -> str:
        head = "" if self.head is None else f"+{self.head}"
        return f"{self.base}{self._settings}{head}"


def _view_fault(part: str, view: bool) -> str | None:
    """Say why this cannot name a variant, or a `view`."""
    if not view:
        return "is the name of a view" if is_view(part) else None
    if not is_view(part):
        return "is no view"
    return None if part.partition("-")[2] else "names none"


def check_dataset_name(name: str) -> str:
    """Return `name` if it can name a dataset (it becomes a file name), else raise `UsageError`."""
    return check_name(name, "dataset")


@dataclass(frozen=True)
class Workspace:
    """The folders one run works in, and the catalogue it knows.

    Attributes
    ----------
    data_dir, cache_dir, results_dir : Path
        Created when something is written to them.
    catalogs : tuple of Path
        Catalogue files merged over the built-in ones.
    """

    data_dir: Path = Path("data")
    cache_dir: Path = Path("cache")
    results_dir: Path = Path("results")
    catalogs: tuple[Path, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("data_dir", "cache_dir", "results_dir"):  # which people write as texts
            object.__setattr__(self, name, as_path(getattr(self, name)))
        object.__setattr__(self, "catalogs", as_paths(self.catalogs))

    @cached_property
    def catalog(self) -> Catalog:
        """The built-in catalogue with `catalogs` merged over it; read once."""
        return load_catalog(self.catalogs)

    def check_data_dir(self) -> None:
        """Raise `DataError` if the data directory cannot be one; it need not be there yet."""
        fix = "name another folder with --data-dir (or MOODBENCH_DATA_DIR)"
        try:
            for entry in self.data_dir.iterdir():
                entry.lstat()  # names may be readable where files are not
                break
        except FileNotFoundError:
            if self.data_dir.is_symlink():
                raise DataError("the data directory is a link to nowhere", file=self.data_dir, fix=fix) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"the data directory cannot be used: {reason}", file=self.data_dir, fix=fix) from None

    def cache_file(self, model: ModelName, dataset: str) -> Path:
        """Path of the feature cache of (model, dataset)."""
        return self.cache_dir / model.folder / f"{check_dataset_name(dataset)}.h5"

    def head_file(self, model: ModelName) -> Path:
        """Path of the model's own head, or of the other head that the name asks for."""
        folder = self.cache_dir / model.folder
        return folder / "head.h5" if model.head is None else folder / "heads" / f"{model.head}.h5"

    def other_heads(self, model: ModelName) -> list[Path]:
        """Return the files of a model's heads besides its own one, sorted: those that were trained or brought."""
        return sorted((self.cache_dir / model.folder / "heads").glob("*.h5"))

    def kept_scores_file(self, model: ModelName, benchmark: str) -> Path:
        """Path of what ``score`` keeps of (model, benchmark): the score of every test row."""
        head = "" if model.head is None else f"+{model.head}"  # which no benchmark has in its name
        return self.cache_dir / model.folder / "scores" / f"{check_name(benchmark, 'benchmark')}{head}.h5"

    def kept_scores(self, model: ModelName) -> list[Path]:
        """Return the files of row scores that are kept of a model, with whatever head, sorted."""
        files = (self.cache_dir / model.folder / "scores").glob("*.h5")
        return sorted(file for file in files if not file.name.startswith("."))

    def imported_file(self, model: ModelName, score: str, dataset: str) -> Path:
        """Path of the imported numbers of (model, score, dataset)."""
        folder = self.cache_dir / model.folder / IMPORTED / check_name(score, "score")
        return folder / f"{check_dataset_name(dataset)}.h5"

    def imported_scores(self, model: ModelName) -> dict[str, list[str]]:
        """Return the scores that were imported for a model → the datasets that there are numbers of, sorted."""
        found: dict[str, list[str]] = {}
        for file in sorted((self.cache_dir / model.folder / IMPORTED).glob("*/*.h5")):
            if name_fault(file.parent.name) is None and dataset_fault(file.stem) is None:
                found.setdefault(file.parent.name, []).append(file.stem)
        return found

    def detector_file(self, model: ModelName, benchmark: str, score: str) -> Path:
        """Path of what ``detect`` keeps of (model, benchmark, score): what was fitted. `score` may be any text."""
        folder = self.kept_scores_file(model, benchmark).stem
        return self.cache_dir / model.folder / "detectors" / folder / f"{quote(score, safe='[]=;., ')[:150]}.h5"

    def detectors(self, model: ModelName) -> list[Path]:
        """Return the files of fitted detectors of a model, with whatever head, sorted."""
        files = (self.cache_dir / model.folder / "detectors").glob("*/*.h5")
        return sorted(file for file in files if not file.name.startswith("."))

    def results_file(self, benchmark: str, model: ModelName) -> Path:
        """Path of the result table of (benchmark, model)."""
        return self.results_dir / check_name(benchmark, "benchmark") / f"{model.file}.csv"

    def class_results_file(self, benchmark: str, model: ModelName) -> Path:
        """Path of the result table of (benchmark, model) by the classes of OOD datasets."""
        file = self.results_file(benchmark, model)
        return file.parent / CLASSES / file.name

    def cached_models(self) -> list[ModelName]:
        """Return every model that has the cache of a dataset, sorted by name."""
        return [model for model in self.model_folders() if self.cached_datasets(model)]

    def cached_layers(self) -> list[ModelName]:
        """Return every layer of a model that has the cache of a dataset, sorted by name."""
        return [model for model in self.cached_models() if LayerView.parse(model.view) is not None]

    def views_of(self, model: ModelName) -> list[ModelName]:
        """Return every view of a model (a layer, features of changed images) that has the cache of a dataset."""
        return [one for one in self.cached_models() if one.view is not None and one.whole == model.whole]

    def chosen_models(self, names: Iterable[str] = (), *, layers: bool = False) -> list[ModelName]:
        """Return the cached models of these names, or without names all that are no views.

        `layers`: each is followed by those of its layers that are cached, with the same head.

        Raises
        ------
        UnknownNameError
            A model has no cache.
        CacheError
            No layer of them is cached, or there are only shards that are not joined.
        """
        cached = self.cached_models()
        models = [ModelName.parse(name) for name in names]
        for model in models:
            if model.without_head not in cached:
                self._refuse_begun(model)
                raise UnknownNameError("cached model", str(model), map(str, cached), fix="extract or import it first")
        models = models or [model for model in cached if model.view is None]
        if not layers:
            return models
        its = {one: [v for v in self.cached_layers() if v.whole == one.without_head] for one in models}
        if not any(its.values()):
            one = models[0].whole if len(models) == 1 else "M"
            raise CacheError(
                "no layer of " + (f"'{one}'" if len(models) == 1 else "any of the models") + " is cached",
                file=self.cache_dir,
                fix=f"moodbench extract --model {one} --layers all",
            )
        every = [name for one, found in its.items() for name in (one, *(replace(v, head=one.head) for v in found))]
        return list(dict.fromkeys(every))

    def _refuse_begun(self, model: ModelName) -> None:
        """Raise a `CacheError` where a model without a cache has shards of some."""
        folder = self.cache_dir / model.folder
        begun = unfinished(folder)
        if begun:
            raise CacheError(
                f"of '{model.without_head}' there are shards, and no complete cache",
                file=shards_folder(folder / f"{begun[0]}.h5"),
                fix="moodbench cache list  says how far they are; the same moodbench extract goes on, or joins them",
            )

    def model_folders(self) -> list[ModelName]:
        """Return every model that has a folder below the cache directory, sorted by name.

        Raises
        ------
        CacheError
            The cache directory is a file.
        """
        if not self.cache_dir.is_dir():
            if self.cache_dir.exists():
                fix = "name another folder with --cache-dir (or MOODBENCH_CACHE_DIR)"
                raise CacheError("caches lie in a folder, but this is a file", file=self.cache_dir, fix=fix)
            return []
        folders = sorted(folder.name for folder in self.cache_dir.iterdir() if folder.is_dir())
        # what somebody else keeps there under other names is none of ours
        return [ModelName.of_folder(folder) for folder in folders if _can_be_ours(folder)]

    def cached_datasets(self, model: ModelName) -> list[str]:
        """Return the datasets that `model` has a cache of, sorted by name."""
        files: Iterable[Path] = (self.cache_dir / model.folder).glob("*.h5")
        return sorted(file.stem for file in files if dataset_fault(file.stem) is None)

    def begun_datasets(self, model: ModelName) -> list[str]:
        """Return the datasets that `model` has a cache of, or the beginning of one in shards, sorted by name."""
        return sorted({*self.cached_datasets(model), *unfinished(self.cache_dir / model.folder)})


def as_workspace(given: object) -> Workspace:
    """Return the workspace that is given, or that of the current folder; anything else is a `UsageError`."""
    if given is None:
        return Workspace()
    if not isinstance(given, Workspace):
        fix = "moodbench.Workspace(data_dir=…, cache_dir=…, results_dir=…), or leave it out for the current folder"
        raise UsageError(f"a workspace is a moodbench.Workspace, and {given!r:.80} is none", fix=fix)
    return given


def _can_be_ours(folder: str) -> bool:
    try:
        ModelName.of_folder(folder)
    except UsageError:
        return False
    return True
