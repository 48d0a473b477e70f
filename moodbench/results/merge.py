"""The results of one model on one benchmark from several runs, joined; what contradicts itself is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodbench.errors import ResultsError
from moodbench.results.made import made_with_of, row_name
from moodbench.results.table import FIELDS
from moodbench.types import MEAN, Result

FIRST = ("moodbench", "versions", "metrics", "intervals")
"""What a version of moodbench says about all its results; `made_with` says which rows are of which version."""

PULLED = "pulled"
"""Key of a provenance all of whose rows are other people's, by submitter: caches of this machine are not theirs."""

MOST_NAMED = 3


@dataclass(frozen=True)
class Source:
    """Results of one model on one benchmark, and where they are from, for messages."""

    name: str
    rows: Sequence[Result]
    provenance: Mapping[str, Any]


def joined(sources: Sequence[Source]) -> tuple[list[Result], dict[str, Any]]:
    """Return all rows, each once, and a provenance that holds for all of them; that of one source is its own.

    Raises
    ------
    ResultsError
        They were made from other caches, heads or definitions of the benchmark, or two rows of one key differ.
    """
    first, *others = sources
    rows = {row.key: row for row in first.rows}
    provenance = dict(first.provenance)
    if not others:
        return list(rows.values()), provenance
    owners = {row.key: first.name for row in first.rows}
    for other in others:
        _refuse_other_inputs(provenance, first.name, other)
        apart = [(rows[row.key], row) for row in other.rows if row.key in rows and rows[row.key] != row]
        if apart:
            raise _contradiction(apart, owners, other)
        _refuse_other_pretext([*rows.values()], owners, other)
        owners |= {row.key: other.name for row in other.rows if row.key not in rows}
        rows |= {row.key: row for row in other.rows}
        provenance = _joined(provenance, other.provenance, other.name)
    return list(rows.values()), {**provenance, "made_with": _made_with(sources)}


def _refuse_other_inputs(noted: Mapping[str, Any], name: str, other: Source) -> None:
    mine, theirs = noted.get("inputs", {}), other.provenance.get("inputs", {})
    what = ""
    if mine.get("benchmark") != theirs.get("benchmark"):
        what = "of another definition of the benchmark"
    elif mine.get("head") != theirs.get("head"):
        what = "with another head"
    else:
        old, new = mine.get("contents", {}), theirs.get("contents", {})
        apart = sorted(one for one in old.keys() & new.keys() if old[one] != new[one])
        if apart:
            more = f" and {len(apart) - MOST_NAMED} more" if len(apart) > MOST_NAMED else ""
            what = f"from other caches of {', '.join(apart[:MOST_NAMED])}{more}"
    if what:
        raise ResultsError(
            f"the results of {_of(other)} in {name} and in {other.name} cannot be joined: they were made {what}",
            fix=f"moodbench results diff {name} {other.name} says which inputs differ; leave one of them out",
        )


def _refuse_other_pretext(rows: Sequence[Result], owners: Mapping[Any, str], other: Source) -> None:
    for row in other.rows:
        if rows and row.pretext != rows[0].pretext:
            raise ResultsError(
                f"the pretext task of '{row.model}' is '{rows[0].pretext}' in {owners[rows[0].key]} and "
                f"'{row.pretext}' in {other.name}",
                fix="score one of them again with the same catalogue",
            )


def _contradiction(apart: Sequence[tuple[Result, Result]], owners: Mapping[Any, str], other: Source) -> ResultsError:
    lines = []
    for mine, theirs in apart[:MOST_NAMED]:
        name = next(name for name in FIELDS if getattr(mine, name) != getattr(theirs, name))
        values = f"{getattr(mine, name)!r} in {owners[mine.key]}, {getattr(theirs, name)!r} in {other.name}"
        ood = mine.ood if mine.ood != MEAN else f"{MEAN} ({mine.group})"
        lines.append(f"{row_name(mine)} on {ood}: {name} {values}")
    more = f"\nand {len(apart) - MOST_NAMED} more" if len(apart) > MOST_NAMED else ""
    many = f"{len(apart)} rows of {_of(other)} contradict each other"
    what = f"1 row of {_of(other)} contradicts itself" if len(apart) == 1 else many
    return ResultsError(
        f"{what}:\n  " + "\n  ".join(lines) + more,
        fix="leave out the folder that is wrong, or score again there",
    )


def _joined(mine: Mapping[str, Any], theirs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what both provenances say; a thing of which they say different things is refused."""
    found = dict(mine)
    if (PULLED in mine) != (PULLED in theirs):  # some rows are of this machine
        found.pop(PULLED, None)
        theirs = {key: value for key, value in theirs.items() if key != PULLED}
    for key, value in theirs.items():
        if key in FIRST or key == "made_with" or key not in found:
            found.setdefault(key, value)
        elif key == "datasets":  # of equal contents: how else they were extracted, the first one says
            found[key] = {**value, **found[key]}
        elif key == "inputs":
            contents = {**found[key].get("contents", {}), **value.get("contents", {})}
            found[key] = {**value, **found[key], "contents": contents}
        elif isinstance(value, dict) and isinstance(found[key], dict):
            apart = [one for one in value if one in found[key] and found[key][one] != value[one]]
            if apart:
                raise _other(f"{key}.{apart[0]}", name)
            found[key] = {**found[key], **value}
        elif value != found[key]:
            raise _other(key, name)
    return found


def _other(what: str, name: str) -> ResultsError:
    return ResultsError(
        f"the results in {name} say something else of '{what}' than the others, and cannot be joined with them",
        fix="leave them out, or score again there",
    )


def _made_with(sources: Sequence[Source]) -> dict[str, list[str]]:
    """Return the versions → the rows that were made with them; of a row that several have, those of the first."""
    found: dict[str, set[str]] = {}
    seen: set[Any] = set()
    for source in sources:
        for row in source.rows:
            if row.key not in seen:
                for versions in made_with_of(source.provenance, row):
                    found.setdefault(versions, set()).add(row_name(row))
        seen |= {row.key for row in source.rows}
    return {versions: sorted(names) for versions, names in sorted(found.items())}


def _of(source: Source) -> str:
    row = source.rows[0]
    return f"'{row.model}' on '{row.benchmark}'"
