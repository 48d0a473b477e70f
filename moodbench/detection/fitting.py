"""A workspace → what a detector needs: fitted now, or read where it was fitted from the same before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.catalog import BenchmarkSpec
from moodbench.detection.fitted import Fitted, UnpackableError, read_fitted, write_fitted
from moodbench.detection.id_train import IdTrain, open_engine
from moodbench.detection.scoring import Scoring
from moodbench.devices import arithmetic
from moodbench.errors import CacheError, ResultsError, ScoreError, UsageError
from moodbench.evaluation.engine import BLOCK, THINNED, Engine
from moodbench.evaluation.kept import LackingError, kept_params, kept_rows, run_again
from moodbench.evaluation.rows import TestRows
from moodbench.features.rowscores import ID, place_of
from moodbench.progress import Progress
from moodbench.release import versions
from moodbench.results import read_results
from moodbench.scores.base import BESIDE, Score
from moodbench.scores.machinery.answers import Answer, OtherQuestionsError, recorded
from moodbench.scores.machinery.passes import fit_scores
from moodbench.scores.machinery.written import class_place, is_own
from moodbench.types import Report, Result
from moodbench.workspace import ModelName, Workspace

PACKAGES = ("moodbench", "numpy", "scikit-learn", "scipy", "torch")
"""With other versions of these, a fit is made anew."""


@dataclass(frozen=True)
class Wanted:
    """Which detector: the score with its parameters, not fitted, on a model (with its head) and a benchmark."""

    space: Workspace
    model: ModelName
    benchmark: BenchmarkSpec
    name: str
    score: Score
    params: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """Where what was fitted is kept."""
        digest = hashlib.sha256(self.score.describe().encode()).hexdigest()[:12]
        label = self.name if self.score == type(self.score)() else f"{self.name}[{digest}]"
        return self.space.detector_file(self.model, self.benchmark.name, label)


@dataclass(frozen=True)
class Ready:
    """A detector that can score rows; `file` is where it is kept."""

    fitted: Fitted
    scoring: Scoring
    train: IdTrain
    file: Path | None = None


def ready(wanted: Wanted, *, device: torch.device, threads: int | None, report: Report, progress: Progress) -> Ready:
    """Return the detector: read where it was fitted from the same, else fitted and saved.

    Raises
    ------
    ResultsError
        The score was never run on this model and benchmark, or its row scores are missing, stale or of other code.
    ScoreError
        The score cannot be fitted.
    CacheError
        A cache is missing.
    """
    rows = _kept(wanted)
    calibration = _calibration(wanted, rows)
    result = _result(wanted)
    bank_rows = thinned_to(result)
    inputs = _inputs(wanted, rows, bank_rows, device)
    make = partial(open_engine, wanted.space, wanted.model, wanted.benchmark, device, bank_rows, progress)
    found = _read(wanted, inputs, device, report)
    if found is not None:
        if not np.array_equal(found.calibration, calibration):  # score ran again, with other threads say
            found = replace(found, calibration=calibration)
            keep(wanted.file, found, report)
        try:
            train = IdTrain(found, make, threads)
            return Ready(found, Scoring(wanted.score, found, train.bank, device, threads), train, wanted.file)
        except OtherQuestionsError:
            report(f"{wanted.file}: the score asks for something else now: it is fitted anew")
    with arithmetic(threads), torch.inference_mode():
        engine = make()
        answers = _told(wanted, engine, progress)
    remarks = [one for one in result.remarks if not one.startswith(THINNED)]
    fitted = Fitted(
        {**_about(wanted, engine), "inputs": inputs, "bank_rows": bank_rows, "remarks": remarks},
        calibration,
        None if engine.weight is None else engine.weight.cpu().numpy(),
        None if engine.bias is None else engine.bias.cpu().numpy(),
        answers,
    )
    train = IdTrain(fitted, lambda: engine, threads)
    scoring = Scoring(wanted.score, fitted, train.bank, device, threads)
    _check(wanted, scoring, engine, rows)
    report(f"fitted {wanted.name} on {wanted.benchmark.id_train} of {wanted.model}")
    keep(wanted.file, fitted, report)
    return Ready(fitted, scoring, train, wanted.file)


def _kept(wanted: Wanted) -> TestRows:
    """Return the row scores, or say what to run."""
    name, benchmark = str(wanted.model), wanted.benchmark.name
    if wanted.score.is_transductive():
        raise UsageError(
            f"the score '{wanted.name}' is transductive: its number of an image depends on the other test images, and "
            "detect judges each by itself",
            fix="choose another score; moodbench list scores --needs stream  names those that cannot be chosen",
        )
    if wanted.score.needs & BESIDE:
        what = "other models" if "members" in wanted.score.needs else "more than one vector of an image"
        raise UsageError(
            f"the score '{wanted.name}' reads {what}, and detect makes one vector of an image, with one model",
            fix="choose a score that reads the features or logits of the model alone, as --score knn",
        )
    if wanted.benchmark.each:
        raise UsageError(
            f"on '{benchmark}' each class in turn is ID: there is no single detector",
            fix="name a benchmark whose ID classes are fixed",
        )
    if not wanted.space.results_file(benchmark, wanted.model).exists():
        raise run_again(wanted.space, benchmark, {name: "there are no results"})
    try:
        rows = kept_rows(wanted.space, benchmark, name)
    except LackingError as error:
        raise run_again(wanted.space, benchmark, {name: str(error)}) from None
    params = wanted.score.describe()
    if (wanted.name, params) not in rows.kept.names:
        others = [said for score, said in rows.kept.names if score == wanted.name]
        raise ResultsError(
            f"there are no row scores of '{wanted.name}'{f' with {params}' if params else ''} on '{benchmark}' for "
            f"'{name}'" + (f": it was run with {' and '.join(others)}" if others else ": it was not run, or failed"),
            file=wanted.space.kept_scores_file(wanted.model, benchmark),
            fix=f"moodbench score --benchmark {benchmark} --model {name} --score {wanted.name}"
            + "".join(f" --param {wanted.name}.{key}={value}" for key, value in wanted.params.items()),
        )
    return rows


def _calibration(wanted: Wanted, rows: TestRows) -> NDArray[np.float64]:
    (places,), _ = rows.cells([])
    params = wanted.score.describe()
    return np.concatenate([rows.scores_of(wanted.name, params, place, ID) for place in places])


def _result(wanted: Wanted) -> Result:
    params = wanted.score.describe()
    found = read_results(wanted.space.results_file(wanted.benchmark.name, wanted.model))
    return next(row for row in found if row.score == wanted.name and kept_params(row.params) == params)


def thinned_to(result: Result) -> int | None:
    """Return to how many rows the memory bank of a result was thinned out; None if it was not."""
    found = (re.match(rf"{THINNED} (\d+) of \d+ rows", remark) for remark in result.remarks)
    return next((int(match[1]) for match in found if match is not None), None)


def _inputs(wanted: Wanted, rows: TestRows, bank_rows: int | None, device: torch.device) -> dict[str, Any]:
    """Return everything that a fit depends on. The OOD datasets are none of it."""
    made_from = rows.kept.owner["inputs"]
    roles = {key: value for key, value in made_from["benchmark"].items() if key != "ood"}
    needed = wanted.benchmark.needed
    inputs: dict[str, Any] = {
        "benchmark": roles,
        "contents": {name: made_from["contents"].get(name) for name in needed},
        "head": made_from.get("head"),
        "params": wanted.score.describe(),
        "bank_rows": bank_rows,
        "device": device.type,
        "versions": versions(*PACKAGES),
    }
    if not is_own(type(wanted.score)):
        place = class_place(type(wanted.score))
        inputs["source"] = None if place is None else hashlib.sha256(place[0].read_bytes()).hexdigest()
    return inputs


def _read(wanted: Wanted, inputs: Mapping[str, Any], device: torch.device, report: Report) -> Fitted | None:
    if not wanted.file.exists() or inputs.get("source", "") is None:
        return None
    try:
        found = read_fitted(wanted.file, device)
    except CacheError as error:
        report(f"{wanted.file}: {error.what}; it is fitted anew")
        return None
    return found if found.inputs == inputs else None


def keep(file: Path, fitted: Fitted, report: Report) -> None:
    """Write what was fitted; where that cannot be, say so: it can be fitted again."""
    try:
        write_fitted(file, fitted)
    except UnpackableError as error:
        report(f"note: what was fitted is not kept, and fitted anew each time: it has {error}")
    except CacheError as error:
        report(f"note: what was fitted is not kept: {error.what}")


def _told(wanted: Wanted, engine: Engine, progress: Progress) -> list[Answer]:
    """Fit the score, and return what it was told."""
    answers: list[Answer] = []
    held_out = None if engine.caches.held_out is None else partial(engine.blocks, engine.caches.held_out)
    _, missing = fit_scores(
        {wanted.name: recorded(wanted.score, answers)},
        engine.train,
        partial(engine.blocks, engine.caches.train),
        held_out,
        tolerant=True,
        progress=progress,
    )
    if missing:
        raise ScoreError(f"the score '{wanted.name}' cannot be fitted on '{wanted.model}': {missing[wanted.name]}")
    return answers


def _about(wanted: Wanted, engine: Engine) -> dict[str, Any]:
    caches, train = engine.caches, engine.train
    numbers = ("rows", "dim", "classes", "label_classes", "unlabelled", "own_classes", "used_classes")
    test = caches.test[wanted.benchmark.id_test[0]]
    return {
        "model": str(wanted.model),
        "benchmark": wanted.benchmark.name,
        "id_train": wanted.benchmark.id_train,
        "score": wanted.name,
        "params": dict(wanted.params),
        "description": wanted.score.describe(),
        "train": {name: getattr(train, name) for name in numbers},
        "logits": engine.logits,
        "recompute": caches.recompute,
        "columns": None if caches.columns is None else list(caches.columns),
        "network": {key: value for key, value in test.provenance.items() if key != "time"},
        "head": test.head,
    }


def _check(wanted: Wanted, scoring: Scoring, engine: Engine, rows: TestRows) -> None:
    """Refuse row scores that this code does not give to the same rows: then those of new images mean something else."""
    dataset = wanted.benchmark.id_test[0]
    kept = rows.kept.of(wanted.name, wanted.score.describe())[place_of(dataset)]
    cached = engine.logits and not engine.caches.recompute
    block = next(engine.caches.test[dataset].blocks(BLOCK, logits=cached))
    values = scoring(block.features, block.logits if cached else None)
    wanted_values = kept[: len(values)]
    spread = float(np.std(wanted_values[np.isfinite(wanted_values)])) if np.isfinite(wanted_values).any() else 0.0
    if not np.allclose(values, wanted_values, rtol=1e-3, atol=1e-3 * spread, equal_nan=True):
        raise ResultsError(
            f"the row scores of '{wanted.name}' were made otherwise than this code makes them: those of ID test differ",
            file=wanted.space.kept_scores_file(wanted.model, wanted.benchmark.name),
            fix=f"moodbench score --benchmark {wanted.benchmark.name} --model {wanted.model} --score {wanted.name}",
        )
