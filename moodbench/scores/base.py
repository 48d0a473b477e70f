"""The contract of a score, and the registry that finds them.

A score is fitted on ID train rows and then maps a block of rows to one number a row, **higher = more
in-distribution, always**; a paper that defines the opposite is negated in its own file, with a line saying so.

A new score is one module in this package (or one entry point in the group ``moodbench.scores`` of another package)::

    @SCORES.register("feature_norm")
    @dataclass
    class FeatureNorm(Score):
        title = "Feature norm"
        family = "feature"
        paper = "..."
        year = 2026
        order: int = 2  # a parameter: a dataclass field with a default

        def score(self, block: Block) -> Tensor:
            return torch.linalg.vector_norm(block.features, ord=self.order, dim=1)

A score that learns from ID train writes `fit` as a generator: it yields the statistics that it wants and is sent
their values. The engine runs all generators side by side, so that every pass over the train rows serves every score
that waits for one, and equal statistics are computed once (`moodbench.scores.machinery.statistics`)::

        def fit(self, train: Train) -> Fit:
            moment: Moment = yield SecondMoment()
            self.mean_ = moment.mean
"""

from __future__ import annotations

import dataclasses
import runpy
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args

from moodbench.errors import MoodbenchError, UsageError
from moodbench.params import LABEL_NOISE, LABEL_NOISE_SEED, TUNED, joined
from moodbench.reading import open_regular
from moodbench.registry import Registry
from moodbench.scores.machinery.contract import check_contract
from moodbench.scores.machinery.parameters import checked
from moodbench.types import FAMILIES, Family

if TYPE_CHECKING:
    from torch import Tensor, device

    from moodbench.scores.block import Block
    from moodbench.scores.machinery.statistics import Statistic

Need = Literal["logits", "head", "labels", "layers", "views", "negatives", "negated", "noise", "members", "stream"]
"""What a score may need besides features: cached logits, the linear head, labels of the ID train rows, cached layers of
the network, features of changed images (`moodbench.scores.machinery.viewing`), texts that came with the head
(`moodbench.types.TEXTS`), other models of the same classes, the other test rows in an order
(`moodbench.scores.machinery.streaming`)."""

BESIDE: frozenset[Need] = frozenset({"layers", "views", "members"})
"""Needs of scores that read more than one vector of an image."""

Cost = Literal["products", "memory bank", "class covariances", "many directions", "sample", "scikit-learn"]
"""``products``: a handful of matrix products, O(D (D + C)) a row, whatever the number of ID train rows."""

Fit = Generator["Statistic[Any] | tuple[Statistic[Any], ...]", Any, None]
"""A fit yields one statistic, or several, and is sent the value, or the tuple of values."""

UNDATED = 9999
"""The year of a score that names none: such scores stand behind the others of their family."""

V = TypeVar("V")


@dataclass(frozen=True)
class Train:
    """What a fit may know of the ID train rows before it has seen them.

    Attributes
    ----------
    rows : int
        N, the number of rows.
    dim : int
        D, the feature width.
    classes : int or None
        C, the number of logits; None where there are none.
    label_classes : int
        Number of classes that the labels of blocks count: largest label + 1 of a head's own classes, otherwise the
        classes that occur, whose labels are without gaps. 0 unless every row has one. It may differ from C.
    unlabelled : int
        Rows without a label.
    used_classes : int or None
        Number of classes that the benchmark uses, with or without rows here: those that it names, else those that its
        ID rows have. None: `label_classes`.
    own_classes : bool
        Label *i* is the head's class *i*: predictions can be compared with labels.
    weight, bias : (C, D) and (C,) float32 tensors, or None
        The head, on `device`.
    device : torch.device
        Where blocks live.
    views : mapping of name to int
        Width of each other vector of the images that blocks have, under the names of their caches; layers from the
        input to the output, before views of changed images.
    texts : mapping of str to (M, D) float32 tensor
        Those that came with the head (`moodbench.types.TEXTS`), on `device`.
    cached_views : sequence of str
        All that are cached of the model: what a score reads is chosen among these, whatever others have asked for.
    bank : callable
        Starts a walk over the ID train rows in blocks, for scores that compare every test row with every train row.
        Such scores keep no rows in memory; `--bank-rows` may have thinned them out.
    """

    rows: int
    dim: int
    classes: int | None
    label_classes: int
    weight: Tensor | None
    bias: Tensor | None
    device: device
    bank: Callable[[], Iterable[Block]] = tuple
    unlabelled: int = 0
    own_classes: bool = True
    used_classes: int | None = None
    views: Mapping[str, int] = field(default_factory=dict)
    cached_views: Sequence[str] = ()
    texts: Mapping[str, Tensor] = field(default_factory=dict)
    _memo: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def shared(self, key: Hashable, compute: Callable[[], V]) -> V:
        """Return the value filed under `key`, computed by the first score that asks for it."""
        if key not in self._memo:
            self._memo[key] = compute()
        value: V = self._memo[key]
        return value


class Score(ABC):
    """Base class of all scores. Subclasses are dataclasses whose fields are their parameters.

    Class attributes
    ----------------
    title : display name, for tables and plots
    family : what the score reads (see `moodbench.types.Family`)
    needs : what must be there besides features
    paper : authors, venue, arXiv number
    year : that of the paper, which orders scores within a family; `UNDATED` ones come last
    """

    title: ClassVar[str]
    family: ClassVar[Family]
    needs: ClassVar[frozenset[Need]] = frozenset()
    paper: ClassVar[str]
    year: ClassVar[int] = UNDATED

    cost: ClassVar[Cost] = "products"
    """What dominates the time of a row; everything but ``products`` is measured apart."""

    post_relu: ClassVar[bool] = False
    """Published for non-negative features, as a ReLU leaves them; on signed ones the results carry a note."""

    note: ClassVar[str | None] = None
    """A word of explanation that the results carry."""

    note_: str | None = None
    """What a fit found worth saying; the results then carry this instead of `note`."""

    sweep: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Values of parameters that ``score --tune`` tries, besides the defaults (whose choice: docs/parameters.md)."""

    tuned_: tuple[str, ...] = ()
    """Parameters that were chosen on validation sets; `describe` names them in the place of their values."""

    label_noise_: tuple[float, int] | None = None
    """The share of wrong labels that it is fitted with on purpose, and the seed of the draw."""

    control: ClassVar[bool] = False
    """Whether this is a control, which knows nothing of the ID train rows and should detect nothing."""

    def views_among(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return which other vectors of the images it reads, out of those that are cached of a model.

        Scores that need ``layers`` or ``views`` say so here; see `moodbench.scores.machinery.viewing`.

        Parameters
        ----------
        cached : sequence of str
            As ``layer-blocks.3`` or ``view-odin-0.0014``; layers from the input to the output first.

        Raises
        ------
        ScoreError
            What it reads is not there.
        """
        return ()

    def views_counted(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return what blocks must have so that `views_among` finds the same in them; by default just that."""
        return self.views_among(cached)

    def views_fitted(self, cached: Sequence[str]) -> tuple[str, ...]:
        """Return which others `fit` alone reads: of test images nobody needs them. None by default.

        Parameters as those of `views_among`, which it may ask; of `cached` there are all that ID train has, and the ID
        validation rows where there are such.

        Raises
        ------
        ScoreError
            What it reads is not there.
        """
        return ()

    def fit(self, train: Train) -> Fit:
        """Learn from ID train rows. Nothing to learn by default.

        Attributes learned end in ``_``, and the docstring of the class lists them under Attributes.
        """
        yield from ()

    @abstractmethod
    def score(self, block: Block) -> Tensor:
        """Return the scores of a block of rows, (B,) floats, higher = more in-distribution.

        `block` stays as it is, and so does the score itself: on a CPU, blocks are scored in several threads at once.
        """

    @classmethod
    def is_transductive(cls) -> bool:
        """Say whether its number of an image depends on other test images (`moodbench.scores.machinery.streaming`)."""
        return "stream" in cls.needs

    @property
    def said(self) -> str:
        """What the results say about it: of the fit, else in general; empty where there is nothing to say."""
        return str(self.note_ or self.note or "")

    @classmethod
    def parameters(cls) -> dict[str, Any]:
        """Return the parameters' names and default values."""
        if "__dataclass_fields__" not in cls.__dict__:
            return {}
        return {f.name: f.default for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]

    @classmethod
    def has_seed(cls) -> bool:
        """Say whether chance has a part in its numbers: whether it has the parameter `seed`, a whole number.

        A sample that holds every row where there are few, or directions that are drawn: whatever may turn out otherwise
        is drawn from the seed, so that several show by how much. What is exact wherever it starts needs none.
        """
        return isinstance(seed := cls.parameters().get("seed"), int) and not isinstance(seed, bool)

    def describe(self, seeds: int = 1) -> str:
        """Return the parameters in use as ``name=value`` joined by ``;``, empty for a score without any.

        Behind them stands under what else it runs (`moodbench.params`). With several seeds, from its own upwards, that
        of the seed is ``first..last``.
        """
        values = {name: self.shown(name) for name in self.parameters() if name not in self.tuned_}
        if self.tuned_:
            values[TUNED] = "+".join(self.tuned_)
        if self.label_noise_ is not None:
            share, draw = self.label_noise_
            values |= {LABEL_NOISE: f"{share:g}", LABEL_NOISE_SEED: str(draw)}
        for name in ("seed", LABEL_NOISE_SEED):
            if seeds > 1 and name in values and (name != "seed" or self.has_seed()):
                first = int(values[name])
                values[name] = f"{first}..{first + seeds - 1}"
        return joined(values)

    def shown(self, name: str) -> str:
        """Return the value of a parameter as text."""
        value = getattr(self, name)
        return f"{value:g}" if isinstance(value, float) else str(value)


SCORES: Registry[type[Score]] = Registry(
    "score",
    package="moodbench.scores",
    entry_point="moodbench.scores",
    check=partial(check_contract, base=Score, needs=get_args(Need), costs=get_args(Cost)),
)


def display_order(names: Iterable[str]) -> list[str]:
    """Return scores as people read them: by family, then by the year of the paper, then by name."""
    return sorted(names, key=lambda n: (FAMILIES.index(SCORES.get(n).family), SCORES.get(n).year, n))


def load_scores(file: Path) -> list[str]:
    """Run a Python file that registers scores, and return the names of those it added.

    Raises
    ------
    UsageError
        The file is missing, fails, or registers nothing, or what cannot be a score.
    """
    open_regular(file, "the file with scores", UsageError).close()  # a pipe or a device would run for ever
    before = set(SCORES.names())
    try:
        runpy.run_path(str(file))
        added = [name for name in SCORES.names() if name not in before]
    except MoodbenchError:
        SCORES.keep(before)
        raise
    except (Exception, SystemExit) as error:  # somebody's code may raise anything
        SCORES.keep(before)
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
        line = f" (line {lines[-1]})" if lines else ""
        raise UsageError(f"the file failed: {type(error).__name__}: {error!s:.300}{line}", file=file) from error
    if not added:
        raise UsageError("the file registers no score", file=file, fix='decorate a Score with @SCORES.register("name")')
    return added


def create_score(name: str, params: Mapping[str, Any] | None = None, *, text: bool = True) -> Score:
    """Make the score `name` with parameters changed from their defaults.

    Values given as text (from the command line) are converted to the type of the default, unless `text` is False.

    Raises
    ------
    UnknownNameError
        There is no such score.
    UsageError
        The score has no such parameter, or the value does not fit its type (`moodbench.scores.machinery.parameters`).
    """
    cls = SCORES.get(name)
    defaults = cls.parameters()
    values = {}
    for key, value in (params or {}).items():
        if key not in defaults:
            known = ", ".join(defaults) or "none"
            raise UsageError(f"the score '{name}' has no parameter '{key}'", fix=f"its parameters: {known}")
        values[key] = checked(name, key, value, defaults[key], text=text)
    try:
        return cls(**values)
    except UsageError as error:
        if error.fix is not None or not values:
            raise
        usual = ", ".join(f"{key}={_as_text(defaults[key])}" for key in values)
        raise UsageError(error.what, fix=f"the default is {usual}") from None


def _as_text(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
