"""The caches of one model for one benchmark: opened, checked, and their labels in one numbering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from moodbench.catalog import BenchmarkSpec
from moodbench.classes import Classes, NumberedLabels, join
from moodbench.errors import CacheError, CacheMismatchError, ModelError
from moodbench.features.cache import FeatureCache
from moodbench.features.heads import stored_head
from moodbench.features.reader import RowReader
from moodbench.types import Head


@dataclass(frozen=True)
class Caches:
    """The caches of one model for one benchmark.

    Attributes
    ----------
    train : RowReader
    test, ood : mapping of dataset name to RowReader
    head : Head or None
    held_out : RowReader, optional
        ID validation rows, where the benchmark has a dataset of them.
    recompute : bool
        Compute logits from the head even where they are cached (for a head that is not the model's own).
    joined : Classes, optional
        The numbering that all labels here are in; see `by_name`.
    columns : tuple of int, optional
        The outputs of the head that cached logits are restricted to; `head` has no others then.
    about_head : tuple of str
        What everybody should know who reads a number made with the head.
    heads_beside : mapping of name to Head
        Of the other models among them, the heads that compute their logits where these are not cached.
    cached_views : tuple of str
        Every view of the model that could be read along (`moodbench.evaluation.beside`); readers have what is wanted.
    fitted_views : tuple of str
        The same of the rows that fits read: of ID train, and of `held_out`.
    """

    train: RowReader
    test: Mapping[str, RowReader]
    ood: Mapping[str, RowReader]
    head: Head | None
    held_out: RowReader | None = None
    recompute: bool = False
    joined: Classes | None = None
    columns: tuple[int, ...] | None = None
    about_head: tuple[str, ...] = ()
    cached_views: tuple[str, ...] = ()
    fitted_views: tuple[str, ...] = ()
    heads_beside: Mapping[str, Head] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for reader in self.readers.values():
            if reader.dim != self.train.dim:
                raise CacheError(
                    f"the features are {reader.dim} wide, those of ID train {self.train.dim}", file=reader.file
                )
            if not self.recompute and self.columns is None and reader.classes not in (None, self.classes):
                raise CacheError(f"the logits have {reader.classes} classes, expected {self.classes}", file=reader.file)
        if sum(reader.rows for reader in self.test.values()) < 2:
            raise CacheError("an ID test set needs two rows at least", file=next(iter(self.test.values())).file)
        if self.head is not None and self.head.dim != self.train.dim:
            raise ModelError(
                f"the head expects features {self.head.dim} wide, the cached ones are {self.train.dim}",
                file=self.train.file,
                fix="the head belongs to another model",
            )

    def by_name(self, aliases: Mapping[str, str] | None = None, classes: Sequence[int | str] = ()) -> Caches:
        """Return the same with the labels of all ID datasets in one numbering; parameters as those of `classes.join`.

        Raises
        ------
        CacheMismatchError
            Names of classes differ, and nothing says which is which.
        """
        train = NumberedLabels(self.train.file.stem, self.train.labels, self.train.class_names)
        others = {**({} if self.held_out is None else {self.held_out.file.stem: self.held_out}), **self.test}
        joined = join(
            train,
            [NumberedLabels(name, reader.labels, reader.class_names) for name, reader in others.items()],
            head=self.classes,
            head_names=None if self.head is None else self.head.class_names,
            aliases=aliases,
            classes=classes,
        )
        return self._with(joined)

    def _with(self, joined: Classes) -> Caches:
        def renamed(readers: Mapping[str, RowReader]) -> dict[str, RowReader]:
            return {n: r.relabelled(joined.labels[n]) if n in joined.labels else r for n, r in readers.items()}

        held_out = None if self.held_out is None else renamed({self.held_out.file.stem: self.held_out})
        return replace(
            self,
            train=self.train.relabelled(joined.labels[self.train.file.stem]),
            held_out=None if held_out is None else next(iter(held_out.values())),
            test=renamed(self.test),
            ood=renamed(self.ood),
            joined=joined,
        )

    def restricted(self, keep: Sequence[int]) -> Caches:
        """Return the same with the head's outputs `keep` alone, in their order, and labels that number those."""
        assert self.joined is not None
        head = None if self.head is None else self.head.of_classes(keep)
        return replace(self._with(self.joined.restricted(keep)), head=head, columns=tuple(keep))

    def fit_on(self, labels: Sequence[int]) -> Caches:
        """Return the same with the ID train and validation rows of these labels alone; of none at all, unchanged."""
        if not labels:
            return self
        held_out = None if self.held_out is None else self.held_out.of_labels(labels)
        joined = None if self.joined is None else replace(self.joined, used=len(labels))
        return replace(self, train=self.train.of_labels(labels), held_out=held_out, joined=joined)

    @property
    def readers(self) -> dict[str, RowReader]:
        """Every reader by what it is read for."""
        held_out = {} if self.held_out is None else {"held out": self.held_out}
        return {"train": self.train, **held_out, **self.test, **self.ood}

    @property
    def classes(self) -> int | None:
        """C; None unless every dataset has logits, or a head to compute them with."""
        if self.head is not None:
            return self.head.classes
        widths = [reader.classes for reader in self.readers.values()]
        return None if None in widths else self.train.classes if self.columns is None else len(self.columns)


def open_caches(files: Mapping[str, Path], benchmark: BenchmarkSpec, head_file: Path, *, own_head: bool) -> Caches:
    """Open the caches of one model for a benchmark; `files` maps the datasets that are cached to their files."""
    head = stored_head(head_file) if head_file.exists() or not own_head else None
    caches = Caches(
        train=RowReader(files[benchmark.id_train]),
        held_out=None if benchmark.id_val is None else RowReader(files[benchmark.id_val]),
        test={name: RowReader(files[name]) for name in benchmark.id_test},
        ood={name: RowReader(files[name]) for name in benchmark.ood_datasets if name in files},
        head=head,
        recompute=not own_head,
    )
    if own_head:
        for reader in caches.readers.values():
            refuse_other_head(reader, head, head_file)
    for reader in caches.readers.values():
        _refuse_other_network(reader, caches.train)
    return caches.by_name(benchmark.aliases, benchmark.id_classes)


def _refuse_other_network(reader: RowReader, train: RowReader) -> None:
    """Refuse features of other weights, code or transform than those of ID train: extracted before they changed."""
    from moodbench.features.provenance import made_otherwise

    differences = made_otherwise(train.provenance, reader.provenance)
    if differences:
        with FeatureCache(reader.file) as cache:
            model, dataset = cache.model, cache.dataset
        raise CacheMismatchError(
            f"the features of '{dataset}' were made by another network than those of '{train.file.stem}'\n    "
            + "\n    ".join(differences),
            file=reader.file,
            fix="remove what is out of date, and extract it anew: moodbench cache remove "
            f"--model {model} --dataset {dataset}, or the other",
        )


def refuse_other_head(reader: RowReader, head: Head | None, head_file: Path) -> None:
    """Refuse a head that is not the one which the cached logits were made with."""
    found = None if head is None else head.digest
    if reader.head not in (None, found):
        raise CacheMismatchError(
            f"the logits of '{reader.file.stem}' were made with another head than the one that is there"
            if found
            else f"the head that the logits of '{reader.file.stem}' were made with is gone",
            file=head_file,
            fix="run the same moodbench extract, or moodbench import --head FILE, again: it stores the head",
        )
