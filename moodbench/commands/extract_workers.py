"""What a worker of an extraction does, in a process of its own, on this machine or another.

It is told once what there is to extract (`Extractors`), builds the network when the first task asks for it, and fills
shards. Nothing of it is imported with torch before it works.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.before_torch import set_switches
from moodbench.commands.extract_views import Views
from moodbench.datasets.request import ImageSet
from moodbench.errors import DataError, MoodbenchError
from moodbench.features.settings import CPU_BATCH, Settings
from moodbench.models.choice import ModelChoice
from moodbench.progress import listening, lock_bars_by_threads
from moodbench.release import versions
from moodbench.workspace import ModelName, Workspace

if TYPE_CHECKING:
    from moodbench.features.job import Extraction
    from moodbench.features.shards.fill import ShardedExtraction
    from moodbench.features.targets import View
    from moodbench.models.backbone import Backbone

EQUAL = ("moodbench", "torch", "timm", "pillow")
"""Packages whose versions must be the same everywhere, as the numbers depend on them."""

EACH = 10
"""Shards that a worker gets at least, where there are so many images: so all end at about the same time."""

LEAST = 4
"""Batches of a shard, at least: to begin one takes about as long as a batch."""


@dataclass(frozen=True)
class Load:
    """Build the network of a model, by its number."""

    model: int


@dataclass(frozen=True)
class Begin:
    """Make or read the plan of a dataset, by its number."""

    model: int
    dataset: int


@dataclass(frozen=True)
class Fill:
    """Fill one of its shards."""

    model: int
    dataset: int
    shard: int


@dataclass(frozen=True)
class Finish:
    """Join its shards, of which `computed` were not there."""

    model: int
    dataset: int
    computed: bool


Task = Load | Begin | Fill | Finish


@dataclass(frozen=True)
class Begun:
    """What there is to do of a dataset.

    Attributes
    ----------
    name : str
        Of the model.
    remark : str or None
        What is worth to be told of its weights.
    shards : int
        0 where all is done.
    missing : tuple of int
    rows, there : int
        Images, and those of complete shards.
    alone : bool
        The cache, or that of a view, was begun in one file; `missing` is 0 alone, which stands for all of it.
    """

    name: str
    remark: str | None
    shards: int = 0
    missing: tuple[int, ...] = ()
    rows: int = 0
    there: int = 0
    alone: bool = False


@dataclass(frozen=True)
class Shard:
    """What was done about a shard: rows computed now and images at once, by the name of the view (None: the model)."""

    computed: Mapping[str | None, int]
    at_once: int


@dataclass(frozen=True)
class Extractors:
    """Makes a worker where it is to work.

    Attributes
    ----------
    choices : sequence of ModelChoice
    sets : sequence of ImageSet
    settings : Settings
        Of this worker: its device, and the processes that decode for it.
    views : Views
    workspace : Workspace
    folder : str
        Where the command was called; relative paths count from it.
    mark : Path or None
        A file in the cache folder, for the time of the work: who does not see it has another cache folder.
    workers, threads : int
        How many there are, and processor cores of each.
    versions : mapping
        Of `EQUAL`, where the command was called.
    """

    choices: Sequence[ModelChoice]
    sets: Sequence[ImageSet]
    settings: Settings
    views: Views
    workspace: Workspace
    folder: str = ""
    mark: Path | None = None
    workers: int = 1
    threads: int = 1
    versions: Mapping[str, str] = field(default_factory=lambda: versions(*EQUAL))

    def __call__(self) -> Callable[[Any, Callable[[float], None]], Any]:
        """Return the worker.

        Raises
        ------
        MoodbenchError
            This machine has other versions, or does not see the folders.
        """
        self._compare()
        self._see()
        set_switches()
        lock_bars_by_threads()
        import torch

        torch.set_num_threads(self.threads)
        return _Extractor(self).work

    def _compare(self) -> None:
        own = versions(*EQUAL)
        other = [f"{name} {own[name]}, not {self.versions[name]}" for name in EQUAL if own[name] != self.versions[name]]
        if other:
            raise MoodbenchError(
                f"the machine '{platform.node()}' has other versions than the one that gives the work: "
                + "; ".join(other),
                fix="install the same versions on all machines, as the numbers depend on them",
            )

    def _see(self) -> None:
        fix = "all machines must see the same files under the same paths, as on a shared file system"
        unseen: Path | None = None
        try:
            os.chdir(self.folder)
        except OSError:
            unseen = Path(self.folder)
        if unseen is None and self.mark is not None and not self.mark.exists():
            unseen = self.mark.parent.absolute()
        for one in self.sets:
            root = getattr(one.images, "root", None)
            # an address has no root that could be looked at
            if unseen is None and hasattr(one.images, "sizes") and not hasattr(one.images, "content"):
                unseen = None if root is None or root.is_dir() else root.absolute()
        if unseen is not None:
            raise DataError(f"a worker on '{platform.node()}' does not see this folder", file=unseen, fix=fix)


class _Extractor:
    """A worker, with the network that it built last."""

    def __init__(self, site: Extractors) -> None:
        self._site = site
        self._loaded: tuple[int, ModelName, Backbone, list[View]] | None = None
        self._works: dict[int, ShardedExtraction] = {}
        self._begun: set[int] = set()

    def work(self, task: Task, told: Callable[[float], None]) -> object:
        """Do what a task says."""
        match task:
            case Load(model):
                self._load(model)
                return None
            case Begin(model, dataset):
                return self._begin(model, dataset)
            case Fill(model, dataset, shard):
                with listening(told):
                    return self._fill(model, dataset, shard)
            case Finish(model, dataset, computed):
                return self._finish(model, dataset, computed)

    def _load(self, model: int) -> tuple[ModelName, Backbone, list[View]]:
        if self._loaded is None or self._loaded[0] != model:
            self._loaded, self._works, self._begun = None, {}, set()  # the next one needs the memory
            site = self._site
            name, backbone = site.choices[model].build(site.workspace.catalog, site.settings.precision)
            self._loaded = model, name, backbone, site.views.of(backbone, site.workspace, name)
        return self._loaded[1:]

    def _asked(self, model: int, dataset: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of `extract_images` and `sharded`."""
        name, backbone, views = self._load(model)
        site, one = self._site, self._site.sets[dataset]
        file = site.workspace.cache_file(name, one.dataset)
        named = {"model": str(name), "dataset": one.dataset, "settings": site.settings, "views": views}
        return (backbone, one.images, file), named

    def _sharded(self, model: int, dataset: int) -> ShardedExtraction:
        """Return what fills the shards of a dataset; its plans are read or made by `_work`."""
        from moodbench.features.extract import sharded

        given, named = self._asked(model, dataset)  # another model lets the works go
        if dataset not in self._works:
            work = sharded(*given, **named)
            other = next(iter(self._works.values()), work)  # of another dataset: the same network
            self._works[dataset] = replace(work, networks=other.networks)
        return self._works[dataset]

    def _work(self, model: int, dataset: int) -> ShardedExtraction:
        """Return what fills the shards of a dataset, with its plans."""
        from moodbench.features.shards.plan import ROWS_PER_SHARD

        work = self._sharded(model, dataset)
        if dataset not in self._begun:
            settings = self._site.settings
            least = LEAST * (settings.batch_size or CPU_BATCH)
            each = -(-len(work.job.rows) // (EACH * self._site.workers))
            work.begin(rows_per_shard=min(ROWS_PER_SHARD, max(least, each)))
            self._begun.add(dataset)
        return work

    def _begin(self, model: int, dataset: int) -> Begun:
        name, backbone, _ = self._load(model)
        remark = weights_read(name, backbone) if self._site.choices[model].reads_file else None
        rows = self._begun_alone(model, dataset)
        if rows:
            return Begun(str(name), remark, 1, (0,), rows, alone=True)
        work = self._work(model, dataset)
        plan = work.plan
        if plan is None:
            return Begun(str(name), remark)
        missing = tuple(work.missing())
        lacking = sum(rows.stop - rows.start for rows in map(plan.rows_of, missing))
        return Begun(str(name), remark, plan.shards, missing, plan.rows, plan.rows - lacking)

    def _begun_alone(self, model: int, dataset: int) -> int:
        """Return the rows of a cache that was begun in one file and is not complete, 0 where none was."""
        from moodbench.features.targets import is_done

        work = self._sharded(model, dataset)
        classes = work.job.images.classes
        there = (one.file for one in work.targets if one.file.exists() and not is_done(one, classes))
        return max(map(_rows, there), default=0)

    def _fill(self, model: int, dataset: int, shard: int) -> Shard | Extraction:
        if not shard:
            from moodbench.features.extract import extract_images

            given, named = self._asked(model, dataset)
            return extract_images(*given, **named)
        done = self._work(model, dataset).fill(shard)
        computed = {_view_of(target): one.rows - one.begun_at for target, one in done.items()}
        return Shard(computed, min((one.at_once for one in done.values()), default=0))

    def _finish(self, model: int, dataset: int, computed: bool) -> Extraction:
        from moodbench.features.extract import extract_images
        from moodbench.features.job import outcome_of

        work = self._work(model, dataset)
        if not computed:  # looks whether what is there is intact
            work.finish()
            given, named = self._asked(model, dataset)
            return extract_images(*given, **named)
        if not work.finish():
            raise MoodbenchError(
                "shards of this cache were removed meanwhile",
                file=work.targets[0].file,
                fix="run the same command again, which makes them anew",
            )
        own, *others = (outcome_of(target.file, _rows(target.file), 0.0) for target in work.targets)
        views = [_view_of(target) for target in work.targets[1:]]
        return replace(own, views=dict(zip(map(str, views), others, strict=True)))


def _view_of(target: Any) -> str | None:
    return None if target.view is None else target.view.view


def _rows(file: Path) -> int:
    from moodbench.features.cache import FeatureCache

    with FeatureCache(file) as cache:
        return cache.rows


def weights_read(name: ModelName, backbone: Backbone) -> str:
    """Say what of a file was taken as the weights of a model: worth a look, as nesting, prefix and format vary."""
    read = f", read as format '{backbone.record['format']}'" if "format" in backbone.record else ""
    return f"weights of {name}: {backbone.record['weights']}{read}"
