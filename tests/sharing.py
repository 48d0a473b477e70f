"""What two people share, and the commands that they type, each in a workspace of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.commands import call
from tests.runs import put, rows_of

SHARED_BY = "submissions/b/vit"


def workspace(folder: Path, *scores: str, auroc: float = 0.9, model: str = "vit", **more) -> Path:
    """Return a new workspace whose results are of these scores; its inputs are those of everybody's by default."""
    rows = rows_of(model, scores or ("msp",), auroc=auroc, **more.pop("row", {}))
    put(folder / "results", rows, **more)
    return folder


def push(home: Path, target: Path | str, submitter: str, *options: str):
    """Return how it ended to share what a workspace has."""
    words = ("push", target, "--submitter", submitter, "--results-dir", home / "results", *options)
    return call("results", *words)


def pushed(*args) -> str:
    """Return what was said where it went well."""
    done = push(*args)
    assert done.exit_code == 0, done.stderr
    return done.stderr


def refused(done) -> str:
    """Return the one message of a command that was refused."""
    assert done.exit_code == 1, done.stdout + done.stderr
    assert done.stderr.count("error: ") == 1
    return done.stderr


def files(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but git's own."""
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in found if ".git" not in one.relative_to(folder).parts
    }


def git(folder: Path, *words: str, check: bool = True) -> str:
    """Run git in a folder and return what it printed."""
    quiet = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *quiet, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    """Return a new git repository with somebody's name in it."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    named(folder)
    return folder


def named(folder: Path) -> Path:
    """Return a working tree in which git knows who commits."""
    git(folder, "config", "user.name", "T")
    git(folder, "config", "user.email", "t@example.org")
    return folder
