"""The demo: the whole pipeline on the embedded benchmark, through the same functions that users call."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from moodbench.arguments import as_path, as_paths
from moodbench.commands.rank import rank
from moodbench.commands.run import run_study
from moodbench.commands.table import table
from moodbench.errors import DataError
from moodbench.studies.examples import example_file
from moodbench.types import Report
from moodbench.workspace import Workspace

BENCHMARK = "digits"
_CAVEAT = """\
This is a miniature: 8 × 8 digits, a ViT of 0.3 million parameters, minutes of training. It shows that the pipeline
works and what its output looks like. It says nothing about which pretext task is best, and these are not the
paper's numbers."""


def run_demo(
    out: str | Path,
    *,
    program: str = "moodbench",
    catalogs: str | Path | Sequence[str | Path] = (),
    report: Report = lambda line: None,
    progress: bool = False,
    width: int | None = None,
) -> str:
    """Extract, score, tabulate, plot, report and rank the embedded benchmark into the folder `out`.

    Parameters
    ----------
    out : Path
        Gets the folders ``cache`` and ``results`` and the files ``grid.png``, ``grid.md``, ``grid.html``
        and ``report.html``.
        What an earlier run left there is used again.
    program : str
        What a shell calls moodbench by, for the commands to try next.
    catalogs : Path or sequence of Path
        More catalogue files.
    report : callable
        Is told what is being done.
    progress : bool
        Show progress bars on a terminal.
    width : int, optional
        As in `table`.

    Returns
    -------
    str
        The grid with ID accuracies, which pair is best and whether that is luck, where the files are, and what to try
        next.
    """
    out = as_path(out)
    if out.exists() and not out.is_dir():
        raise DataError("the demo needs a folder, but this is a file", file=out, fix="choose another --out")
    space = Workspace(out / "data", out / "cache", out / "results", as_paths(catalogs))
    run_study(example_file("demo"), out=out, workspace=space, report=report, progress=progress)
    files = [out / name for name in ("grid.png", "grid.md", "grid.html", "report.html")]
    grid = table(benchmark=[BENCHMARK], format="plain", width=width, workspace=space)
    answer = "Best: " + rank(benchmark=BENCHMARK, workspace=space).answer
    parts = [
        grid,
        textwrap.fill(answer, min(width or 120, 120)),
        "",
        _CAVEAT,
        "",
        _where(out, files),
        "",
        _next(out, program),
    ]
    return "\n".join(parts) + "\n"


def _where(out: Path, files: list[Path]) -> str:
    shown = {"features and logits": out / "cache", "results": out / "results" / BENCHMARK}
    lines = [f"  {what:20} {path}" for what, path in shown.items()]
    kinds = {"grid.png": "picture", "report.html": "report (HTML)"}
    lines += [f"  {kinds.get(file.name, 'table'):20} {file}" for file in files]
    return "Files\n" + "\n".join(lines)


def _next(out: Path, program: str) -> str:
    cache, results = shlex.quote(str(out / "cache")), shlex.quote(str(out / "results"))
    commands = [
        f"rank --cache-dir {cache} --results-dir {results}",
        f"detect FOLDER --model digits_mim --score vim --cache-dir {cache} --results-dir {results}",
        f"table --format latex --layout datasets --results-dir {results}",
        f"score --all --cache-dir {cache} --results-dir {results}",
        "list scores",
        "extract --model timm:resnet18.a1_in1k --images FOLDER --dataset my_images",
    ]
    return "Try next\n" + "\n".join(f"  {program} {command}" for command in commands)
