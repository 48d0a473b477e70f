"""What a person has to do where a program may not: in words, with exact names, sizes and digests."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from moodbench.catalog import ArchiveSpec, DatasetSpec
from moodbench.obtain.archives import expected
from moodbench.obtain.jobs import Job
from moodbench.sizes import human_bytes

_WIDTH = 110


def instructions(job: Job, data_dir: Path) -> str:
    """Return the numbered steps to the images of a dataset."""
    steps = [" ".join(step.split()) for step in _steps(job)]
    files = job.whole.archives
    name = job.whole.name if files else job.wanted[0].name
    if files:
        steps.append(f"Now one folder should hold {_named(files)}:")
        steps.append(f"Run: moodbench download {name} --from FOLDER")
    else:
        steps.append(f"Run: moodbench download {name} --from FOLDER, with the folder that holds the images")
    lines = [f"{job.name}: {job.whole.title}"]
    for number, step in enumerate(steps, start=1):
        indent = " " * (len(str(number)) + 4)
        lines.append(
            textwrap.fill(
                step,
                _WIDTH,
                initial_indent=f"  {number}. ",
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
        if files and number == len(steps) - 1:
            lines += [indent + line for archive in files for line in _described(archive)]
    folder = job.folder(data_dir)
    if folder is not None and not files:
        lines.append(f"  (or put the images there yourself: {folder})")
    return "\n".join(lines) + "\n"


def _named(files: Sequence[ArchiveSpec]) -> str:
    these = "this file" if len(files) == 1 else "these files"
    if all(expected(archive).known for archive in files):
        return f"{these} (under other names too: digests tell)"
    return f"{these} under {'this name' if len(files) == 1 else 'these names'}"


def _steps(job: Job) -> tuple[str, ...]:
    """The steps of the whole, then those of its parts that it does not have."""
    steps: dict[str, None] = dict.fromkeys(job.whole.steps)
    for spec in job.wanted:
        steps.update(dict.fromkeys(spec.steps))
    return tuple(steps) or _homepage(job.whole)


def _homepage(spec: DatasetSpec) -> tuple[str, ...]:
    return () if spec.homepage is None else (f"See {spec.homepage}.",)


def _described(archive: ArchiveSpec) -> list[str]:
    size = "size unknown" if archive.bytes is None else f"{archive.bytes:,} bytes ({human_bytes(archive.bytes)})"
    digests = [f"{kind} {value}" for kind in ("md5", "sha256") if (value := getattr(archive, kind)) is not None]
    return [f"{archive.file}   {size}", *(f"    {line}" for line in digests or ["no digest is published"])]
