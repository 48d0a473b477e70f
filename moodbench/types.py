"""Small frozen records that several modules share. Nothing heavy is imported here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

Report = Callable[[str], None]
"""Is told lines for people: what is done, left out or waited for."""

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Family = Literal["probability", "logit", "feature", "feature+logit", "imported"]
"""What a score reads: the colours of the paper's first figure (yellow, green, blue, red); ``imported``: nothing of
moodbench's, another program computed its numbers."""

COMPUTED: tuple[Family, ...] = ("probability", "logit", "feature", "feature+logit")
"""The families of scores that are computed here."""

FAMILIES: tuple[Family, ...] = (*COMPUTED, "imported")

MEAN = "mean"
"""The `ood` of a result row that averages a group."""

TRIAL = "trial: "
"""What the remark of a result begins with that was made of a part of the images."""

ALL_GROUPS = "all"
"""The `group` of the mean over every OOD dataset of a benchmark."""

MOST_TIMED = 20_000
"""Rows of ID train above which a score that walks over all of them is not timed: it would take as long as the run."""

TRANSDUCTIVE = "transductive (its number of an image depends on the other test images)"
"""The remark of every result row of such a score."""

TEXTS: Mapping[str, str] = {
    "negatives": "negative labels",
    "negated": "negated classes",
    "noise": "noise images",
}
"""What may come with a head, and in words: texts far from all classes (NegLabel), the classes negated (CLIPN), features
of noise images (TANL)."""


def lacking_texts(kind: str) -> str:
    """Return what a note says of a score whose head lacks one of `TEXTS`."""
    how = " (moodbench head text with --negatives makes them)" if kind == "noise" else ""
    return f"no {TEXTS[kind]} with the head{how}"


@dataclass(frozen=True)
class Head:
    """A linear classifier: ``logits = features @ weight.T + bias``.

    Attributes
    ----------
    weight : (C, D) float32
    bias : (C,) float32
    class_names : tuple of C str, or None
        What its outputs stand for; None where nobody knows.
    texts : mapping of str to (M, D) float32
        Embedded texts that are no classes, by a name in `TEXTS`; of ``negated``, one for each class. Those of ``noise``
        are images.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    class_names: tuple[str, ...] | None = None
    texts: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != (self.weight.shape[0],):
            raise ValueError(f"a head is weight (C, D) and bias (C,), got {self.weight.shape} and {self.bias.shape}")
        if self.class_names is not None and len(set(self.class_names)) != self.weight.shape[0]:
            raise ValueError(
                f"a head of {self.weight.shape[0]} classes has {len(set(self.class_names))} different names"
            )
        for kind, texts in self.texts.items():
            if kind not in TEXTS or texts.ndim != 2 or texts.shape[1] != self.weight.shape[1] or not len(texts):
                raise ValueError(f"the head's '{kind}' have the shape {texts.shape}, its weight {self.weight.shape}")
            if kind == "negated" and len(texts) != len(self.weight):
                raise ValueError(f"the head has {len(self.weight)} classes, and {len(texts)} of them negated")

    def of_classes(self, rows: Sequence[int]) -> Head:
        """Return the head of some of the classes; words that are far from all classes stay."""
        chosen = list(rows)
        names = None if self.class_names is None else tuple(self.class_names[i] for i in chosen)
        texts = {kind: one[chosen] if kind == "negated" else one for kind, one in self.texts.items()}
        return Head(self.weight[chosen], self.bias[chosen], names, texts)

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the values of weight and bias: what caches note about the head of their logits."""
        values = (array.astype("<f4", copy=False).tobytes() for array in (self.weight, self.bias))
        return hashlib.sha256(b"".join(values)).hexdigest()

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return int(self.weight.shape[0])

    @property
    def dim(self) -> int:
        """D, the feature width."""
        return int(self.weight.shape[1])


@dataclass(frozen=True)
class NamedHead:
    """Another head of a model than its own, under its name; the same where name and values are."""

    name: str
    head: Head = field(compare=False, repr=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", self.head.digest)


@dataclass(frozen=True)
class Result:
    """One row of the tidy results table: (benchmark, model, score, OOD dataset or group mean) → metrics.

    Metrics are fractions in [0, 1]; None where a score could not be computed (`note` says why), or where that metric is
    not defined (those about right and wrong predictions, without labels). `moodbench.metrics.METRICS` says how to read
    them.
    `ood` is `MEAN` for a group mean; `group` is then ``all``, ``near``, ``far``, …
    `seeds` is None for a score without a random part; with more than one, metrics are means over the seeds, the limits
    of the interval means of the limits, and `auroc_seed_sd` and `fpr95_seed_sd` the sample standard deviations.
    `control` says that the score knows nothing and checks the harness. `note` is about this score; each of `remarks`
    is about more than one, as the model or the rows (a trial run, images left out, a head of other classes).
    """

    benchmark: str
    model: str
    pretext: str
    score: str
    params: str
    family: Family
    ood: str
    group: str
    n_id: int
    n_ood: int
    auroc: float | None = None
    auroc_low: float | None = None
    auroc_high: float | None = None
    fpr95: float | None = None
    aupr_in: float | None = None
    aupr_out: float | None = None
    fpr95_ood: float | None = None
    detection_accuracy: float | None = None
    autc: float | None = None
    aurc: float | None = None
    failure_auroc: float | None = None
    augrc: float | None = None
    aurra: float | None = None
    ece: float | None = None
    oscr: float | None = None
    scod_aurc: float | None = None
    scod_augrc: float | None = None
    id_accuracy: float | None = None
    auroc_seed_sd: float | None = None
    fpr95_seed_sd: float | None = None
    seeds: int | None = None
    control: bool = False
    note: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def transductive(self) -> bool:
        """Whether the score's number of an image depends on other test images."""
        return TRANSDUCTIVE in self.remarks

    @property
    def limit(self) -> str:
        """Of which part of the images a trial was made, as the command line says it (``--limit 60``); empty: of all."""
        return next((remark.removeprefix(TRIAL) for remark in self.remarks if remark.startswith(TRIAL)), "")

    @property
    def is_trial(self) -> bool:
        """Whether it was made of a part of the images (``--limit``)."""
        return bool(self.limit)

    @property
    def aside(self) -> bool:
        """Whether the row stands beside the others and competes with none: a control, or a transductive score."""
        return self.control or self.transductive

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes a row unique within its file."""
        return (self.score, self.params, self.ood, self.group)
