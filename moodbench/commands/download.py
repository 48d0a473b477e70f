"""Datasets and weights onto this disk: fetched, checked, unpacked, and each under its name when it is complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moodbench.arguments import as_names, as_path, check_whole
from moodbench.catalog import FEATURES_ONLY, DatasetSpec
from moodbench.choices import Link, check_choice
from moodbench.errors import DataError, MoodbenchError, UsageError
from moodbench.progress import bars
from moodbench.tables.notebooks import Records
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.obtain.asset import Asset
    from moodbench.obtain.fill import Means
    from moodbench.obtain.jobs import Job
    from moodbench.obtain.plan import Plan

PHOTOGRAPHS = "imagenet_val"
"""The dataset that recipes look at where it is on this disk."""


def plan_download(
    dataset: str | Sequence[str] = (),
    *,
    benchmark: str | Sequence[str] = (),
    everything: bool = False,
    workspace: Workspace | None = None,
) -> list[Plan]:
    """Return what `download` would do for each folder. Nothing is fetched or changed."""
    from moodbench.obtain.plan import survey

    space = as_workspace(workspace)
    space.check_data_dir()
    try:
        return [survey(job, space.data_dir) for job in _jobs(space, as_names(dataset), as_names(benchmark), everything)]
    except OSError as error:
        raise _disk_error(error, space.data_dir) from None


def download(
    dataset: str | Sequence[str] = (),
    *,
    benchmark: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    everything: bool = False,
    source: str | Path | None = None,
    link: Link | None = None,
    jobs: int = 8,
    keep_archives: bool = False,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    instruct: Report = lambda text: None,
    progress: bool = False,
) -> Records[Asset]:
    """Put datasets and weights on this disk; go on with what was begun, and skip what is there.

    Parameters
    ----------
    dataset, benchmark, model : str or sequence of str
        What to obtain: datasets, all datasets of benchmarks, weights of models.
    everything : bool
        All datasets of all benchmarks.
    source : Path, optional
        What the user has of the one dataset that is named: an archive, a folder of archives, or a folder that holds
        its images. It is never changed.
    link : {"hard", "symbolic"}, optional
        Link to the images in `source` instead of copying them.
    jobs : int
        How many single images at a time.
    keep_archives : bool
        Leave the archives in ``<data-dir>/.moodbench/archives`` when they have been unpacked.
    report, instruct : callable
        Are given lines about what is done, and in the end the steps that a person has to take.

    Returns
    -------
    list of Asset

    Raises
    ------
    UsageError
        Nothing or something unknown is named, or options contradict each other.
    MoodbenchError
        Something could not be obtained; everything else was.
    """
    space = as_workspace(workspace)
    dataset, benchmark, model = as_names(dataset), as_names(benchmark), as_names(model)
    check_whole(jobs=jobs)
    if not (dataset or benchmark or model or everything):
        raise _nothing_named(space)
    if jobs < 1:
        raise UsageError(f"--jobs is a number above zero, not {jobs}")
    weights = [(name, ModelName.parse(name)) for name in model]
    for _, name in weights:
        space.catalog.model(name.base)
    work = _jobs(space, dataset, benchmark, everything)
    given = _check_source(as_path(source), link, work, weights_too=bool(model))
    run = _Run(space, report, instruct, progress)
    if work:
        space.check_data_dir()
        try:
            run.datasets(work, given, link, jobs, keep_archives)
        except OSError as error:
            raise _disk_error(error, space.data_dir) from None
    for label, name in weights:
        run.weights(label, name)
    for steps in run.steps:
        run.instruct(steps)
    run.outcome.raise_failures()
    return Records(run.outcome.assets)


def _jobs(space: Workspace, dataset: Sequence[str], benchmark: Sequence[str], everything: bool) -> list[Job]:
    from moodbench.obtain.jobs import make_jobs

    catalog = space.catalog
    benchmarks = [catalog.benchmark(name) for name in benchmark] + list(
        catalog.benchmarks.values() if everything else ()
    )
    specs = [catalog.dataset(name) for name in dataset]
    specs += [catalog.dataset(name) for each in benchmarks for name in each.datasets]
    return make_jobs(specs, catalog)


def _nothing_named(space: Workspace) -> UsageError:
    return UsageError(
        "nothing is named that should be downloaded",
        fix="name datasets (moodbench list datasets shows them), --benchmark B, --model M, or --all\n"
        f"benchmarks: {', '.join(space.catalog.benchmarks)}",
    )


def _check_source(source: Path | None, link: str | None, work: Sequence[Job], *, weights_too: bool) -> Path | None:
    if link is not None:
        check_choice("link", link, Link)
    if source is None:
        if link is not None:
            raise UsageError("--link says how to use the images of a folder, so it needs --from FOLDER")
        return None
    if len(work) != 1 or weights_too:
        named = ", ".join(job.name for job in work) or "none"
        raise UsageError(f"--from belongs to one dataset, and these are named: {named}")
    whole = work[0].whole
    if whole.bundled is not None or whole.folder is None:
        reason = "comes with the package" if whole.bundled is not None else "has no folder below the data directory"
        raise UsageError(f"--from is of no use here: '{whole.name}' {reason}")
    if not source.exists():
        raise UsageError(f"--from names something that is not there: '{source}'")
    return source


class _Run:
    """One call of `download`."""

    def __init__(self, space: Workspace, report: Report, instruct: Report, progress: bool) -> None:
        from moodbench.obtain.outcome import Outcome

        self.space, self.progress = space, progress
        self.report, self.instruct = _clear_of_bars(report), _clear_of_bars(instruct)
        self.outcome = Outcome(self.report)
        self.steps: list[str] = []

    def datasets(self, work: Sequence[Job], source: Path | None, link: str | None, jobs: int, keep: bool) -> None:
        """Obtain every folder of `work`; a failure does not stop the others."""
        from moodbench.obtain.fill import Means
        from moodbench.obtain.plan import check_disk, outline
        from moodbench.transfer.meter import Bars

        data_dir = self.space.data_dir
        plans = [outline(job, data_dir) for job in work]
        fetched = [plan for plan in plans if plan.action == "download" and source is None]
        check_disk(fetched, data_dir, keep_archives=keep)
        files = sum(len(plan.job.whole.archives) for plan in fetched)
        sizes = [archive.bytes for plan in fetched for archive in plan.job.whole.archives]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        users = Counter(archive.file for job in work for archive in job.whole.archives)
        with Bars(files=files, total=total, progress=self.progress) as bars:
            photographs = self.space.catalog.datasets.get(PHOTOGRAPHS)
            means = Means(data_dir, self.report, bars, self.progress, jobs, photographs)
            for plan in plans:
                if plan.action in ("bundled", "features"):
                    self._nothing_to_do(plan)
                elif self._obtain(plan.job, means, source, link) and not keep:
                    self._release(plan.job.whole, users)

    def _nothing_to_do(self, plan: Plan) -> None:
        from moodbench.obtain.asset import Asset

        for spec in plan.job.wanted:
            state = "bundled" if plan.action == "bundled" else FEATURES_ONLY
            self.outcome.came(f"skip {spec.name}: {state}", Asset(spec.name, "dataset", state, spec.images))

    def _obtain(self, job: Job, means: Means, source: Path | None, link: str | None) -> bool:
        from moodbench.obtain.byhand import instructions
        from moodbench.obtain.run import ByHandError, obtain

        names = [spec.name for spec in job.wanted]
        try:
            results = obtain(job, means, source=source, link=link)
        except UsageError:
            raise
        except ByHandError as error:
            self.steps.append(instructions(job, means.data_dir))
            self.outcome.failure(names, error)
        except MoodbenchError as error:
            self.outcome.failure(names, error)
        except OSError as error:
            self.outcome.failure(names, _disk_error(error, means.data_dir))
        else:
            self.outcome.add(job, results)
            return True
        return False

    def _release(self, whole: DatasetSpec, users: Counter[str]) -> None:
        """Remove the archives of a dataset that no other of this call is waiting for."""
        from moodbench.obtain.archives import release

        for archive in whole.archives:
            users[archive.file] -= 1
            if not users[archive.file]:
                release(self.space.data_dir, archive)

    def weights(self, label: str, name: ModelName) -> None:
        """Obtain the weights of one model."""
        from moodbench.models.weights import fetch_weights
        from moodbench.obtain.asset import Asset
        from moodbench.sizes import human_bytes

        model = self.space.catalog.model(name.base)
        spec = model.variant(name.variant)
        if name.variant and model.declared_in(name.variant) is None:
            declared = f" (it declares {', '.join(model.variants)})" if model.variants else ""
            self.report(f"'{name.variant}' is not a variant of {name.base} in the catalogue{declared}: its own weights")
        try:
            found = fetch_weights(spec, report=self.report, progress=self.progress)
        except MoodbenchError as error:
            self.outcome.failure([label], error)
            return
        size = "" if found.bytes is None else f" ({human_bytes(found.bytes)})"
        line = (f"skip {label}: there" if found.already else f"downloaded {label}") + size
        state = "there" if found.already else "downloaded"
        asset = Asset(label, "model", state, None, found.bytes, found.file)
        self.outcome.came(line, asset)


def _clear_of_bars(tell: Report) -> Report:
    """Return `tell` with the progress bars out of its way while it writes."""

    def told(text: str) -> None:
        with bars().external_write_mode():
            tell(text)

    return told


def _disk_error(error: OSError, data_dir: Path) -> DataError:
    return DataError(
        f"a file cannot be read or written: {error.strerror or error}",
        file=error.filename or data_dir,
        fix="make room or get the right to write there; the same command goes on with what is there",
    )
