"""Other models beside the one that is scored: the members of an ensemble, which have the same images and classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from moodbench.errors import MoodbenchError, UnknownNameError, UsageError
from moodbench.evaluation.caches import Caches
from moodbench.features.heads import stored_head
from moodbench.features.reader import RowReader
from moodbench.scores.base import Score
from moodbench.scores.ensemble import OverMembers
from moodbench.types import Head, Report
from moodbench.views import MEMBER, RUN
from moodbench.workspace import ModelName, Workspace

RUNS = "runs"
"""The members by default: the other training runs of the same recipe, as the catalogue has them."""


def check_members(space: Workspace, scores: Iterable[Score]) -> None:
    """Raise an `UnknownNameError` for a member that is named and of which nothing is cached."""
    for score in scores:
        asked = _named(score)
        for member in [] if asked == [RUNS] else asked:
            cached = space.cached_models()
            if ModelName.parse(member).without_head not in cached:
                raise UnknownNameError("cached model", member, map(str, cached), fix="extract or import it first")


def _named(score: Score) -> list[str]:
    return str(getattr(score, "members", RUNS)).split() if "members" in score.needs else []


def members_of(
    space: Workspace, name: ModelName, caches: Caches, scores: Sequence[Score], report: Report
) -> tuple[list[str], dict[str, Head]]:
    """Return the models that scores read beside `name`, as vectors beside are called, and the heads of some.

    One that cannot be a member (caches of other images, or not all; another number or other names of classes) is left
    out, and `report` and the scores are told why. Logits are those of the model's own head, or of the one that its name
    asks for.
    """
    wanted: dict[str, None] = {}
    for score in scores:
        asked = _named(score)
        wanted |= dict.fromkeys(_runs_of(space, name) if asked == [RUNS] else [MEMBER + one for one in asked])
    found: list[str] = []
    refused: dict[str, str] = {}
    heads: dict[str, Head] = {}
    for beside in wanted:
        try:
            head = _checked(space, name, name.beside(beside), caches)
        except MoodbenchError as error:
            report(f"no member of the ensemble of {name}: {error.what}")
            refused[beside] = error.what
        else:
            found.append(beside)
            heads |= {} if head is None else {beside: head}
    for score in scores:
        if isinstance(score, OverMembers):
            score.refused_ = refused
    return found, heads


def _runs_of(space: Workspace, name: ModelName) -> list[str]:
    """Return the other training runs of a model that have caches, with the variant and head of its own."""
    models = space.catalog.models
    group = models[name.base].runs if name.base in models else None
    if group is None or name.view is not None:
        return []
    others = [replace(name, base=one) for one, spec in models.items() if spec.runs == group and one != name.base]
    return [f"{RUN}{one}" for one in others if space.cached_datasets(one)]


def _checked(space: Workspace, name: ModelName, member: ModelName, caches: Caches) -> Head | None:
    """Return the head that computes the logits of a member, None where they are cached; refuse what is no member."""
    if member == name:
        raise UsageError(f"'{member}' is the model itself, which is a member of every ensemble of it")
    lacking = [one.file.stem for one in caches.readers.values() if not space.cache_file(member, one.file.stem).exists()]
    if lacking:
        raise UsageError(f"no cache of {', '.join(lacking)} of '{member}'")
    readers = []
    for own in caches.readers.values():
        reader = RowReader(space.cache_file(member, own.file.stem))
        own.beside({str(member): reader})  # of the same images, or refused
        readers.append(reader)
    file = space.head_file(member)
    head = stored_head(file) if member.head is not None or file.exists() else None
    cached = member.head is None and not caches.recompute and all(one.classes is not None for one in readers)
    if head is None and not cached:
        raise UsageError(f"'{member}' has no logits")
    _refuse_other_classes(member, readers, head, caches)
    return None if cached else head


def _refuse_other_classes(member: ModelName, readers: Sequence[RowReader], head: Head | None, caches: Caches) -> None:
    count = readers[0].classes if head is None else head.classes
    if caches.classes is None or count != caches.classes:
        raise UsageError(f"'{member}' has {count} classes, and the model {caches.classes or 'none'}")
    names = [None if one is None else one.class_names for one in (head, caches.head)]
    if None not in names and names[0] != names[1]:
        raise UsageError(f"the head of '{member}' has other classes, or in another order, than the model's")
