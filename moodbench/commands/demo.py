"""The demo: the whole pipeline on the embedded benchmark, through the same functions that users call."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from moodbench.arguments import as_path, as_paths
from moodbench.catalog import ModelSpec
from moodbench.commands.extract import extract
from moodbench.commands.plot import plot
from moodbench.commands.rank import rank
from moodbench.commands.report import report as write_report
from moodbench.commands.score import score
from moodbench.commands.table import table
from moodbench.errors import DataError
from moodbench.types import Report
from moodbench.workspace import Workspace

BENCHMARK = "digits"
SCORES = ("msp", "kl_matching", "energy", "max_logit", "mahalanobis", "residual", "energy_react", "gradnorm", "vim")
"""The nine of the MOODv2 reference: a grid that fits a screen. `moodbench score --all` runs every score."""

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
    models = embedded_models(space)
    for model in models:
        extract(model.name, benchmark=[BENCHMARK], workspace=space, report=report, progress=progress, device="cpu")
    names = [model.name for model in models]
    score(model=names, score=SCORES, benchmark=[BENCHMARK], workspace=space, report=report, device="cpu")
    picture = plot("grid", benchmark=BENCHMARK, out=out / "grid.png", workspace=space)
    files = [picture]
    for format, suffix in (("markdown", "md"), ("html", "html")):
        file = out / f"grid.{suffix}"
        file.write_text(table(benchmark=[BENCHMARK], format=format, layout="all", workspace=space), encoding="utf-8")
        files.append(file)
    grid = table(benchmark=[BENCHMARK], format="plain", width=width, workspace=space)
    report("report and rank: what the numbers say")
    files.append(write_report(benchmark=BENCHMARK, out=out / "report.html", workspace=space))
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


def embedded_models(space: Workspace) -> list[ModelSpec]:
    """Return the models whose checkpoints come with moodbench, in catalogue order."""
    return [model for model in space.catalog.models.values() if model.name.startswith(f"{BENCHMARK}_")]


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
