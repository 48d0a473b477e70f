"""Where things lie: the data, cache and results folders, the catalogue, and the paths derived from names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from moodbench.arguments import as_path, as_paths
from moodbench.catalog import Catalog, load_catalog
from moodbench.errors import DataError, UsageError
from moodbench.names import check_name, dataset_fault, name_fault


@dataclass(frozen=True)
class ModelName:
    """A model as it is named on the command line: ``BASE[@VARIANT][+HEAD]``.

    ``timm:NAME`` is a base too; its folder is ``timm-NAME``, and that of a base ``timm-NAME`` is ``timm--NAME``.
    Whatever its parts come from, they can be parts of a path: anything else is a `UsageError`.
    """

    base: str
    variant: str | None = None
    head: str | None = None

    def __post_init__(self) -> None:
        for kind, part in (("", self.base.removeprefix("timm:")), ("variant ", self.variant), ("head ", self.head)):
            fault = None if part is None else name_fault(part)
            if fault is not None:
                raise UsageError(
                    f"'{self}' cannot name a model: {kind}'{part}' {fault}",
                    fix="write MODEL, MODEL@VARIANT or timm:NAME, without blanks or slashes; a head is called likewise",
                )
        if self.base.startswith("timm:-"):
            raise UsageError(f"'{self}' cannot name a model", fix="no name of timm begins with '-'")
        fault = name_fault(self.file.replace("@", "-").replace("+", "-"))
        if fault is not None:
            raise UsageError(f"'{self}' cannot name a model: it {fault}", fix="choose a shorter name")

    @classmethod
    def parse(cls, name: str) -> ModelName:
        """Split a name."""
        rest, plus, head = name.partition("+")
        base, at, variant = rest.partition("@")
        return cls(base, variant if at else None, head if plus else None)

    @classmethod
    def of_folder(cls, folder: str) -> ModelName:
        """Return the name whose caches lie in `folder` (without a head: heads share the folder)."""
        base, _, variant = folder.partition("@")
        if base.startswith("timm--"):
            base = base.replace("--", "-", 1)
        elif base.startswith("timm-"):
            base = base.replace("-", ":", 1)
        return cls(base, variant or None)

    @classmethod
    def of_file(cls, stem: str) -> ModelName:
        """Return the name whose results lie in the files called `stem`."""
        folder, _, head = stem.partition("+")
        model = cls.of_folder(folder)
        return cls(model.base, model.variant, head or None)

    @property
    def folder(self) -> str:
        """Name of the folder that holds the caches."""
        base = self.base
        if base.startswith("timm-"):  # somebody's own model, which is not to be taken for one of timm's
            base = base.replace("-", "--", 1)
        base = base.replace("timm:", "timm-", 1)
        return base if self.variant is None else f"{base}@{self.variant}"

    @property
    def file(self) -> str:
        """Name without suffix of the result files."""
        return self.folder if self.head is None else f"{self.folder}+{self.head}"

    def __str__(self) -> str:
        variant = "" if self.variant is None else f"@{self.variant}"
        head = "" if self.head is None else f"+{self.head}"
        return f"{self.base}{variant}{head}"


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
        return file.parent / "classes" / file.name

    def cached_models(self) -> list[ModelName]:
        """Return every model that has the cache of a dataset, sorted by name."""
        return [model for model in self.model_folders() if self.cached_datasets(model)]

    def model_folders(self) -> list[ModelName]:
        """Return every model that has a folder below the cache directory, sorted by name."""
        if not self.cache_dir.is_dir():
            return []
        folders = sorted(folder.name for folder in self.cache_dir.iterdir() if folder.is_dir())
        # what somebody else keeps there under other names is none of ours
        return [ModelName.of_folder(folder) for folder in folders if _can_be_ours(folder)]

    def cached_datasets(self, model: ModelName) -> list[str]:
        """Return the datasets that `model` has a cache of, sorted by name."""
        files: Iterable[Path] = (self.cache_dir / model.folder).glob("*.h5")
        return sorted(file.stem for file in files if dataset_fault(file.stem) is None)


def _can_be_ours(folder: str) -> bool:
    return all(name_fault(part) is None for part in folder.split("@", 1))
