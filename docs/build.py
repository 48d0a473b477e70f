"""Writes docs/cli.md, docs/datasets.md and docs/scores.md from the commands' own help, the catalogue and the registry.

Run by `make docs`. A test fails while the files differ from what this program would write.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodbench.catalog import BenchmarkSpec, Catalog, DatasetSpec

HERE = Path(__file__).parent
WIDTH = "100"

COMMANDS = (
    (),
    ("demo",),
    ("list",),
    ("list", "models"),
    ("list", "datasets"),
    ("list", "benchmarks"),
    ("list", "scores"),
    ("download",),
    ("verify",),
    ("extract",),
    ("import",),
    ("cache",),
    ("cache", "list"),
    ("cache", "verify"),
    ("cache", "remove"),
    ("score",),
    ("table",),
    ("plot",),
)

SCORES_INTRO = """# Scores

The {} registered scores, made from their docstrings by `make docs`; do not edit.

Higher means more in-distribution, always. `needs` is what must be there besides features: cached logits, the linear
head, labels of the ID train rows. Parameters show their defaults; change one with
`moodbench score --param score.name=value`.
"""


DATASETS_INTRO = """# Datasets and benchmarks

Made from `datasets.yaml` by `make docs`; do not edit.

{} datasets and {} benchmarks. `moodbench list datasets` shows what is on this disk, `moodbench download NAME` fetches
what a program may fetch and says step by step what a person has to do for the rest, and `moodbench verify NAME` looks
whether all is there. A dataset of your own is one entry in a file of your own: see [extending.md](extending.md).

Where a size or digest is `unknown`, nobody has published it; what was downloaded is then compared with the list of
its images or their number, and its SHA-256 is noted. The addresses are those that publishers and public code name; not
every one was tried.

## All datasets

"digests" says what can be compared with a published digest: the archives, the list of images, or neither.
"""


def cli_page() -> str:
    """Return the help of every command as one page."""
    from typer.testing import CliRunner

    from moodbench.cli import app

    parts = ["# Commands\n\nMade from `moodbench COMMAND --help` by `make docs`; do not edit.\n"]
    for command in COMMANDS:
        text = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH}).stdout
        # the name of the program differs between a script and a test
        text = text.replace("Usage: root", "Usage: moodbench")
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## `{' '.join(('moodbench', *command))}`\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def scores_page() -> str:
    """Return what every score is, assumes and takes, family by family."""
    from moodbench.inventory import list_scores
    from moodbench.scores.base import SCORES
    from moodbench.types import FAMILIES

    records = [r for r in list_scores() if SCORES.get(r["name"]).__module__.startswith("moodbench.")]
    parts = [SCORES_INTRO.format(len(records))]
    for family in FAMILIES:
        parts.append(f"## Family: {family}\n")
        for record in (r for r in records if r["family"] == family):
            params = ", ".join(f"`{k}={v}`" for k, v in record["params"].items()) or "none"
            needs = ", ".join(record["needs"]) or "nothing else"
            text = inspect.getdoc(SCORES.get(record["name"])) or ""
            head = f"### `{record['name']}`: {record['title']}\n\nneeds: {needs} · parameters: {params}\n"
            parts.append(f"{head}\n```text\n{text}\n```\n")
    return "\n".join(parts)


def datasets_page() -> str:
    """Return what is known of every dataset, and what every benchmark is made of."""
    from moodbench.catalog import load_catalog

    catalog = load_catalog()
    head = ("dataset", "title", "role", "images", "source", "digests", "licence")
    parts = [
        DATASETS_INTRO.format(len(catalog.datasets), len(catalog.benchmarks)),
        _row(head),
        _row(["---"] * len(head)),
    ]
    for spec in catalog.datasets.values():
        images = "?" if spec.images is None else f"{spec.images:,}"
        cells = (f"`{spec.name}`", spec.title, spec.role, images, spec.source, _digests(spec), spec.licence)
        parts.append(_row(cells))
    parts.append("\n## One by one\n")
    alike: dict[str, list[str]] = {}
    for spec in catalog.datasets.values():
        alike.setdefault(_about(spec), []).append(spec.name)
    for text, names in alike.items():
        title = ", ".join(f"`{name}`" for name in names)
        if len(names) > 4:
            title, text = f"`{names[0]}` and {len(names) - 1} alike", f"{title}:\n\n{text}"
        parts.append(f"### {title}\n\n{text}")
    parts.append("## Benchmarks\n")
    parts += [_benchmark(spec, catalog) for spec in catalog.benchmarks.values()]
    return "\n".join(parts)


def _row(cells: Iterable[str | None]) -> str:
    return "| " + " | ".join((cell or "").replace("|", "\\|") for cell in cells) + " |"


def _digests(spec: DatasetSpec) -> str:
    """Say of what the publishers have told a digest."""
    said = []
    if spec.archives:
        known = sum(archive.md5 is not None or archive.sha256 is not None for archive in spec.archives)
        said.append({len(spec.archives): "archives", 0: "archives unknown"}.get(known, "archives in part"))
    if spec.per_image is not None:
        said.append("images unknown")
    if spec.image_list is not None:
        known = bool(spec.image_list.sha256 or spec.image_list.git_blob)
        said.append("list" if known else "list unknown")
    return ", ".join(said) or "-"


def _about(spec: DatasetSpec) -> str:
    """Return all that the catalogue says of a dataset besides what is in the table."""
    facts = [spec.paper, f"<{spec.homepage}>" if spec.homepage else None, f"licence: {spec.licence}"]
    lines = [". ".join(filter(None, facts)) + ".", ""]
    for archive in spec.archives:
        size = "size unknown" if archive.bytes is None else f"{archive.bytes:,} bytes"
        digests = f"md5 `{archive.md5 or 'unknown'}`, sha256 `{archive.sha256 or 'unknown'}`"
        lines.append(f"- archive `{archive.file}`: {size}, {digests}" + "".join(f", <{url}>" for url in archive.urls))
    if spec.per_image is not None:
        lines.append(f"- image by image: `{spec.per_image}`")
    if spec.image_list is not None:
        listed = spec.image_list
        digest = f"git blob `{listed.git_blob}`" if listed.git_blob else f"sha256 `{listed.sha256 or 'unknown'}`"
        lines.append(
            f"- list: {f'{listed.lines:,}' if listed.lines else 'unknown number of'} lines, {digest}, <{listed.url}>"
        )
    lines += [f"- step {i}: {' '.join(step.split())}" for i, step in enumerate(spec.steps, start=1)]
    lines += [f"- known problem: {' '.join(problem.split())}" for problem in spec.problems]
    return "\n".join(lines).rstrip() + "\n"


def _benchmark(spec: BenchmarkSpec, catalog: Catalog) -> str:
    roles = {
        "ID train": (spec.id_train,),
        "ID validation": (spec.id_val,) if spec.id_val else (),
        "ID test": spec.id_test,
    }
    roles |= {f"OOD, {group}": names for group, names in spec.ood.items()}
    lines = [f"### `{spec.name}`: {spec.title}\n"]
    for role, names in roles.items():
        if names:
            sized = (f"`{name}`" + _sized(catalog.dataset(name).images) for name in names)
            lines.append(f"- {role}: {', '.join(sized)}")
    if spec.each:
        lines.append(f"- each in turn is the only ID class: {', '.join(spec.each)}; the other rows of ID test are OOD")
    lines += [
        f"- {word}: {' '.join(text.split())}" for word, text in (("paper", spec.paper), ("note", spec.note)) if text
    ]
    return "\n".join(lines) + "\n"


def _sized(images: int | None) -> str:
    return "" if images is None else f" ({images:,})"


PAGES = {"cli.md": cli_page, "datasets.md": datasets_page, "scores.md": scores_page}


if __name__ == "__main__":
    os.environ["COLUMNS"] = WIDTH
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
