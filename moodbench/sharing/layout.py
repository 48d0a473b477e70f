"""The layout of a shared folder: ``submissions/<benchmark>/<model>/<submitter>.csv`` and ``.json``.

A submitter writes own files alone, so that two people who share at once never change the same one. Each pair of files
is what results are everywhere (`moodbench.results`), with one object more in the JSON file: ``submission``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodbench.errors import ResultsError, UsageError
from moodbench.names import check_name, name_fault, title_fault
from moodbench.results import provenance_file, read_provenance, read_results, result_files
from moodbench.sharing.shape import shape_fault
from moodbench.sharing.signature import signatures
from moodbench.types import ALL_GROUPS, MEAN, Result
from moodbench.workspace import ModelName

HUB = "hf:"
"""Begins the name of a dataset repository of the Hugging Face hub, which holds the same folder."""

SUBMISSIONS = "submissions"
"""The folder below the shared one that holds them."""

_SUBMITTER = re.compile(r"\w[\w.-]{0,63}")
"""A name becomes that of a file, in git, at the hub and on other people's disks."""

ABOUT = "submission"
"""Key of the JSON file that says who shared the rows, when, and what they were made from, in two digests."""

ROUNDING = 1e-6
"""Fractions that differ by less are equal: results have ten digits, and sums of floats another order elsewhere."""


@dataclass(frozen=True, eq=False)
class Submission:
    """What somebody shared of one model on one benchmark.

    Attributes
    ----------
    file : Path
        The ``.csv``.
    benchmark, model, submitter : str
    rows : sequence of Result
    provenance : mapping
        Without `ABOUT`.
    about : mapping
        What stands under `ABOUT`: ``submitter``, ``time``, ``moodbench``, ``signature``, ``model``, ``titles``.
    """

    file: Path
    benchmark: str
    model: str
    submitter: str
    rows: Sequence[Result]
    provenance: Mapping[str, Any]
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the submission of '{self.submitter}'"


def submission_file(folder: Path, benchmark: str, model: str, submitter: str) -> Path:
    """Return where a submission lies (the ``.csv``)."""
    names = (check_name(benchmark, "benchmark"), ModelName.parse(model).file, check_submitter(submitter))
    return folder.joinpath(SUBMISSIONS, *names[:2], f"{names[2]}.csv")


def check_submitter(name: str) -> str:
    """Return `name` if it can name who shares results, else raise `UsageError`."""
    if not _SUBMITTER.fullmatch(name):
        fix = "use up to 64 letters, digits, '_', '-' and '.', the first a letter or digit"
        raise UsageError(f"'{name}' cannot name a submitter", fix=fix)
    return name


def submission_files(folder: Path) -> list[Path]:
    """Return the files (``.csv``) of all submissions of a shared folder, sorted; unread."""
    models = sorted(one for one in (folder / SUBMISSIONS).glob("*/*") if one.is_dir() and not one.name.startswith("."))
    return [file for one in models for file in result_files(one)]


def read_submissions(folder: Path) -> tuple[list[Submission], dict[Path, ResultsError]]:
    """Return the submissions of a shared folder, and those files that cannot be used, each with why."""
    found: list[Submission] = []
    faults: dict[Path, ResultsError] = {}
    for file in submission_files(folder):
        try:
            found.append(read_submission(file))
        except ResultsError as error:
            faults[file] = error
    return found, faults


def read_submission(file: Path) -> Submission:
    """Return one submission, every row and digest of which was checked.

    Raises
    ------
    ResultsError
        It cannot be read, was changed, holds what its path does not say, or rows that cannot be.
    """
    rows, noted = read_results(file), read_provenance(file)
    benchmark, model, submitter = file.parent.parent.name, file.parent.name, file.stem
    provenance = {key: value for key, value in noted.items() if key != ABOUT}
    about: Any = noted.get(ABOUT)
    fault = shape_fault(provenance) or _about_fault(about, submitter) or _names_fault(rows, benchmark, model)
    if fault is None and about["signature"] != signatures(provenance):
        fault = "the signature is not that of the inputs that it notes"
    fault = fault or rows_fault(rows, provenance)
    if fault is not None:
        raise ResultsError(f"this is no submission: {fault}", file=file, fix="ask who shared it to share it again")
    return Submission(file, benchmark, rows[0].model, submitter, rows, provenance, about)


def _about_fault(about: Any, submitter: str) -> str | None:
    """Say why the object `ABOUT` is not what it should be; texts of it are shown to people later on."""
    if not isinstance(about, dict):
        return f"nothing says who shared it ('{ABOUT}' in its .json)"
    if about.get("submitter") != submitter or not _SUBMITTER.fullmatch(submitter):
        return f"it is called '{submitter}', and says that '{about.get('submitter')}' shared it"
    for key in ("time", "moodbench"):
        if not isinstance(about.get(key), str):
            return f"its '{ABOUT}' lacks '{key}'"
    for key in ("signature", "model", "titles"):
        said = about.get(key)
        if not isinstance(said, dict) or not all(isinstance(one, str | None) for one in said.values()):
            return f"its '{ABOUT}' lacks '{key}'"
    return None


def _names_fault(rows: Sequence[Result], benchmark: str, model: str) -> str | None:
    if not rows:
        return "it holds no rows"
    for row in rows:
        try:
            stem = ModelName.parse(row.model).file
        except UsageError as error:
            return error.what
        if (row.benchmark, stem) != (benchmark, model) or row.model != rows[0].model:
            return f"it holds rows of '{row.model}' on '{row.benchmark}'"
        if row.pretext != rows[0].pretext:
            return f"it says of one model that its pretext task is '{rows[0].pretext}' and '{row.pretext}'"
        if name_fault(row.benchmark) is not None or title_fault(row.ood) is not None:
            return "a name in it cannot be one"
    return None


def rows_fault(rows: Iterable[Result], provenance: Mapping[str, Any]) -> str | None:
    """Say why these rows cannot be what they say; None if they can.

    An AUROC lies within its interval, a row is of an OOD dataset (or class) of the benchmark as its provenance defines
    it, and a mean is the mean over the rows of its datasets, where they are there.
    """
    rows = list(rows)
    there = {row.key: row for row in rows}
    fault = shape_fault(provenance)
    if fault is not None:
        return fault
    roles = provenance["inputs"]["benchmark"]
    each = roles.get("classes") if isinstance(roles.get("classes"), dict) else None
    for row in rows:
        name = f"{row.score} {row.params}".strip()
        low, high = row.auroc_low, row.auroc_high
        known = row.auroc is not None and low is not None and high is not None
        if known and not low - ROUNDING <= row.auroc <= high + ROUNDING:  # type: ignore[operator]
            return f"the AUROC of {name} on {row.ood} lies outside its interval"
        members = {row.group: list(each)} if each else roles["ood"]
        if row.ood != MEAN:
            if row.ood not in members.get(row.group, ()):
                return f"{row.ood} ({row.group}) is no OOD dataset of the benchmark as its .json defines it"
            continue
        groups = list(members) if row.group == ALL_GROUPS else [row.group]
        parts = [there.get((row.score, row.params, one, group)) for group in groups for one in members.get(group, ())]
        once = len({part.ood for part in parts if part is not None}) == len(parts)  # else it may weigh them otherwise
        for metric in ("auroc", "fpr95"):
            values = [None if part is None else getattr(part, metric) for part in parts]
            mean = getattr(row, metric)
            if mean is None or not once or not values or any(value is None for value in values):
                continue
            if abs(sum(values) / len(values) - mean) > ROUNDING:  # type: ignore[arg-type]
                return f"the mean {metric.upper()} of {name} over {row.group} is not the mean of its rows"
    return None


def both_files(file: Path) -> tuple[Path, Path]:
    """Return the two files of a submission."""
    return file, provenance_file(file)
