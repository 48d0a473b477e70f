"""Names of a table of somebody's own → ours: titles, capitals and signs differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from moodbench.comparison.match import Ours
from moodbench.comparison.reference import Reference, place_of
from moodbench.errors import ResultsError


@dataclass(frozen=True)
class Shown:
    """What our names are called in tables: identifier to title of each kind."""

    benchmarks: Mapping[str, str]
    models: Mapping[str, str]
    scores: Mapping[str, str]
    oods: Mapping[str, str]


class _Names:
    """Our names of one kind, by every spelling that may stand for them."""

    def __init__(self, kind: str, names: set[str], titles: Mapping[str, str]) -> None:
        self.kind, self.names = kind, names
        self.spelled: dict[str, set[str]] = {}
        for name in names:
            for spelling in {_plain(name), _plain(titles.get(name, name))}:
                self.spelled.setdefault(spelling, set()).add(name)

    def ours(self, text: str) -> str:
        """Return our name, or the text where nothing of ours is called so.

        Raises
        ------
        ResultsError
            Several are.
        """
        found = self.spelled.get(_plain(text), set())
        if text in self.names or not found:
            return text
        if len(found) > 1:
            several = ", ".join(f"'{name}'" for name in sorted(found))
            what = f"the reference has the {self.kind} '{text}', which may be any of {several}"
            raise ResultsError(what, fix="write the one that is meant, as it stands here")
        return next(iter(found))


def in_our_words(reference: Reference, ours: Ours, shown: Shown) -> Reference:
    """Return the reference with names as our results have them.

    They may be given as titles (`MSP` stands for `msp`, `Describable Textures` for `texture`), and in other capitals
    and signs.

    Raises
    ------
    ResultsError
        A title is that of several.
    """
    benchmarks = _Names("benchmark", {row.benchmark for row in ours.rows}, shown.benchmarks)
    models = _Names("model", {row.model for row in ours.rows}, shown.models)
    scores = _Names("score", {row.score for row in ours.rows}, shown.scores)
    oods = _Names("OOD dataset", {place_of(row) for row in ours.rows}, shown.oods)
    return replace(
        reference,
        numbers=tuple(
            replace(
                given,
                benchmark=benchmarks.ours(given.benchmark),
                model=models.ours(given.model),
                score=scores.ours(given.score),
                ood=oods.ours(given.ood),
            )
            for given in reference.numbers
        ),
    )


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter in "@+")
