"""The result files of a workspace: found, read, and changed by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodbench.atomic import sweep, writing
from moodbench.errors import ResultsError
from moodbench.lock import exclusive
from moodbench.results.notes import format_notes
from moodbench.results.pair import Pair, provenance_file, read_pair, settle, write_pair
from moodbench.results.table import ANEW, format_rows, parse_rows
from moodbench.types import ALL_GROUPS, MEAN, Result


def read_results(file: Path) -> list[Result]:
    """Return the rows of one result file, in the order of the file.

    Raises
    ------
    ResultsError
        The file is missing or not a result file, is not the one that its provenance describes, a value cannot be what
        its column holds, or a key occurs twice.
    """
    pair = _read(file)
    if pair.table is None:
        beside = provenance_file(file).name
        raise ResultsError(f"the results that {beside} describes are gone", file=file, fix=ANEW)
    return parse_rows(pair.table, file)


def check_results(file: Path, benchmark: str, model: str) -> None:
    """Raise a `ResultsError` if there are results that cannot be read, or of others, and hence not be added to."""
    pair = read_pair(file)
    if pair is not None and pair.table is not None:
        _refuse_foreign(file, parse_rows(pair.table, file), {(benchmark, model)})


def _refuse_foreign(file: Path, rows: Iterable[Result], owners: Set[tuple[str, str]]) -> None:
    foreign = sorted({(row.benchmark, row.model) for row in rows} - owners)
    if foreign:
        raise ResultsError(
            f"the file holds results of '{foreign[0][1]}' on '{foreign[0][0]}'",
            file=file,
            fix="move it, with its .json, to where it belongs",
        )


def read_provenance(file: Path) -> dict[str, Any]:
    """Return the provenance of the result file `file` (the ``.csv``).

    Raises
    ------
    ResultsError
        It is missing, cannot be read, or does not belong to the numbers.
    """
    return _read(file).notes.provenance


def read_all(results_dir: Path, benchmark: str) -> list[Result]:
    """Return the rows of every model of a benchmark, file by file in the order of their names; none is no error.

    Raises
    ------
    ResultsError
        A file cannot be read, or holds rows of another benchmark (numbers of two benchmarks must never share a table)
        or of two models, or a model has two files.
    """
    rows: list[Result] = []
    places: dict[str, Path] = {}
    for file in result_files(results_dir / benchmark):
        found = read_results(file)
        foreign = sorted({row.benchmark for row in found} - {benchmark})
        if foreign:
            raise ResultsError(
                f"the folder of the benchmark '{benchmark}' holds results of '{foreign[0]}'",
                file=file,
                fix=f"move it and its .json to {results_dir / foreign[0] / file.name}, or delete them",
            )
        models = dict.fromkeys(row.model for row in found)
        if len(models) > 1:
            raise ResultsError(f"one file holds results of several models: {', '.join(models)}", file=file, fix=ANEW)
        for model in models:
            if model in places:
                raise ResultsError(
                    f"the model '{model}' has two result files; the other is {places[model].name}",
                    file=file,
                    fix="move the one that does not belong here away, with its .json",
                )
            places[model] = file
        rows += found
    return rows


def unverified(results_dir: Path, benchmark: str) -> list[Path]:
    """Return the result files that were written before there were digests: nobody can say whether they changed."""
    files = result_files(results_dir / benchmark)
    return [file for file in files if (pair := read_pair(file)) is not None and pair.notes.rows is None]


def result_files(folder: Path) -> list[Path]:
    """Return the result files (``.csv``) of a folder, those included whose writer was killed just before the end."""
    files = {file for file in folder.glob("*.csv") if not file.name.startswith(".")}
    for notes in folder.glob("*.json"):
        file = notes.with_name(f"{notes.name.removesuffix('.json')}.csv")
        if not notes.name.startswith(".") and file not in files and _describes_rows(notes):
            files.add(file)
    return sorted(files)


def check_results_dir(results_dir: Path) -> None:
    """Raise a `ResultsError` if a file stands where results lie in a folder; it need not be there yet."""
    if results_dir.exists() and not results_dir.is_dir():
        fix = "name a folder, in which every benchmark has a folder of its own"
        raise ResultsError("results lie in a folder, but this is a file", file=results_dir, fix=fix)


def benchmarks_with_results(results_dir: Path) -> list[str]:
    """Return the names of the benchmarks that have a result file, sorted; a file as folder is a `ResultsError`."""
    check_results_dir(results_dir)
    if not results_dir.is_dir():
        return []
    return sorted(folder.name for folder in results_dir.iterdir() if result_files(folder))


@dataclass(frozen=True)
class Change:
    """The right to change one result file, and what is there.

    Attributes
    ----------
    file : Path
        The ``.csv``.
    rows : list of Result
    provenance : dict or None
        None where there are no results yet, or the CSV is gone.
    """

    file: Path
    rows: list[Result]
    provenance: dict[str, Any] | None

    def write(self, rows: Sequence[Result], provenance: Mapping[str, object], *, keep: bool = True) -> None:
        """Write rows and their provenance at one moment; equal inputs give equal bytes.

        A row replaces the one with its key. A group mean that is not written again goes when one of its datasets is
        replaced: it would average numbers that are no longer there.

        Parameters
        ----------
        rows : sequence of Result
        provenance : mapping
            What JSON can hold. It replaces the former one, so it must hold for the kept rows too.
        keep : bool
            Keep the rows that are there and have another key; False drops them.

        Raises
        ------
        ResultsError
            The rows that are there are of another model or benchmark, or the file system refuses: then what was there
            before stays.
        """
        new = {row.key: row for row in rows}
        if len(new) < len(rows):
            raise ValueError(f"the rows for {self.file} repeat a key")
        kept = _kept(self.rows, rows) if keep else []
        if rows:  # also where none is kept: what somebody put here by mistake is not ours to drop
            _refuse_foreign(self.file, self.rows, {(row.benchmark, row.model) for row in rows})
        table = format_rows(({row.key: row for row in kept} | new).values()).encode()
        with writing(self.file):
            write_pair(self.file, table, format_notes(provenance, table))


@contextmanager
def changing(file: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[Change]:
    """Hold the right to change the result file `file` (and what lies beside it) for the duration of the block.

    What a killed writer left half done is finished or removed first. Somebody else who holds the right is waited for,
    after a call of `waiting`.

    Raises
    ------
    ResultsError
        What is there cannot be read, or the folder cannot be written. Nothing was changed.
    """
    with ExitStack() as stack:
        with writing(file):
            stack.enter_context(exclusive(file, waiting=waiting, tidy=True))
        pair = read_pair(file)
        rows = [] if pair is None or pair.table is None else parse_rows(pair.table, file)
        with writing(file):
            settle(file, pair)
        for one in (file, provenance_file(file), row_scores_file(file)):
            sweep(one)
        yield Change(file, rows, None if pair is None or pair.table is None else pair.notes.provenance)


def write_results(file: Path, rows: Sequence[Result], provenance: Mapping[str, object], *, keep: bool = True) -> None:
    """Write rows and their provenance; see `changing` and `Change.write`."""
    with changing(file) as change:
        change.write(rows, provenance, keep=keep)


def row_scores_file(file: Path) -> Path:
    """Return where the scores of every row lie, for the result file `file` (the ``.csv``)."""
    return file.with_name(f"{file.name.removesuffix('.csv')}.scores.h5")


def _read(file: Path) -> Pair:
    pair = read_pair(file)
    if pair is None:
        raise ResultsError("there is no such result file", file=file, fix="run 'moodbench score' first")
    return pair


def _kept(there: Iterable[Result], rows: Iterable[Result]) -> list[Result]:
    datasets = [row for row in rows if row.ood != MEAN]
    stale = {(row.score, row.params, MEAN, group) for row in datasets for group in (row.group, ALL_GROUPS)}
    return [row for row in there if row.key not in stale]


def _describes_rows(notes: Path) -> bool:
    try:
        return b'"sha256"' in notes.read_bytes()
    except OSError:
        return False
