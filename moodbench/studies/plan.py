"""What a study does, step by step: extract everything, make heads, score, write what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moodbench.studies.known import Chosen, Known
from moodbench.studies.outputs import Output, outputs_of

StepKind = Literal["extract", "probe", "text head", "view", "score", "table", "plot", "rank", "report"]

OF_RESULTS = ("table", "plot", "rank", "report")


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes
    ----------
    kind : StepKind
        ``view``: views that read a head which was made meanwhile.
    what : str
        What it is about: the name of a model with its head, or of a file.
    model : Chosen or None
    head : str or None
        That is scored with.
    output : Output or None
    """

    kind: StepKind
    what: str
    model: Chosen | None = None
    head: str | None = None
    output: Output | None = None

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.kind} {self.what}"


@dataclass(frozen=True)
class Cost:
    """What one step costs.

    Attributes
    ----------
    step : str
    left : int
        Images to extract, or scores to run (each with each of its parameters on each benchmark); 0: nothing is to do.
    unit : str
        ``images``, ``scores``, ``heads`` or ``files``.
    seconds : float or None
        None: nobody has measured that here.
    bytes : int or None
        Of caches that are to be made; None: unknown.
    by : str
        Where the time comes from, in words.
    """

    step: str
    left: int
    unit: str
    seconds: float | None = 0.0
    bytes: int | None = 0
    by: str = ""


def steps_of(known: Known) -> list[Step]:
    """Return the steps in order; each needs only those before it.

    Raises
    ------
    UsageError
        Something that is to be written does not fit the study (`outputs_of`).
    """
    study = known.study
    outputs = outputs_of(known)
    steps = [Step("extract", str(one.name), one) for one in known.models]
    if study["probe"] is not None:
        steps += [Step("probe", str(one.name), one) for one in known.models]
    steps += [Step("text head", str(one.name), one) for one in known.text_models]
    if study["view_head"] is not None:
        steps += [Step("view", str(one.name), one) for one in known.models]
    for one in known.models:
        for head in known.heads_of(one):
            steps.append(Step("score", str(one.name) + (f"+{head}" if head else ""), one, head))
    return steps + [Step(one.kind, one.file, output=one) for one in outputs]


def scores_layers(known: Known, head: str | None) -> bool:
    """Say whether a study scores layers along with a head: without any, or with probes of their own."""
    if not known.study["score"]["layers"]:
        return False
    probe = known.study["probe"]
    return head is None or (probe is not None and probe["layers"] and head == known.head_of("probe"))
