"""What the catalogue says about a benchmark: which datasets play which role."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from moodbench.catalog.entry import REQUIRED, Entry, shown
from moodbench.names import class_fault, group_fault

STANDARD, ONE_CLASS = "standard", "one-class"
"""The protocols that benchmarks follow unless they name another one: the second where each class is taken in turn."""

MODEL_SCOPE = "out-of-model-scope"
"""The protocol in which images count as ID that the model classifies correctly."""


@dataclass(frozen=True)
class BenchmarkSpec:
    """One ID dataset (train rows to fit on, test rows to score) and groups of OOD datasets.

    Attributes
    ----------
    name, title : str
    id_train : str
    id_test : tuple of str
        Several all count as ID (full-spectrum protocols).
    ood : mapping of group to datasets
    id_val : str or None
        For scores that tune on ID rows they were not fitted on; without it they hold out every tenth row of ID train.
    ood_val : tuple of str
        OOD images on which ``score --tune`` chooses parameters; no result is made from them.
    classes : tuple of int or str
        The classes that count as ID, in training and test: labels as ID train numbers them, or names; empty: all. In a
        dataset that is ID test too, the rows with other labels are OOD; those without a label are neither.
    each : mapping of title to label or name of a class
        One-class protocol: every one of them in turn is the only ID class. Empty: not one.
    aliases : mapping of name to name
        What a class is called in another ID dataset, or in the head → its name in ID train.
    restrict_logits : bool
        Leave out the head's outputs for classes that ID train has no rows of.
    protocol : str
        How rows become ID and OOD: a name in `moodbench.evaluation.protocols.PROTOCOLS`.
    paper : str or None
    note : str or None
        In what it differs from the protocol that was published.
    """

    name: str
    title: str
    id_train: str
    id_test: tuple[str, ...]
    ood: Mapping[str, tuple[str, ...]]
    id_val: str | None = None
    ood_val: tuple[str, ...] = ()
    classes: tuple[int | str, ...] = ()
    each: Mapping[str, int | str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    restrict_logits: bool = False
    protocol: str = STANDARD
    paper: str | None = None
    note: str | None = None

    @property
    def ood_datasets(self) -> tuple[str, ...]:
        """All OOD datasets, group after group."""
        return tuple(name for names in self.ood.values() for name in names)

    @property
    def learned_from(self) -> tuple[str, ...]:
        """What scores and heads are fitted on: ID train, and ID validation where there is one."""
        return (self.id_train,) if self.id_val is None else (self.id_train, self.id_val)

    @property
    def needed(self) -> tuple[str, ...]:
        """What must be there for any number: ID train, ID validation, ID test. Of the OOD datasets, one will do."""
        return (*self.learned_from, *self.id_test)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Every dataset the benchmark names, once: ID train, ID validation, ID test, OOD, OOD validation."""
        return tuple(dict.fromkeys((*self.needed, *self.ood_datasets, *self.ood_val)))

    def can_be_scored(self, there: Collection[str]) -> bool:
        """Say whether these datasets are enough for a number."""
        return all(name in there for name in self.needed) and any(name in there for name in self.ood_datasets)

    @property
    def id_classes(self) -> tuple[int | str, ...]:
        """The classes that count as ID, at once or in turn; empty: all."""
        return (*self.classes, *self.each.values())

    def group_of(self, dataset: str) -> str:
        """Return the OOD group a dataset belongs to."""
        return next(group for group, names in self.ood.items() if dataset in names)


def build_benchmark(name: str, entry: Entry) -> BenchmarkSpec:
    """Check the keys of a benchmark's entry."""
    groups = entry.take("ood", dict)
    classes = entry.take("classes", (list, dict), [])
    spec = BenchmarkSpec(
        name=name,
        title=entry.take("title", str, name),
        id_train=entry.take("id_train", str),
        id_test=entry.strings("id_test", REQUIRED),
        ood={str(group): entry.as_strings(f"ood.{group}", names) for group, names in groups.items()},
        id_val=entry.text("id_val"),
        ood_val=entry.strings("ood_val", ()),
        classes=() if isinstance(classes, dict) else tuple(classes),
        each=classes if isinstance(classes, dict) else {},
        aliases=entry.take("aliases", dict, {}),
        restrict_logits=entry.take("restrict_logits", bool, False),
        protocol=entry.text("protocol") or (ONE_CLASS if isinstance(classes, dict) and classes else STANDARD),
        paper=entry.text("paper"),
        note=entry.text("note"),
    )
    _check(spec, entry)
    return spec


def _check(spec: BenchmarkSpec, entry: Entry) -> None:
    for group in spec.ood:
        fault = group_fault(group)
        if fault is not None:
            raise entry.error(
                f"has an OOD group that is called {shown(group)}, which {fault}", fix="name it near, far, …"
            )
    if not spec.ood_datasets:
        raise entry.error("has no OOD dataset", fix="name at least one under 'ood:', as in  ood: {far: [my_ood]}")
    if not spec.id_test:
        raise entry.error("has no ID test dataset")
    labels = (*spec.classes, *spec.each.values())
    if not all(_is_class(label) for label in labels):
        raise entry.error(
            "has classes that are neither labels nor names",
            fix="write  classes: [0, 3]  or  classes: [cat, dog]  or  classes: {cat: 3, dog: 5}",
        )
    if not all(isinstance(name, str) and name for pair in spec.aliases.items() for name in pair):
        raise entry.error("has aliases that are no names", fix='quote numbers:  aliases: {"01": "1"}')
    if spec.protocol == ONE_CLASS and not spec.each:
        raise entry.error("takes each class in turn, and names none", fix="write  classes: {cat: 3, dog: 5}")
    if spec.protocol == MODEL_SCOPE and labels:
        raise entry.error(f"follows the protocol {MODEL_SCOPE}, in which predictions decide, and has 'classes'")
    if spec.restrict_logits and (spec.each or len(spec.classes) == 1):
        raise entry.error("restricts the logits to one class, of which no score can be made")
    if spec.each and (spec.ood_datasets != spec.id_test or len(spec.id_test) > 1):
        raise entry.error(
            "takes each class in turn, so the only OOD dataset must be the ID test set",
            fix="write  id_test: my_test  and  ood: {others: [my_test]}",
        )
    if len(set(labels)) < len(labels):
        raise entry.error("has classes with the same label")
    for title in spec.each:
        fault = class_fault(title)
        if fault is not None:
            raise entry.error(
                f"has a class with the title {shown(title)}, which {fault}",
                fix="write  classes: {TITLE: LABEL, …}",
            )
    if spec.ood_val and spec.each:
        raise entry.error("takes each class in turn, so that no parameters can be chosen on other OOD images (ood_val)")
    roles = (*spec.learned_from, *spec.id_test, *spec.ood_datasets, *spec.ood_val)
    # with `classes`, the other rows of ID test are OOD; those that the model gets wrong in the scope of a model
    fine = set(spec.id_test) if labels or spec.protocol == MODEL_SCOPE else set()
    repeated = sorted({d for d in roles if roles.count(d) > 1} - {d for d in fine if roles.count(d) == 2})
    if repeated:
        raise entry.error(
            f"uses {', '.join(map(repr, repeated))} more than once",
            fix="no images may be in two of id_train, id_val, id_test, ood and ood_val: split them into datasets of "
            "their own",
        )


def _is_class(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool) and value >= 0) or (
        isinstance(value, str) and bool(value)
    )
