"""A fitted detector: images → verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from moodbench.arguments import as_path, check_real, check_whole
from moodbench.detection.conformal import discoveries, p_values
from moodbench.detection.fitted import UnpackableError, read_fitted, write_fitted
from moodbench.detection.fitting import Ready, Wanted, keep, ready
from moodbench.detection.id_train import IdTrain, Neighbour, open_engine
from moodbench.detection.images import Given, given_images
from moodbench.detection.scoring import MOST, Scoring
from moodbench.detection.share import Share, share_out
from moodbench.devices import check_threads, resolve_device
from moodbench.errors import CacheError, ResultsError, UnknownNameError, UsageError
from moodbench.progress import SILENT, Progress
from moodbench.scores.base import create_score
from moodbench.scores.machinery.answers import OtherQuestionsError
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.models.backbone import Backbone

NEIGHBOURS = 3
FPR_ID = 0.05


@dataclass(frozen=True)
class Verdict:
    """What is said of one image.

    Attributes
    ----------
    image : str
        Its path, or ``#3`` of the third picture in memory.
    model, score : str
    value : float or None
        The score, higher = more in-distribution.
    p_value : float or None
        The share of ID images that would score as low: (1 + number of ID test images that score no higher) / (n + 1).
    verdict : {"in", "out"} or None
    error : str or None
        Why there is none.
    neighbours : list of Neighbour
        The nearest ID train images.
    """

    image: str
    model: str
    score: str
    value: float | None
    p_value: float | None
    verdict: Literal["in", "out"] | None
    error: str | None = None
    neighbours: list[Neighbour] = field(default_factory=list)


class Detector:
    """A score fitted on the ID train images of a benchmark, with the scores of its ID test images to compare with.

    Made by `Detector.load`; called with images, it returns a `Verdict` for each::

        detector = moodbench.Detector.load("digits_mim", "mahalanobis")
        for verdict in detector(["photo.jpg", PIL.Image.open("digit.png")]):
            print(verdict.image, verdict.verdict, verdict.p_value)
    """

    def __init__(
        self,
        parts: Ready,
        space: Workspace,
        *,
        device: str = "auto",
        checkpoint: Path | None = None,
        checkpoint_key: str | None = None,
        backbone: Backbone | None = None,
    ) -> None:
        self._fitted, self._scoring, self._train = parts.fitted, parts.scoring, parts.train
        self._file, self._space, self._device = parts.file, space, device
        self._weights: dict[str, Any] = {
            "checkpoint": checkpoint,
            "checkpoint_key": checkpoint_key,
            "backbone": backbone,
        }

    @classmethod
    def load(
        cls,
        model: str | None = None,
        score: str | None = None,
        *,
        benchmark: str | None = None,
        params: Mapping[str, Any] | None = None,
        head: str | None = None,
        file: str | Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_key: str | None = None,
        backbone: Backbone | None = None,
        workspace: Workspace | None = None,
        report: Report = lambda line: None,
        progress: Progress = SILENT,
    ) -> Detector:
        """Return the detector of (model, score) on a benchmark that was scored, or one that was saved to a file.

        What is fitted is kept among the caches, and read there the next time, unless something that it was made from
        has changed since.

        Parameters
        ----------
        model, score : str
        benchmark : str, optional
            May be left out where the model was scored on one only.
        params : mapping, optional
            Parameters of the score that differ from the defaults.
        head : str, optional
            A head other than the model's own.
        file : path, optional
            Instead of model and score: what `save` wrote. A score with a memory bank, and the nearest images, need
            the cache of ID train in the workspace all the same.
        device, threads
            As those of ``score``.
        checkpoint, checkpoint_key
            Of the model, where it was extracted with them.
        backbone : Backbone, optional
            The network, where it is one of the user's own.

        Raises
        ------
        UsageError
            A name is unknown, or it is not said what to load.
        ResultsError
            The score was never run there, or its row scores are missing or stale: the message says what to run.
        CacheError, ScoreError
            What is needed is missing, or the score cannot be fitted.
        """
        space = as_workspace(workspace)
        place = resolve_device(device)
        check_threads(threads)
        weights: dict[str, Any] = {"checkpoint": as_path(checkpoint), "backbone": backbone}
        weights["checkpoint_key"] = checkpoint_key
        if file is not None:
            if model is not None or score is not None or benchmark is not None or params or head is not None:
                raise UsageError("a file of a detector says its model, score and benchmark", fix="give file= alone")
            return cls(_from_file(Path(file), space, place, threads), space, device=device, **weights)
        if model is None or score is None:
            raise UsageError("a detector is of a model and a score", fix='Detector.load("digits_mim", "vim")')
        wanted = _wanted(space, model, score, benchmark, params or {}, head)
        parts = ready(wanted, device=place, threads=threads, report=report, progress=progress)
        return cls(parts, space, device=device, **weights)

    @property
    def about(self) -> Mapping[str, Any]:
        """What was fitted on what; see `moodbench.detection.fitted.Fitted`."""
        return self._fitted.about

    @property
    def calibration(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(n,) float64, the scores of the ID test images."""
        return self._fitted.calibration

    def save(self, file: str | Path) -> None:
        """Write the detector to a file that can be loaded elsewhere. Weights and ID train rows are not in it.

        Raises
        ------
        ResultsError
            The fit of somebody's own score holds what no file can.
        CacheError
            The file system refuses.
        """
        try:
            write_fitted(Path(file), self._fitted)
        except UnpackableError as error:
            raise ResultsError(f"the score '{self.about['score']}' cannot be saved: it has {error}") from None

    def __call__(
        self,
        images: Given | Iterable[Given],
        *,
        fpr_id: float = FPR_ID,
        fdr: float | None = None,
        neighbours: int = NEIGHBOURS,
        max_pixels: int | None = None,
        progress: Progress = SILENT,
    ) -> list[Verdict]:
        """Judge images.

        Parameters
        ----------
        images : path, PIL image, or several
        fpr_id : float
            An image is out where p <= fpr_id: so many ID images are called out, in the mean.
        fdr : float, optional
            Instead: of all images of this call that are called out, at most this share is ID, in the mean.
        neighbours : int
            How many of the nearest ID train images to name.
        max_pixels : int, optional
            Larger pictures count as undecodable.

        Raises
        ------
        UsageError
            A rate is no share, or something is no image.
        MoodbenchError
            The network cannot be had, or is another than that of the caches.
        """
        check_rates(fpr_id, fdr)
        check_whole(neighbours=neighbours)
        if neighbours < 0:
            raise UsageError(f"the number of neighbours cannot be negative, got {neighbours}")
        some = given_images([images] if isinstance(images, Given) else images, max_pixels)
        values, errors, near = self._values(some, neighbours, progress)
        good = ~np.isnan(values)
        p = np.full(len(values), np.nan)
        p[good] = p_values(self.calibration, values[good])
        out = np.zeros(len(values), bool)
        out[good] = p[good] <= fpr_id if fdr is None else discoveries(p[good], fdr)
        return [
            Verdict(
                name,
                self.about["model"],
                self.about["score"],
                float(values[i]) if good[i] else None,
                float(p[i]) if good[i] else None,
                ("out" if out[i] else "in") if good[i] else None,
                errors.get(i) or (None if good[i] else "the score is not a number"),
                near.get(i, []),
            )
            for i, name in enumerate(some.names)
        ]

    def share(self, verdicts: Iterable[Verdict]) -> Share:
        """Estimate which share of images is OOD (`moodbench.detection.share`)."""
        values = [verdict.value for verdict in verdicts if verdict.value is not None]
        return share_out(self.calibration, np.array(values, np.float64))

    def _values(
        self, images: Any, neighbours: int, progress: Progress
    ) -> tuple[np.ndarray[Any, np.dtype[np.float64]], dict[int, str], dict[int, list[Neighbour]]]:
        """Return the score of every image (NaN where there is none), why, and the nearest ID train images."""
        values = np.full(len(images), np.nan)
        errors: dict[int, str] = {}
        near: dict[int, list[Neighbour]] = {}
        start = 0
        with progress.phase("images", len(images), "img") as tick:
            for features, logits, faults in self._extractor(images, MOST) if len(images) else ():
                errors |= {start + place: _reason(error.what) for place, error in faults.items()}
                done = np.setdiff1d(np.arange(len(features)), list(faults))
                if len(done):
                    rows, others = features[done], None if logits is None else logits[done]
                    values[start + done] = self._scoring(rows, others)
                    if neighbours:
                        found = self._train.nearest(rows, neighbours)
                        near |= {start + int(place): one for place, one in zip(done, found, strict=True)}
                start += len(features)
                tick(len(features))
        return values, errors, near

    @cached_property
    def _extractor(self) -> Any:
        from moodbench.detection.network import Extractor, build

        backbone = build(self._space.catalog, self.about, **self._weights)
        known = self._fitted.about.setdefault("least", {})
        here = f"{self._scoring.machine} torch {version('torch')}"
        extractor = Extractor(backbone, self.about["network"], self._device, known.get(here))
        if here not in known:
            known[here] = extractor.least
            if self._file is not None:
                keep(self._file, self._fitted, lambda line: None)
        return extractor


def check_rates(fpr_id: float, fdr: float | None) -> None:
    """Raise a `UsageError` unless the rates are shares."""
    check_real(fpr_id=fpr_id)
    check_real(optional=True, fdr=fdr)
    for name, rate in (("fpr-id", fpr_id), ("fdr", fdr)):
        if rate is not None and not 0 < rate < 1:
            raise UsageError(f"--{name} is a share between 0 and 1, got {rate:g}", fix=f"--{name} 0.05 is 5 %")


def _reason(what: str) -> str:
    return what.removeprefix("an image cannot be decoded: ")


def _wanted(
    space: Workspace, model: str, score: str, benchmark: str | None, params: Mapping[str, Any], head: str | None
) -> Wanted:
    name = ModelName.parse(model)
    if head is not None:
        if name.head is not None:
            raise UsageError("the model is named with a head, and --head names another")
        name = replace(name, head=head)
    if score in space.imported_scores(name):
        raise UsageError(
            f"'{score}' is an imported score: nobody here can compute it for another image",
            fix="choose a score that moodbench computes, as --score knn",
        )
    made = create_score(score, params)
    cached = space.cached_models()
    if name.without_head not in cached:
        raise UnknownNameError("cached model", str(name), map(str, cached), fix="extract or import it first")
    if name.head is not None and not space.head_file(name).exists():
        raise UnknownNameError("cached head", name.head, [file.stem for file in space.other_heads(name)])
    return Wanted(space, name, space.catalog.benchmark(_benchmark(space, name, benchmark)), score, made, params)


def _benchmark(space: Workspace, name: ModelName, benchmark: str | None) -> str:
    if benchmark is not None:
        return benchmark
    suffix = "" if name.head is None else f"+{name.head}"
    stems = [file.stem for file in space.kept_scores(name)]
    found = [stem.removesuffix(suffix) for stem in stems if stem.partition("+")[2] == (name.head or "")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"'{name}' was scored on several benchmarks: {', '.join(found)}", fix="name one: --benchmark")
    raise ResultsError(
        f"there are no row scores of '{name}' to compare with",
        file=space.cache_dir,
        fix=f"moodbench score --model {name}",
    )


def _from_file(file: Path, space: Workspace, device: Any, threads: int | None) -> Ready:
    fitted = read_fitted(file, device)
    about = fitted.about
    if "model" not in about:
        raise CacheError(
            f"the detector was fitted on arrays, with the score '{about['score']}'",
            file=file,
            fix="moodbench.detectors has its class, and that a load(file)",
        )
    try:
        score = create_score(about["score"], about["params"])
        train = IdTrain(fitted, partial(_engine, space, about, device), threads)
        return Ready(fitted, Scoring(score, fitted, train.bank, device, threads), train)
    except OtherQuestionsError as error:
        raise CacheError(
            f"the detector was fitted with other code: {error}", file=file, fix="fit and save it again"
        ) from None


def _engine(space: Workspace, about: Mapping[str, Any], device: Any) -> Any:
    spec = space.catalog.benchmark(about["benchmark"])
    return open_engine(space, ModelName.parse(about["model"]), spec, device, about["bank_rows"])
