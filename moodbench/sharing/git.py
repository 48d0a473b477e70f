"""A shared folder that is part of a git working tree: a commit of what was shared, and nothing else; never a push."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from moodbench.errors import ResultsError
from moodbench.sharing.card import ATTRIBUTES, README, card_files
from moodbench.sharing.layout import SUBMISSIONS


def is_work_tree(folder: Path) -> bool:
    """Say whether a folder, which need not be there yet, lies in a git working tree, and git is there to say so."""
    try:
        return _git(_there(folder), "rev-parse", "--is-inside-work-tree").stdout.strip() == "true"
    except ResultsError:
        return False


def _there(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), folder)


def check_commit(folder: Path) -> None:
    """Raise a `ResultsError` if a commit of what lies in the folder could not be made; before anything is written."""
    if not is_work_tree(folder):
        fix = f"git init {folder}, or leave --commit out"
        raise ResultsError("this folder is no git working tree, or there is no git", file=folder, fix=fix)
    folder, shared = _there(folder), folder
    if _git(folder, "var", "GIT_AUTHOR_IDENT").returncode:
        fix = "git config --global user.name NAME, and user.email ADDRESS"
        raise ResultsError("git does not know who you are, and makes no commit", file=folder, fix=fix)
    if not _git(folder, "rev-parse", "--quiet", "--verify", "MERGE_HEAD").returncode:
        fix = "end it first: git commit, or git merge --abort"
        raise ResultsError("a merge is under way in this working tree", file=folder, fix=fix)
    if _git(folder, "ls-files", "--unmerged", "--", ".").stdout:
        raise ResultsError("files here have conflicts", file=folder, fix="mend them first: git status names them")
    probe = os.path.relpath(shared.joinpath(SUBMISSIONS, "b", "m", "s.csv"), folder)
    if not _git(folder, "check-ignore", "--quiet", "--no-index", probe).returncode:
        fix = f"let .gitignore allow {SUBMISSIONS}/, or share into another folder"
        raise ResultsError("git is told to ignore what is shared here", file=folder, fix=fix)


def uncommitted(folder: Path, submitter: str) -> list[Path]:
    """Return what git has not committed yet of a submitter's files, those removed too, and of the card of moodbench.

    A README or ``.gitattributes`` in which nothing is of moodbench is not among them.
    """
    if not folder.is_dir():
        return []
    names = [f":(glob){SUBMISSIONS}/*/*/{submitter}{suffix}" for suffix in (".csv", ".json")]
    names += [f":(glob){file.name}" for file in card_files(folder)]
    words = (
        ["ls-files", "-z", "--others", "--modified", "--deleted", "--exclude-standard"],
        ["diff", "-z", "--cached", "--name-only", "--relative", "--diff-filter=d"],
    )
    found = {name for one in words for name in _git(folder, *one, "--", *names).stdout.split("\0") if name}
    return [folder / name for name in sorted(found)]


def commit(folder: Path, files: Sequence[Path], message: str) -> str:
    """Commit these files alone, whatever else is staged, and return the commit's short name.

    Raises
    ------
    ResultsError
        Git refuses, as a hook does; then the files are there, and not committed.
    """
    names = [os.path.relpath(file, folder) for file in files]
    for words in (["add"], ["commit", "--quiet", "--message", message]):
        done = _git(folder, *words, "--", *names)
        if done.returncode:
            said = " / ".join((done.stderr or done.stdout).split("\n")[-4:]).strip(" /")
            fix = "see git status there, and commit by hand"
            raise ResultsError(f"the files are written, but git made no commit: {said}", file=folder, fix=fix)
    return _git(folder, "rev-parse", "--short", "HEAD").stdout.strip()


def advice(folder: Path) -> str:
    """Return the commands that commit what was shared."""
    names = " ".join([SUBMISSIONS, README, ATTRIBUTES])
    return f"git -C {folder} add {names} && git -C {folder} commit"


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    quiet = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true"}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={**os.environ, **quiet},
            check=False,
        )
    except OSError as error:
        raise ResultsError(f"git cannot be run ({error.strerror})", file=folder, fix="install git") from None
