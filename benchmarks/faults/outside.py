"""Names and paths that lead out of their folder, from the command line and from catalogues."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.faults.trial import Row, attempt
from benchmarks.small import Small
from moodbench.commands.cache import remove_caches
from moodbench.commands.download import download
from moodbench.commands.extract import extract
from moodbench.commands.import_ import import_features
from moodbench.commands.probe import probe
from moodbench.commands.score import score
from moodbench.workspace import ModelName, Workspace

NAMES = ("../../../../other", "..", ".", "", "/tmp/x", "a/b", "a\\b", ".x", "a\0b", "a\nb", "x" * 300, "a\ud800b")
"""None of these may become part of a path."""


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Yield a row for names and one for catalogues. Refused is right; so is to find nothing, if nothing was touched."""
    inner = folder / "1" / "2" / "3" / "4"
    small = Small.make(inner)
    (folder / "other.h5").write_bytes(small.head("probe").read_bytes())
    np.savez(folder / "rows.npz", features=np.ones((3, 16), np.float32))
    row = Row("names that lead outside")
    for kind, work in _uses(small, folder).items():
        for name in NAMES:
            _count(row, folder, inner, partial(work, name), f"{kind} {name!r}")
    yield row
    row = Row("paths of a catalogue that lead outside")
    for kind, entry in ENTRIES.items():
        for bad in ("../../../X", "../..", "/X", "a/../../../../X", "..", ".moodbench", "a\0b", ""):
            file = inner / "mine.yaml"
            file.write_text(json.dumps({"datasets": {"mine": {"title": "A", **entry(bad)}}}), encoding="utf-8")
            work = partial(_download, inner, file)
            _count(row, folder, inner, work, f"{kind}: {bad!r}")
    yield row


def _uses(small: Small, folder: Path) -> dict[str, Callable[[str], object]]:
    """Return everything that takes a name which becomes part of a path."""
    space = small.space
    rows = folder / "rows.npz"
    quick = {"score": ["msp"], "benchmark": ["synthetic"], "device": "cpu", "threads": 1, "workspace": space}
    return {
        "score --head": lambda name: score(head=name, **quick),  # type: ignore[arg-type]
        "score --model +": lambda name: score(model=[f"synthetic+{name}"], **quick),  # type: ignore[arg-type]
        "score --benchmark": lambda name: score(**{**quick, "benchmark": [name]}),  # type: ignore[arg-type]
        "probe --name": lambda name: probe("synthetic", name=name, benchmark="synthetic", workspace=space),
        "probe --model": lambda name: probe(name, benchmark="synthetic", workspace=space),
        "import --model": lambda name: import_features(name, "d", rows, workspace=space),
        "import --model @": lambda name: import_features(f"m@{name}", "d", rows, workspace=space),
        "import --dataset": lambda name: import_features("m", name, rows, workspace=space),
        "extract --variant": lambda name: extract(
            "digits_mim", variant=name, benchmark=["digits"], workspace=space, limit=1
        ),
        "extract --dataset": lambda name: extract("digits_mim", dataset=[name], workspace=space, limit=1),
        "cache remove": lambda name: remove_caches(space, name),
        "results of a benchmark": lambda name: space.results_file(name, ModelName("m")),
    }


def _archive(key: str, bad: str) -> dict[str, object]:
    archive = {"file": "x.tar", "urls": [], "bytes": 1, "md5": "unknown", "sha256": "unknown", "max_files": 1}
    return {"folder": "x", "archives": [{**archive, "max_bytes": 1, key: bad}]}


def _list(bad: str) -> dict[str, object]:
    address = "http://127.0.0.1:9/x.txt"
    return {"folder": "x", "list": {"url": address, "file": bad, "sha256": "unknown"}}


ENTRIES: dict[str, Callable[[str], dict[str, object]]] = {
    "folder": lambda bad: {"folder": bad, "generated": "ninco_unit_tests"},
    "within": lambda bad: {"part_of": "imagenet_val", "within": bad},
    "list: file": _list,
    "archives: file": partial(_archive, "file"),
    "archives: take": partial(_archive, "take"),
    "archives: into": partial(_archive, "into"),
}


def _download(inner: Path, catalog: Path) -> object:
    space = Workspace(data_dir=inner / "data", catalogs=(catalog,))
    return download(["mine"], workspace=space)


def _count(row: Row, folder: Path, inner: Path, work: Callable[[], object], case: str) -> None:
    before = _outside(folder, inner)
    outcome = attempt(work)
    outcome = outcome if outcome.ending != "done" else type(outcome)("done", message="was accepted")
    row.count(outcome, right=False, lost=_outside(folder, inner) != before, case=case)


def _outside(folder: Path, inner: Path) -> dict[str, str]:
    """Return the digest of every file that is not below the folder of the trial."""
    return {
        str(file): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and not file.is_relative_to(inner)
    }
