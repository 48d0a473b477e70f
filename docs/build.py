"""Writes docs/cli.md, datasets.md, models.md and scores.md from the commands' own help, the catalogue, the registry.

Run by `make docs`. A test fails while the files differ from what this program would write.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from moodbench.catalog import BenchmarkSpec, Catalog, DatasetSpec, ModelSpec

HERE = Path(__file__).parent
WIDTH = "100"

SCORES_INTRO = """# Scores

The {} registered scores, made from their docstrings by `make docs`; do not edit.

Higher means more in-distribution, always. `needs` is what must be there besides features: cached logits, the linear
head, labels of the ID train rows. Parameters show their defaults; change one with
`moodbench score --param score.name=value`, run several with `--param score.name=value,value`, or let `--tune` choose
among those that a score is tuned over ([parameters.md](parameters.md)).
"""


SCORES_LEFT_OUT = """## Looked for and left out

A score is here when its paper or its authors' program says all of it. These were looked for, and `moodbench
import-scores` takes the numbers of whoever has them:

- **CORE** (arXiv 2603.18290): the energy plus a cosine to class means in what the head does not see, both normalised.
  Neither the formula nor the authors' program (a pull request to OpenOOD) could be read: which directions count as the
  head's, what the means are of and what normalises the two stayed open.
- **GradOrth** (NeurIPS 2023, arXiv 2308.00310): the norm of a gradient in the principal directions of ID train. No
  program of the authors was found, and two by others differ in the loss, in what the gradient is with respect to, and
  in how many directions are kept.
- **Weighted energy** (VOS, ICLR 2022): `log sum_k relu(w_k) exp(l_k)` with weights that are trained together with the
  network; a head does not have them.
- **`adv`, `agr`, `ret`, `priv`** of Carlini et al. (arXiv 1910.13427): of the five orderings `conf` alone is had from
  one network (`msp`). `adv` attacks every image, `agr` needs several networks trained alike, `ret` and `priv` train
  anew.
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


def commands() -> list[tuple[str, ...]]:
    """Return every command as the program knows it, by its words: groups before what is in them."""
    from typer.main import get_command

    from moodbench.cli import app

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        inside = getattr(command, "commands", {})
        for name in command.list_commands(None) if inside else ():  # in the order of use
            yield from walk(inside[name], (*words, name))

    return list(walk(get_command(app), ()))


def cli_page() -> str:
    """Return the help of every command as one page."""
    from typer.testing import CliRunner

    from moodbench.cli import app

    parts = ["# Commands\n\nMade from `moodbench COMMAND --help` by `make docs`; do not edit.\n"]
    for command in commands():
        text = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH}).stdout
        # the name of the program differs between a script and a test
        text = text.replace("Usage: root", "Usage: moodbench")
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## `{' '.join(('moodbench', *command))}`\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def scores_page() -> str:
    """Return what every score is, assumes and takes, family by family."""
    from moodbench.commands.list_ import list_scores
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
            sweep = SCORES.get(record["name"]).sweep
            tuned = "".join(f" · tuned over `{key}`: {', '.join(map(str, some))}" for key, some in sweep.items())
            head = f"### `{record['name']}`: {record['title']}\n\nneeds: {needs} · parameters: {params}{tuned}\n"
            parts.append(f"{head}\n```text\n{text}\n```\n")
    return "\n".join([*parts, SCORES_LEFT_OUT])


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
    roles |= {f"OOD, {group}": names for group, names in spec.ood.items()} | {"OOD validation": spec.ood_val}
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


MODELS_INTRO = """# Models

The {} models that moodbench knows by name, made from `moodbench/models.yaml` by `make docs`; do not edit. Any other
timm model works as `timm:NAME`, any of open_clip as `clip:ARCH/TAG` ([text.md](text.md)), those of transformers, of
torchvision, of your own code and exports by name too ([any_model.md](any_model.md)), and a catalogue of your own adds
more ([extending.md](extending.md)).

`MODEL@VARIANT` is the same model with other settings: `moodv2` prepares pictures as the MOODv2 reference does, `fair`
uses the model's own transform and, where there is one, a checkpoint that saw ImageNet-1k alone.
`moodbench list models --fair` groups models by what they have seen.

What the columns mean: *labels* are those met in training besides the head's; *text*: pairs of pictures and text had a
part in it, as data, teacher or tokenizer; *tuning*: how the classifier was trained (a model without one gets one from
`moodbench probe`); *px*: side of the pictures, where entry or architecture name it; *M*: millions of parameters;
*top-1*: ImageNet-1k accuracy in percent as its publisher measured it.

None of the weights that have to be downloaded could be tried where this was written: loading them is tested with files
of the same form, and what does not fit is refused.
"""

MODELS_HEAD = (
    "| name | method | weights | data | labels | text | tuning | px | M | top-1 | licence | paper |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def models_page() -> str:
    """Return what the catalogue says of every model and variant, pretext task by pretext task."""
    from moodbench.catalog import PRETEXT_TASKS, load_catalog

    specs = list(load_catalog().models.values())
    parts = [MODELS_INTRO.format(len(specs))]
    for task in PRETEXT_TASKS:
        chosen = [spec for spec in specs if spec.pretext == task]
        rows = [row for spec in chosen for row in _model_rows(spec)]
        notes = [line for spec in chosen for line in _model_notes(spec)]
        parts += [f"## Pretext task: {task}\n", "\n".join([MODELS_HEAD, *rows]) + "\n"] if rows else []
        parts += ["\n".join(notes) + "\n"] if notes else []
    return "\n".join(parts)


def _model_rows(spec: ModelSpec) -> Iterator[str]:
    from moodbench.catalog import pixels_of

    for variant, one in {"": spec, **spec.variants}.items():
        cells = (
            f"`{spec.name}@{variant}`" if variant else f"`{spec.name}`",
            one.method,
            _weights(one),
            one.data,
            f"{one.labels_seen} (its head's)" if one.head_labels else one.labels_seen,
            "yes" if one.text_supervision else "no",
            one.tuning,
            pixels_of(one),
            None if one.params is None else f"{one.params:.1f}",
            None if one.top1 is None else f"{one.top1:.2f}",
            one.licence,
            one.paper,
        )
        yield "| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |"


def _weights(spec: ModelSpec) -> str:
    """Say where weights and head come from, and what is done to pictures if it is not the publisher's."""
    if spec.checkpoint is not None:
        source = f"comes with moodbench, `{spec.architecture}`"
    elif spec.url is not None:
        source = f"[{urlsplit(spec.url).netloc}]({spec.url}), `{spec.architecture}`"
    elif spec.by_hand is not None:
        source = f"by hand (`moodbench show model {spec.name}`), `{spec.architecture}`"
    else:
        source = f"{'timm' if spec.clip is None else 'open_clip'}, `{spec.architecture}`"
    head = "" if spec.head.url is None else f"; [head]({spec.head.url}) on `{spec.features}`"
    return f"{source}{head}{'; transform `moodv2`' if spec.transform == 'moodv2' else ''}"


def _model_notes(spec: ModelSpec) -> Iterator[str]:
    said = {"": spec.note, **{v: one.note for v, one in spec.variants.items() if one.note != spec.note}}
    for variant, note in said.items():
        if note:
            yield f"- `{spec.name}{'@' if variant else ''}{variant}`: {note}"
    if spec.reference_note:
        yield f"- `{spec.name}` in the MOODv2 reference: {spec.reference_note}"


def detectors_stub() -> str:
    """Return the types of the classes that `moodbench.detectors` makes."""
    from moodbench.detectors.made import stub

    return stub()


PAGES = {
    "cli.md": cli_page,
    "datasets.md": datasets_page,
    "models.md": models_page,
    "scores.md": scores_page,
    "../moodbench/detectors/__init__.pyi": detectors_stub,
}


if __name__ == "__main__":
    os.environ["COLUMNS"] = WIDTH
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
