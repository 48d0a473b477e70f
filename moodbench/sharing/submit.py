"""Results of a workspace → files of one submitter in a shared folder; everything is checked before any is written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moodbench.atomic import writing
from moodbench.errors import ResultsError
from moodbench.lock import exclusive
from moodbench.release import __version__
from moodbench.results import write_results
from moodbench.results.merge import Source, joined
from moodbench.sharing.agree import Known, difference, new_rows
from moodbench.sharing.card import write_card
from moodbench.sharing.clean import Cleaner
from moodbench.sharing.layout import (
    ABOUT,
    SUBMISSIONS,
    Submission,
    both_files,
    read_submissions,
    rows_fault,
    submission_file,
)
from moodbench.sharing.signature import signatures
from moodbench.sizes import many
from moodbench.types import Report, Result


@dataclass(frozen=True)
class Offer:
    """Results of one model on one benchmark that are to be shared.

    Attributes
    ----------
    rows, provenance
        As `moodbench.results` reads them.
    model : mapping of str to (str or None)
        What the catalogue says of the model: ``title``, ``labels_seen``, ``data``, ``text_supervision``, ``size``.
    titles : mapping of str to str
        Of the benchmark and its datasets, by name.
    """

    rows: Sequence[Result]
    provenance: Mapping[str, Any]
    model: Mapping[str, str | None]
    titles: Mapping[str, str]

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.rows[0].model} on {self.rows[0].benchmark}"


@dataclass(frozen=True)
class Planned:
    """A file that is to be written, and what people are told of it."""

    file: Path
    rows: Sequence[Result]
    provenance: Mapping[str, Any]
    line: str


def submit(
    folder: Path,
    offers: Iterable[Offer],
    submitter: str,
    *,
    cleaner: Cleaner,
    replacing: bool = False,
    dry_run: bool = False,
    report: Report = lambda line: None,
) -> list[Path]:
    """Share results in a folder of this disk, and return the files that changed, those of the card too.

    A damaged file that gives way and has nothing in it that others did not share is removed.

    Parameters
    ----------
    folder : Path
        Is made if need be.
    offers : iterable of Offer
    submitter : str
        Whose files are written; those of others are read alone.
    cleaner : Cleaner
        Takes this machine out of them.
    replacing : bool
        What the submitter shared before of these models and benchmarks gives way, instead of being joined.
    dry_run : bool
        Check and report, and write nothing.
    report : callable
        Is told what is shared.

    Raises
    ------
    ResultsError
        Rows cannot be what they say, or contradict what is there; or the folder cannot be written. Nothing was.
    """
    offers = [_clean(offer, cleaner) for offer in offers]
    with ExitStack() as stack:
        if not dry_run:
            with writing(folder / SUBMISSIONS):
                waits = f"{folder}: another process is writing it: waiting"
                stack.enter_context(exclusive(folder / SUBMISSIONS, waiting=lambda: report(waits), tidy=True))
        there, faults = read_submissions(folder)
        own = {submission_file(folder, o.rows[0].benchmark, o.rows[0].model, submitter): o for o in offers}
        for file, fault in faults.items():
            if file in own and not replacing:
                raise ResultsError(fault.what, file=file, fix="--replace shares it anew")
            if file not in own:
                report(f"{file}: passed over, {fault.what}")
        planned = [one for file, offer in own.items() if (one := _plan(file, offer, there, replacing, report))]
        for one in planned:
            report(f"would share {one.line}" if dry_run else one.line)
        kept = {one.file for one in planned}
        damaged = [file for file in own if file in faults and file not in kept]  # --replace, and nothing of it is new
        for file in damaged:
            report(f"{file}: {'would be removed' if dry_run else 'removed'}, {faults[file].what}")
        if dry_run or not (planned or damaged):
            return []
        for file in damaged:
            with writing(file):
                for part in both_files(file):
                    part.unlink(missing_ok=True)
        for one in planned:
            if one.file in faults:  # damaged, and it gives way
                with writing(one.file):
                    for part in both_files(one.file):
                        part.unlink(missing_ok=True)
            write_results(one.file, one.rows, one.provenance, keep=False)
        card = write_card(folder, read_submissions(folder)[0], report)
    return [*(part for file in (*kept, *damaged) for part in both_files(file)), *card]


def _clean(offer: Offer, cleaner: Cleaner) -> Offer:
    """Return an offer as it may leave this machine; rows that cannot be are refused."""
    fault = rows_fault(offer.rows, offer.provenance)
    if fault is not None:
        raise ResultsError(f"the results of {offer.name} cannot be shared: {fault}", fix="score again")
    rows = [cleaner.row(row) for row in offer.rows]
    titles = {name: cleaner.text(title) for name, title in offer.titles.items()}
    model = {key: None if text is None else cleaner.text(text) for key, text in offer.model.items()}
    return Offer(rows, cleaner.notes(offer.provenance), model, titles)


def _plan(file: Path, offer: Offer, there: Sequence[Submission], replacing: bool, report: Report) -> Planned | None:
    """Return the submission as it is going to be; None if nothing in it is new."""
    before = next((one for one in there if one.file == file), None)
    others = [one for one in there if one.file.parent == file.parent and one.file != file]
    offered, provenance = list(offer.rows), dict(offer.provenance)
    if before is not None and not replacing:
        mine = {row.key: row for row in before.rows}
        offered = [mine[row.key] if _agrees(row, mine.get(row.key)) else row for row in offered]
        try:
            rows, provenance = joined(
                [Source("what was shared before", before.rows, before.provenance), Source("here", offered, provenance)]
            )
        except ResultsError as error:
            raise ResultsError(error.what, file=file, fix="--replace puts these in place of them") from None
        offered = [row for row in rows if row.key not in mine]
    fresh, known = new_rows(offered, provenance, Known(others))
    for submitter, count in known.items():
        report(f"{offer.name}: {many(count, 'row')} there already, from '{submitter}'")
    old = [] if before is None or replacing else list(before.rows)
    if not fresh:
        if not known:
            report(f"{offer.name}: nothing new")
        return None
    rows = [*old, *fresh]
    about = {
        "submitter": file.stem,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "moodbench": __version__,
        "signature": signatures(provenance),
        "model": dict(offer.model),
        "titles": dict(offer.titles),
    }
    line = f"{offer.name}: {many(len(rows), 'row')}, {len(fresh)} of them new"
    return Planned(file, rows, {**provenance, ABOUT: about}, line)


def _agrees(row: Result, mine: Result | None) -> bool:
    """Say whether a row is one that was shared before, but for the last digits."""
    if mine is None or difference(row, mine) is not None:
        return False
    numbers = {name: getattr(mine, name) for name in vars(row) if isinstance(getattr(mine, name), float)}
    return replace(row, **{name: value for name, value in numbers.items() if getattr(row, name) is not None}) == mine
