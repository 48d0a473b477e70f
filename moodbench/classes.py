"""Labels are names, not positions: the labels of several datasets, and a head's outputs, in one numbering of classes.

Every dataset numbers its own class folders, so equal numbers mean equal classes only where the names say so. Where the
names are unknown (old caches, imports without them) the number itself is all there is, and `Classes.unnamed` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from moodbench.errors import CacheError, CacheMismatchError
from moodbench.sizes import many

Labels = NDArray[np.int64]
Names = tuple[str, ...] | None
Value = TypeVar("Value", int, str)

SHOWN = 5
"""Names that a message lists before it only counts."""


@dataclass(frozen=True)
class NumberedLabels:
    """The labels of one dataset.

    Attributes
    ----------
    dataset : str
    labels : (N,) int64
        -1 where unknown.
    names : tuple of str, or None
        Label *i* is the *i*-th; None where nobody knows.
    """

    dataset: str
    labels: Labels
    names: Names = None

    @property
    def found(self) -> NDArray[np.int64]:
        """The labels that occur, ascending."""
        labels: NDArray[np.int64] = np.unique(self.labels)
        return labels[labels >= 0]

    @property
    def has_names(self) -> bool:
        """Whether the names say more than the number, which is what the rule ``index`` means by its names."""
        return self.names is not None and not _are_numbers(self.names)

    def name(self, label: int) -> str:
        """Return the name of a class; its number in digits where it has none."""
        return self.names[label] if self.names is not None and label < len(self.names) else str(label)


@dataclass(frozen=True)
class Classes:
    """One numbering of the classes of a benchmark: the head's where its classes are those of ID train, else ID train's.

    Attributes
    ----------
    train : NumberedLabels
        ID train (the first ID test set with labels where it has none), in its own numbering.
    labels : mapping of dataset to (N,) int64
        In the common numbering. A class that ID train does not know has a number beyond all others.
    head : int or None
        C, the outputs of the head.
    own : bool or None
        The head's classes are those of ID train. None: the names are unknown, and not every number of the head occurs,
        so that only predictions can tell.
    known : int
        Outputs of the head whose classes are ID train's, where both have names.
    present : tuple of int
        The classes that count and that ID train has rows of, in the common numbering, ascending.
    unnamed : tuple of str
        Datasets whose labels count as numbers because the names of their classes are unknown.
    used : int
        Number of classes that the benchmark uses: those that it names, else those that its ID rows have.
    """

    train: NumberedLabels
    labels: Mapping[str, Labels]
    head: int | None
    own: bool | None
    known: int = 0
    present: tuple[int, ...] = ()
    unnamed: tuple[str, ...] = ()
    used: int = 0
    _number: Mapping[int, int] = field(default_factory=dict, repr=False)

    def names_of(self, numbers: Sequence[int]) -> Names:
        """Return the names of classes of ID train by their common numbers; None where numbers count them already."""
        label = {number: label for label, number in self._number.items()}
        names = tuple(self.train.name(label[number]) for number in numbers)
        return None if self.train.names is None and _are_numbers(names) else names

    def restricted(self, keep: Sequence[int]) -> Classes:
        """Return the numbering in which the head has the classes `keep` alone, ascending, and those come first."""
        order = [
            *keep,
            *sorted({n for labels in self.labels.values() for n in np.unique(labels).tolist()} - {-1, *keep}),
        ]
        place = {number: i for i, number in enumerate(order)}
        labels = {name: _mapped(NumberedLabels(name, one), place) for name, one in self.labels.items()}
        number = {label: place.get(to, len(order) + label) for label, to in self._number.items()}
        present = tuple(range(len(keep)))
        return replace(self, labels=labels, head=len(keep), present=present, _number=number)

    def numbers(self, classes: Iterable[int | str]) -> tuple[int, ...]:
        """Return the common numbers of classes that are given by their label in ID train, or by name.

        Raises
        ------
        CacheError
            ID train has no class of that name.
        """
        return tuple(self._number.get(label, label) for label in _labels_of(self.train, classes))

    def head_remark(self) -> str | None:
        """Return what a reader of scores on logits must know about a head that is not for these classes."""
        there = len(self.present)
        if self.own is not False or self.head is None or not there:
            return None
        named = "" if not self.known else f", of which it knows {self.known}"
        found = self.train.found
        if not self.known and found[0] > 0 and found[-1] == self.head:
            return (
                f"labels of ID train go from {found[0]} to {found[-1]}, and the head's {self.head} outputs count from 0"
            )
        return (
            f"the head has {self.head} classes, and ID train has {there} others{named} "
            "(moodbench probe trains a head for them)"
        )

    def part_remark(self) -> str | None:
        """Return the name of a subset of a head's classes."""
        there = len(self.present)
        if not self.own or self.head is None or there == self.head:
            return None
        return f"{there} of the head's {self.head} classes are in ID train"


def join(
    train: NumberedLabels,
    others: Sequence[NumberedLabels],
    *,
    head: int | None = None,
    head_names: Names = None,
    aliases: Mapping[str, str] | None = None,
    classes: Sequence[int | str] = (),
    some: bool = False,
) -> Classes:
    """Bring the labels of a benchmark's ID datasets to one numbering, by name.

    Parameters
    ----------
    train : NumberedLabels
        ID train.
    others : sequence of NumberedLabels
        ID validation and test sets.
    head : int, optional
        C, where there are logits.
    head_names : tuple of C str, optional
        Names of its outputs.
    aliases : mapping, optional
        Name of a class in another dataset, or in the head, → its name in ID train.
    classes : sequence of int or str
        Those that count as ID, as labels of ID train or names; none: all. With some, datasets may have others too.
    some : bool
        Datasets may have classes that ID train does not have in any case.

    Raises
    ------
    CacheMismatchError
        A dataset has rows of classes that ID train does not know.
    """
    aliases = aliases or {}
    base = next((one for one in (train, *others) if len(one.found)), train)
    _check_aliases(base, aliases)
    outputs = None if head_names is None else _called(head_names, aliases)
    wanted = _labels_of(base, classes)
    counted = [label for label in base.found.tolist() if not wanted or label in wanted]
    number, own, known = _numbering(base, counted, head, outputs)
    beyond = max([*number.values(), -1 if head is None else head - 1, -1]) + 1
    labels = {}
    used: set[int] = set()
    for one in (train, *others):
        table = {label: number.get(to, to) for label, to in _to_base(base, one, aliases).items()}
        strange = [label for label in one.found.tolist() if label not in table]
        if strange and not (some or classes):
            _refuse(base, one, strange)
        used.update(table.values())
        labels[one.dataset] = _mapped(one, table | {label: beyond + i for i, label in enumerate(strange)})
    unnamed = tuple(one.dataset for one in (train, *others) if one.names is None and len(one.found))
    present = tuple(sorted(number[label] for label in counted))
    return Classes(base, labels, head, own, known, present, unnamed, len(wanted) or len(used), number)


def _called(head_names: Sequence[str], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the head's outputs are called in ID train; an alias counts where no output has that name itself."""
    own = {*head_names}
    names = tuple(name if aliases.get(name, name) in own else aliases[name] for name in head_names)
    twice = _repeated(names)
    if twice is not None:
        raise CacheError(
            f"the benchmark's aliases give two outputs of the head the same name, '{twice}'",
            fix="name one of them in 'aliases': scores read one output for each class",
        )
    return names


def _repeated(values: Iterable[Value]) -> Value | None:
    """Return the first value that was there before."""
    seen: set[Value] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def _check_aliases(base: NumberedLabels, aliases: Mapping[str, str]) -> None:
    wrong = [] if base.names is None else [name for name in aliases.values() if name not in base.names]
    if wrong:
        raise CacheError(
            f"the benchmark's aliases lead to '{wrong[0]}'; '{base.dataset}' has {shown(base.names or ())}",
            fix="correct 'aliases' in the catalogue: NAME: NAME IN ID TRAIN",
        )


def _labels_of(base: NumberedLabels, classes: Iterable[int | str]) -> list[int]:
    """Return the labels in ID train of classes that are given by label or name."""
    given = list(classes)
    names = base.names
    wanted = [one for one in given if isinstance(one, str)]
    if wanted and names is None:
        raise CacheError(
            f"the benchmark names the class '{wanted[0]}', but the names of those of '{base.dataset}' are unknown",
            fix="extract it again with this version, import it with 'classes', or give labels",
        )
    unknown = [one for one in wanted if one not in (names or ())]
    if unknown:
        raise CacheError(
            f"the benchmark names {shown(unknown)}; '{base.dataset}' has {shown(names or ())}",
            fix="correct 'classes' in the catalogue",
        )
    beyond = [one for one in given if isinstance(one, int) and names is not None and not 0 <= one < len(names)]
    if beyond:
        raise CacheError(
            f"the benchmark names the label {beyond[0]}; '{base.dataset}' has {shown(names or ())}, from 0",
            fix="correct 'classes' in the catalogue",
        )
    labels = [one if isinstance(one, int) else (names or ()).index(one) for one in given]
    twice = _repeated(labels)
    if twice is not None:
        raise CacheError(
            f"the benchmark names the class '{base.name(twice)}' twice, by its name and by the label {twice}",
            fix="correct 'classes' in the catalogue",
        )
    return labels


def _numbering(
    base: NumberedLabels, found: Sequence[int], head: int | None, outputs: Names
) -> tuple[dict[int, int], bool | None, int]:
    """Return label of ID train → common number, whether the head's classes are those found, and how many it knows."""
    top = int(base.found.max(initial=-1)) + 1
    size = max(len(base.names or ()), top)
    same = {label: label for label in range(size)}
    if head is None or not found:
        return same, False, 0
    if outputs is not None:
        names = [base.name(label) for label in range(size)]
        place = {name: i for i, name in enumerate(outputs)}
        known = sum(names[label] in place for label in found)
        if known == len(found):
            # names without rows that the head does not know come behind its own
            behind = iter(range(head, head + size))
            return {i: place[name] if name in place else next(behind) for i, name in enumerate(names)}, True, known
        if base.has_names and not _are_numbers(outputs):
            return same, False, known
    if base.has_names:
        return same, len(base.names or ()) == head, 0
    if head in (size, top):
        return same, True, 0
    return same, None if top < head else False, 0


def _are_numbers(names: Sequence[str]) -> bool:
    """Say whether names only count the classes."""
    return all(name == str(i) for i, name in enumerate(names))


def _to_base(base: NumberedLabels, one: NumberedLabels, aliases: Mapping[str, str]) -> dict[int, int]:
    """Return label of a dataset → label of ID train, for those that occur and that ID train knows."""
    if base.names is None or one.names is None:
        return {label: label for label in one.found.tolist() if base.names is None or label < len(base.names)}
    place = {name: i for i, name in enumerate(base.names)}
    named = {label: aliases.get(one.names[label], one.names[label]) for label in one.found.tolist()}
    return {label: place[name] for label, name in named.items() if name in place}


def _mapped(one: NumberedLabels, table: Mapping[int, int]) -> Labels:
    if all(label == number for label, number in table.items()):
        return one.labels
    found = one.found
    known = one.labels >= 0
    mapped = np.full_like(one.labels, -1)
    numbers = np.array([table[label] for label in found.tolist()], np.int64)
    mapped[known] = numbers[np.searchsorted(found, one.labels[known])]
    return mapped


def _refuse(base: NumberedLabels, one: NumberedLabels, strange: Sequence[int]) -> None:
    names = [one.name(label) for label in strange]
    raise CacheMismatchError(
        f"'{one.dataset}' has rows of {shown(names)}, which ID train does not have; '{base.dataset}' has "
        f"{shown(base.names or ())}",
        fix="say in the benchmark which is which (aliases: {NAME: NAME IN ID TRAIN}), extract again with the right "
        "labels, or let only some classes count as ID (classes: […])",
    )


def shown(names: Sequence[str]) -> str:
    """Return how many classes these are, with the first few names in quotes."""
    some = ", ".join(f"'{name}'" for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{many(len(names), 'class', 'classes')} ({some}{more})"


def unnamed_note(datasets: Iterable[str]) -> str | None:
    """Return what to tell whoever joined labels of datasets whose names of classes nobody knows; None without any."""
    names = ", ".join(dict.fromkeys(datasets))
    return f"the classes of {names} have no names: their labels are compared by number" if names else None


def natural_key(name: str) -> list[int | str]:
    """Return what names are sorted by in natural order, in which 2 comes before 10: as timm does it."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.lower())]


def orders_differ(names: Sequence[str]) -> bool:
    """Say whether natural order and that of code points number these classes differently."""
    return sorted(names) != sorted(names, key=natural_key)


def without_gaps(labels: NDArray[np.int64], present: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of labels among those that are `present`, (K,) rising; -1 for others. Unchanged if K is 0."""
    if len(present) == 0:
        return labels
    place = np.searchsorted(present, labels).clip(max=len(present) - 1)
    return np.where(present[place] == labels, place, -1)
