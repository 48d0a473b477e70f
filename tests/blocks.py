"""The code blocks of README and docs, and how they are run: what a reader would type, in the order of the page.

What a block is called says what is done with it:

=========== ==========================================================================================================
``sh``      run in a shell
``python``  run; the blocks of a page share their names
``bash``    not run, because it wants a download, a reader's own images or minutes: commands of moodbench are parsed
``py``      not run, for the same reason: names are looked up and arguments bound
``yaml``    read, as a catalogue where it is one
``text``    what is printed, or a picture in letters; also a block without a word
``math``    a formula in LaTeX, typeset when the site is built
=========== ==========================================================================================================

``python -m tests.blocks PAGE`` runs the blocks of a page in the current folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]

RUN = ("sh", "python")
LANGUAGES = (*RUN, "bash", "py", "yaml", "text", "math", "")

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there: what would go to the network ends at once."""


KEEP = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
"""Writes the variables of a shell to a file."""


@dataclass(frozen=True)
class Block:
    """A block of a page, with the line that its text begins in."""

    page: Path
    language: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page, in order: all, or those in the given languages."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(page, match[1], text[: match.start(2)].count("\n") + 1, match[2])
        for match in re.finditer(r"^```(\S*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    return [block for block in found if not languages or block.language in languages]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the variables of a reader who has nothing but ``moodbench`` and ``python``, and no network."""
    commands = home / "bin"
    commands.mkdir(parents=True, exist_ok=True)
    for name, line in {"moodbench": '-m moodbench "$@"', "python": '"$@"'}.items():
        (commands / name).write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {line}\n")
        (commands / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOODBENCH_")}
    return kept | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path for path in (str(ROOT), os.environ.get("PYTHONPATH")) if path),
        "HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"), NOWHERE),
        **more,
    }


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first of all test processes of a run makes."""
    own = factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=base) as half:
                make(Path(half) / name)
                (Path(half) / name).rename(folder)
    return folder


def run(page: Path) -> None:
    """Run what a page shows, one block after the other, as one shell and one Python would."""
    shared: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page, *RUN):
        sys.stderr.write(f"-- {block}\n")
        if block.language == "sh":
            _in_shell(block)
        else:
            exec(compile("\n" * (block.line - 1) + block.text, page.name, "exec"), shared)


def _in_shell(block: Block) -> None:
    """Run a block, and keep the variables that it sets."""
    with tempfile.NamedTemporaryFile() as kept:
        lines = f"set -a\n{block.text}\n{shlex.join((sys.executable, '-c', KEEP, kept.name))}"
        done = subprocess.run(["bash", "-e", "-u", "-o", "pipefail", "-c", lines])
        if done.returncode:
            sys.exit(f"{block} ended with {done.returncode}")
        os.environ.update(json.loads(Path(kept.name).read_text()))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
