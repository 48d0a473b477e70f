"""What probing one model gave, as a record and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moodbench.sizes import many, percent


@dataclass(frozen=True)
class ProbeOutcome:
    """A head that was trained, or was there already.

    Attributes
    ----------
    model, id_train : str
    file : Path
        ``heads/<name>.h5``, read by `moodbench.features.heads.read_head`.
    classes, dim : int
        C and D.
    lam : float
        The penalty that was chosen.
    nll, accuracy : float
        Mean negative log-likelihood (nats) and accuracy on the held-out rows.
    id_test : mapping of dataset to accuracy
        On ID test where that is cached and has labels. Empty if the head was there already.
    converged : bool
    iterations, passes : int
        Of the chosen fit; over all rows, for everything that was tried.
    seconds : float
        0 if the head was there already.
    already : bool
    remarks : tuple of str
        What somebody who uses the head should know.
    """

    model: str
    id_train: str
    file: Path
    classes: int
    dim: int
    lam: float
    nll: float
    accuracy: float
    id_test: Mapping[str, float] = field(default_factory=dict)
    converged: bool = True
    iterations: int = 0
    passes: int = 0
    seconds: float = 0.0
    already: bool = False
    remarks: tuple[str, ...] = ()


def describe(probed: ProbeOutcome) -> str:
    """Return one line for people."""
    facts = [many(probed.classes, "class", "classes"), f"lam {probed.lam:g}"]
    accuracy = [
        f"{percent(probed.accuracy)} held out",
        *(f"{percent(value)} {test}" for test, value in probed.id_test.items()),
    ]
    facts.append(f"ID accuracy {', '.join(accuracy)}")
    if not probed.already:
        facts.append(f"{probed.iterations} iterations, {probed.passes} passes, {probed.seconds:.1f} s")
    what = "; ".join([", ".join(facts), *probed.remarks])
    if probed.already:
        return f"skip {probed.model}: the head '{probed.file.stem}' on {probed.id_train} is there ({what})"
    return f"probed {probed.model} on {probed.id_train}: {what}"


def remarks_of(record: Mapping[str, Any], tolerance: float) -> list[str]:
    """Return what somebody who uses a head with this record should know."""
    remarks = []
    if not record["converged"]:
        tried = many(record["iterations"], "iteration")
        remarks.append(
            f"did not converge: after {tried} the gradient is {record['gradient']:.1e} of that at the start, "
            f"wanted {tolerance:g}"
        )
    if record["end_of_range"]:
        remarks.append(f"lam is the {record['end_of_range']} that was tried")
    if record["unlabelled"]:
        remarks.append(f"{many(record['unlabelled'], 'row')} without label left out")
    return remarks
