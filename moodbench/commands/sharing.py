"""What ``moodbench results push`` and ``pull`` do: results into a folder or repository that people share, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from moodbench.arguments import as_names, as_path
from moodbench.catalog import seen_by
from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.results import read_all, read_provenance, result_files
from moodbench.results.merge import PULLED, Source, joined
from moodbench.sharing.clean import Cleaner
from moodbench.sharing.joining import Key, join_into
from moodbench.sharing.layout import SUBMISSIONS, check_submitter, read_submissions
from moodbench.sharing.place import is_hub, shared_folder
from moodbench.sharing.submit import Offer, submit
from moodbench.sizes import many
from moodbench.tables.selection import chosen_benchmarks
from moodbench.types import Report, Result
from moodbench.workspace import ModelName, Workspace, as_workspace


@dataclass(frozen=True)
class Shared:
    """What was shared, and where.

    Attributes
    ----------
    files : tuple of str
        Below the shared folder, those of its card too; none if nothing was new.
    place : str
        The folder, or the address of the commit or pull request.
    advice : str
        What is left to do, where git is to know of it; else empty.
    """

    files: tuple[str, ...]
    place: str
    advice: str = ""


def push_results(
    target: str | Path,
    *,
    submitter: str | None = None,
    benchmark: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    replace: bool = False,
    commit: bool = False,
    create: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
) -> Shared:
    """Share the results of a workspace; everything is checked before anything is written.

    The scores of single images, and results by class, are not shared.

    Parameters
    ----------
    target : str or Path
        A folder, in a git working tree or not, or ``hf:ORG/NAME``, a dataset repository of the Hugging Face hub.
    submitter : str, optional
        Whose submission it is; people see the name. On the hub by default the account's.
    benchmark, model : str or sequence of str
        By default all that have results.
    replace : bool
        What the submitter shared before of these models gives way, instead of being joined.
    commit : bool
        In a git working tree: commit the files. They are pushed nowhere.
    create, create_pr : bool
        On the hub: make the repository, a private one, if there is none; open a pull request instead of a commit.
    revision : str, optional
        On the hub: the branch. By default the main one.
    dry_run : bool
        Check, say what would be shared, and write nothing.

    Raises
    ------
    ResultsError
        Results cannot be read or contradict what others shared from the same inputs; the folder cannot be written, the
        hub refuses or cannot be reached.
    UnknownNameError, UsageError
        A benchmark or model has no results; options contradict each other; a name cannot be one.
    """
    space = as_workspace(workspace)
    on_hub = is_hub(target)
    _check_options(on_hub, commit=commit, create=create, create_pr=create_pr, revision=revision)
    offers = _offers(space, as_names(benchmark), as_names(model))
    if submitter is None and not on_hub:
        fix = "--submitter NAME, or MOODBENCH_SUBMITTER; people see it, and it need not be your own name"
        raise UsageError("whose submission is it?", fix=fix)
    cleaner = Cleaner([space.data_dir, space.cache_dir, space.results_dir])

    def share(folder: Path, name: str) -> list[Path]:
        return submit(folder, offers, name, cleaner=cleaner, replacing=replace, dry_run=dry_run, report=report)

    if on_hub:
        from moodbench.sharing.hub import Repository

        repository = Repository.parse(str(target), revision)
        name = check_submitter(submitter if submitter is not None else repository.account())
        if create and not dry_run:
            with TemporaryDirectory() as empty:  # what cannot be shared makes no repository
                submit(Path(empty), offers, name, cleaner=cleaner, dry_run=True)
            repository.create()
        with repository.copied() as (folder, parent):
            files = share(folder, name)
            below = tuple(str(file.relative_to(folder)) for file in files)
            if not files:
                return Shared((), repository.url)
            where = repository.commit(folder, files, _message(offers, name), parent=parent, as_pull_request=create_pr)
            return Shared(below, where)
    from moodbench.sharing import git

    folder = as_path(target)
    if folder.exists() and not folder.is_dir():
        raise ResultsError("this is a file, and no folder to share results in", file=folder, fix="name another folder")
    if folder.resolve() == space.results_dir.resolve():
        fix = "name a folder that people share"
        raise ResultsError("this is the folder of results itself, and no folder to share them in", file=folder, fix=fix)
    if commit:
        git.check_commit(folder)
    name = check_submitter(submitter or "")
    files = share(folder, name)
    below = tuple(str(file.relative_to(folder)) for file in files)
    left = [] if dry_run or not (commit or git.is_work_tree(folder)) else git.uncommitted(folder, name)
    if not left:
        return Shared(below, str(folder))
    if not commit:
        return Shared(below, str(folder), git.advice(folder))
    made = git.commit(folder, left, _message(offers, name))  # of earlier pushes too
    return Shared(tuple(str(file.relative_to(folder)) for file in left), f"{folder} (commit {made})")


def pull_results(
    source: str | Path,
    *,
    into: str | Path | None = None,
    submitter: str | Sequence[str] = (),
    benchmark: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    prefer: str | Sequence[str] = (),
    revision: str | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
) -> list[Path]:
    """Join what people shared into a folder of results, by the rules of `merge_results`; return the files written.

    Parameters
    ----------
    source : str or Path
        A shared folder, or ``hf:ORG/NAME``.
    into : path, optional
        By default the results folder of the workspace.
    submitter, benchmark, model : str or sequence of str
        By default all.
    prefer : str or sequence of str
        Submitters: where results of a model on a benchmark cannot be joined, those of the first of these who shared
        some are taken, and the others left out.
    revision : str, optional
        On the hub: a branch, tag or commit.

    Raises
    ------
    ResultsError
        There is nothing shared; or submissions were made from different inputs, or contradict each other or what is
        there. Nothing was written. (Files that are no submission, or were changed, are reported and left out.)
    UnknownNameError, UsageError
        Nobody shared anything of this name.
    """
    space = as_workspace(workspace)
    target = as_path(into) or space.results_dir
    chosen = {"submitter": as_names(submitter), "benchmark": as_names(benchmark), "model": as_names(model)}
    first = as_names(prefer)
    with shared_folder(source, revision) as folder:
        found, faults = read_submissions(folder)
        for name in first:
            _check_known("submitter", name, {one.submitter for one in found})
        for kind, names in chosen.items():
            known = {getattr(one, kind) for one in found}
            for name in names:
                _check_known(kind, name, known)
            found = [one for one in found if not names or getattr(one, kind) in names]
        for file, fault in faults.items():
            report(f"{file.relative_to(folder)}: left out, {fault.what}")
        if not found:
            fix = f"name a folder that 'moodbench results push' has written: it holds {SUBMISSIONS}/"
            raise ResultsError("there are no shared results", file=None if is_hub(source) else folder, fix=fix)
        plan: dict[Key, dict[str, Source]] = {}
        for one in found:
            noted = {**one.provenance, PULLED: {one.submitter: True}}
            shared = Source(f"{source} ('{one.submitter}')", one.rows, noted)
            plan.setdefault(Key(one.benchmark, one.model), {})[one.submitter] = shared
        apart = {key: by for key, by in plan.items() if not _fit(by)}
        for key, by in apart.items():
            whose = next((name for name in first if name in by), None)
            if whose is not None:
                plan[key] = {whose: by[whose]}
                others = ", ".join(f"'{name}'" for name in by if name != whose)
                report(f"{key.model} on {key.benchmark}: that of '{whose}', and left out that of {others}")
        try:
            return join_into(target, {key: [*by.values()] for key, by in plan.items()}, report)
        except ResultsError as error:
            if error.file is not None:
                raise
            left = {key: by for key, by in apart.items() if len(plan[key]) > 1}
            fix = _one_of(left) if left else "pull into a folder of its own with --into DIR"
            raise ResultsError(error.what, fix=fix) from None


def _check_known(kind: str, name: str, known: set[str]) -> None:
    if name not in known:
        raise UnknownNameError(f"{kind} of shared results", name, known, plural=f"{kind}s of shared results")


def _fit(by: Mapping[str, Source]) -> bool:
    """Say whether what people shared of one model on one benchmark can be joined."""
    try:
        joined([*by.values()])
    except ResultsError:
        return False
    return True


def _one_of(apart: Mapping[Key, Mapping[str, Source]]) -> str:
    """Return how to pull what cannot be joined: whose to take."""
    names = sorted({name for by in apart.values() for name in by})
    of_all = [name for name in names if all(name in by for by in apart.values())]
    if of_all:
        return f"say whose to take where they do not fit: {' or '.join(f'--prefer {name}' for name in of_all)}"
    each = ", ".join(f"{key.model} on {key.benchmark} of {' or '.join(by)}" for key, by in apart.items())
    return f"say whose to take where they do not fit, with --prefer NAME, repeatable: {each}"


def _check_options(on_hub: bool, *, commit: bool, create: bool, create_pr: bool, revision: str | None) -> None:
    if on_hub and commit:
        raise UsageError("--commit is for folders: on the hub every push is a commit", fix="leave it out")
    for given, option in ((create, "--create"), (create_pr, "--create-pr"), (revision is not None, "--revision")):
        if given and not on_hub:
            raise UsageError(f"{option} is for repositories of the hub (hf:ORG/NAME)", fix="leave it out")
    if create_pr and revision not in (None, "main"):
        raise UsageError("the hub opens pull requests for the main branch alone", fix="leave --revision out")


def _offers(space: Workspace, benchmarks: Sequence[str], models: Sequence[str]) -> list[Offer]:
    """Return the results that are to be shared, read strictly."""
    names = chosen_benchmarks(space, benchmarks)
    rows = {name: read_all(space.results_dir, name) for name in names}
    known = {row.model for found in rows.values() for row in found}
    for model in models:
        if model not in known:
            raise UnknownNameError("model with results", model, known, plural="models with results")
    offers = []
    for name, found in rows.items():
        files = {file.stem: file for file in result_files(space.results_dir / name)}
        by_model: dict[str, list[Result]] = {}
        for row in found:
            if not models or row.model in models:
                by_model.setdefault(row.model, []).append(row)
        for model, its in by_model.items():
            provenance = read_provenance(files[ModelName.parse(model).file])
            offers.append(Offer(its, provenance, _about_model(space, model), _titles(space, name)))
    return offers


def _about_model(space: Workspace, name: str) -> Mapping[str, str | None]:
    """Return what the catalogue says a model has seen, for who does not have the same catalogue."""
    parsed = ModelName.parse(name)
    spec = space.catalog.models.get(parsed.base)
    if spec is None:
        return {}
    seen = seen_by(spec.variant(parsed.variant))
    text = None if seen.text is None else "yes" if seen.text else "no"
    return {
        "title": spec.title,
        "labels_seen": seen.labels,
        "data": seen.data,
        "text_supervision": text,
        "size": seen.size,
    }


def _titles(space: Workspace, name: str) -> Mapping[str, str]:
    spec = space.catalog.benchmarks.get(name)
    if spec is None:
        return {}
    known = space.catalog.datasets
    titles = {one: known[one].title for one in spec.ood_datasets if one in known}
    return titles | ({name: spec.title} if spec.title else {})


def _message(offers: Sequence[Offer], submitter: str) -> str:
    models = {offer.rows[0].model for offer in offers}
    benchmarks = sorted({offer.rows[0].benchmark for offer in offers})
    return f"Share results of {many(len(models), 'model')} on {', '.join(benchmarks)} ({submitter})"
