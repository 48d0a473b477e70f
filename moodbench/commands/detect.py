"""What ``moodbench detect`` does: images → is each in- or out-of-distribution, how sure is that, and what is near."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_path, check_params, check_whole
from moodbench.before_torch import set_switches
from moodbench.errors import UsageError
from moodbench.names import as_text, printable
from moodbench.sheets import exact_line, shown_line
from moodbench.sizes import many
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.formats.text import PLAIN, plain_within
from moodbench.tables.grid import Cell, Column, Row, Table
from moodbench.tables.notebooks import InNotebooks, frame_of
from moodbench.types import Report
from moodbench.workspace import Workspace, as_workspace

if TYPE_CHECKING:
    from pandas import DataFrame

    from moodbench.detection.detector import Verdict
    from moodbench.detection.id_train import Neighbour
    from moodbench.detection.share import Share

STDIN = "-"

FIELDS = ("image", "model", "score", "value", "p_value", "verdict", "error", "neighbours")
"""Of an image, in JSON and CSV."""


@dataclass(frozen=True, repr=False)
class Detected(InNotebooks):
    """The verdicts in the order in which images were named, and how to show them. Printed: the table in Markdown.

    Attributes
    ----------
    verdicts : tuple of Verdict
    shares : mapping of folder to Share
        The estimated share of OOD images of each folder that was named.
    table : Table
    unread : tuple of str
        Files that were named themselves, here or in the list, and could not be read.
    """

    verdicts: tuple[Verdict, ...]
    shares: Mapping[str, Share]
    table: Table
    unread: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text("markdown")

    def readable(self) -> list[Table]:
        """Return the table."""
        return [self.table]

    def to_frame(self) -> DataFrame:
        """Return the verdicts in pandas, a row an image."""
        return frame_of(self.verdicts)

    def text(self, format: str = PLAIN, width: int | None = None) -> str:
        """Return the table as text; of "json" and "csv" what the methods of these names return.

        `width`: letters of a line of the format "plain".
        """
        if format == "json":
            return self.json()
        if format == "csv":
            return self.csv()
        return plain_within([self.table], width) if format == PLAIN else FORMATS.get(format)([self.table])

    def json(self) -> str:
        """Return a JSON object a line: of each image, then of each folder."""
        lines = []
        for verdict in self.verdicts:
            record = {name: value for name, value in asdict(verdict).items() if name in FIELDS}
            record["image"] = as_text(verdict.image)
            record["neighbours"] = [_named(one) for one in record["neighbours"]]
            if record["value"] is not None and not math.isfinite(record["value"]):
                record["value"] = None  # JSON has no infinity; the p-value says all
            lines.append(record)
        for folder, share in self.shares.items():
            estimate = {"share_out": share.out, "share_out_low": share.low, "share_out_high": share.high}
            lines.append({"folder": as_text(folder), "images": share.images, **estimate})
        return "".join(json.dumps(line) + "\n" for line in lines)

    def csv(self) -> str:
        """Return CSV, a line an image; the names of its neighbours are a JSON array."""
        lines = [exact_line(FIELDS)]
        for verdict in self.verdicts:
            values = [getattr(verdict, name) for name in FIELDS[:-1]]
            near = json.dumps([one.image for one in verdict.neighbours], ensure_ascii=False)
            texts = (as_text(value) if isinstance(value, str) else value for value in values)
            lines.append(shown_line([*texts, near if verdict.neighbours else None]))
        return "".join(lines)


def detect(
    images: str | Path | Sequence[str | Path],
    *,
    model: str,
    score: str,
    benchmark: str | None = None,
    params: Mapping[str, Any] | None = None,
    head: str | None = None,
    fpr_id: float | None = None,
    fdr: float | None = None,
    neighbours: int = 3,
    checkpoint: str | Path | None = None,
    checkpoint_key: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    max_pixels: int | None = None,
    listed: bytes = b"",
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> Detected:
    """Say of images whether they are in- or out-of-distribution.

    Parameters
    ----------
    images : path or sequence of paths
        Image files, folders (all images in them and below), and ``-`` for the paths of such in `listed`, one a line.
    model, score, benchmark, params, head, checkpoint, checkpoint_key, device, threads
        See `moodbench.detection.detector.Detector.load`.
    fpr_id : float, optional
        An image is out where its p-value is at most this; 0.05 by default.
    fdr : float, optional
        Instead: of all images here that are called out, at most this share is ID, in the mean (Benjamini and
        Hochberg).
    neighbours : int
        How many of the nearest ID train images to name.
    max_pixels : int, optional
        Larger pictures count as undecodable.

    Raises
    ------
    UsageError
        A name is unknown, or options contradict each other.
    DataError
        A folder holds no image.
    MoodbenchError
        As `moodbench.detection.detector.Detector.load` and its call.
    """
    if fpr_id is not None and fdr is not None:
        raise UsageError("--fpr-id and --fdr are two rules for a verdict", fix="give one of them")
    check_params(params, '{"k": 10}')
    check_whole(neighbours=neighbours)
    check_whole(optional=True, threads=threads, max_pixels=max_pixels)
    space = as_workspace(workspace)
    set_switches()
    from moodbench.detection.images import images_below

    paths: list[Path] = []
    folders: dict[str, slice] = {}
    named: list[int] = []
    for path in _named_paths(images, listed):
        if path.is_dir():
            some = images_below(path, report)
            folders[str(path)] = slice(len(paths), len(paths) + len(some))
        else:
            some = [path]
            named.append(len(paths))
        paths += some
    if not paths:
        raise UsageError("no image is named", fix="moodbench detect IMAGE… --model M --score S")
    from moodbench.detection.detector import FPR_ID, Detector, check_rates
    from moodbench.progress import Progress

    fpr_id = FPR_ID if fpr_id is None else fpr_id
    check_rates(fpr_id, fdr)
    bars = Progress(f"{score} on {model}", progress)
    detector = Detector.load(
        model,
        score,
        benchmark=benchmark,
        params=params,
        head=head,
        device=device,
        threads=threads,
        checkpoint=as_path(checkpoint),
        checkpoint_key=checkpoint_key,
        workspace=space,
        report=report,
        progress=bars,
    )
    verdicts = detector(paths, fpr_id=fpr_id, fdr=fdr, neighbours=neighbours, max_pixels=max_pixels, progress=bars)
    shares = {folder: detector.share(verdicts[rows]) for folder, rows in folders.items()}
    for verdict in verdicts:
        if verdict.error is not None:
            report(f"{printable(verdict.image)}: {verdict.error}")
    about = detector.about
    rule = f"p ≤ {fpr_id:g}" if fdr is None else f"a false discovery rate of {fdr:g}"
    table = _table(
        verdicts, about, rule, neighbours, _notes(verdicts, about, detector.calibration, fpr_id, fdr, shares)
    )
    unread = tuple(verdicts[place].image for place in named if verdicts[place].value is None)
    return Detected(tuple(verdicts), shares, table, unread)


def _named_paths(images: str | Path | Sequence[str | Path], listed: bytes) -> Iterator[Path]:
    """Yield what was named, with the lines of the list in the place of ``-``."""
    from moodbench.detection.images import listed_images

    for item in [images] if isinstance(images, str | Path) else images:
        yield from listed_images(listed) if str(item) == STDIN else [Path(item)]


def _table(
    verdicts: Sequence[Verdict], about: Mapping[str, Any], rule: str, neighbours: int, notes: Sequence[str]
) -> Table:
    out = sum(verdict.verdict == "out" for verdict in verdicts)
    judged = sum(verdict.verdict is not None for verdict in verdicts)
    whose = f"{about['score']} on {about['model']}, fitted on {about['id_train']}"
    if judged == 1:
        (only,) = (verdict for verdict in verdicts if verdict.verdict is not None)
        answer = f"{only.verdict}: p = {_rounded(only.p_value)} ({whose}; out at {rule})"
    else:
        answer = f"{out} of {many(judged, 'image')} {'is' if out == 1 else 'are'} out, at {rule} ({whose})"
        if judged < len(verdicts):
            failed = len(verdicts) - judged
            answer = f"{answer}; {failed} of {len(verdicts)} could not be read"
    near = [Column((f"nearest images of {about['id_train']}",), kind="text")] if neighbours else []
    columns = (*(Column((name,), kind="text") for name in ("verdict", "p", "score")), *near)
    rows = []
    for verdict in verdicts:
        value = "" if verdict.value is None else f"{verdict.value:.6g}"
        said = verdict.verdict or f"none: {verdict.error}"
        cells = [Cell(said), Cell(_rounded(verdict.p_value)), Cell(value)]
        shown = ", ".join(map(_near, verdict.neighbours))
        rows.append(Row("", printable(verdict.image), (*cells, *([Cell(shown)] if neighbours else []))))
    return Table(answer, ("", "image"), tuple(columns), tuple(rows), tuple(notes))


def _notes(
    verdicts: Sequence[Verdict],
    about: Mapping[str, Any],
    calibration: Any,
    fpr_id: float,
    fdr: float | None,
    shares: Mapping[str, Share],
) -> Sequence[str]:
    notes = []
    for folder, share in shares.items():
        if share.out is None or share.low is None or share.high is None:
            continue
        if (share.low, share.high) == (0.0, 1.0):
            images = many(share.images, "image is OOD", "images are OOD")
            notes.append(f"{printable(folder)}: how many of its {images} cannot be told (95 %: 0.0 to 100.0 %).")
        else:
            notes.append(
                f"{printable(folder)}: an estimated {100 * share.out:.1f} % of its {many(share.images, 'image')} "
                f"{'is' if share.images == 1 else 'are'} OOD (95 %: {100 * share.low:.1f} to {100 * share.high:.1f} %; "
                "the upper limit holds where OOD images seldom score above the middle of ID)."
            )
    n = len(calibration)
    notes.append(
        f"p: the share of ID images that would score as low, by {n} ID test images of {about['benchmark']}; the least "
        f"that these can show is {1 / (n + 1):.2g}."
    )
    if fdr is None and 1 / (n + 1) > fpr_id:
        notes.append(f"With so few ID test images, no image can be out at p ≤ {fpr_id:g}.")
    twins = sum(any(one.identical for one in verdict.neighbours) for verdict in verdicts)
    if twins:
        notes.append(
            f"{many(twins, 'image is', 'images are')} identical to an ID train image, as the network sees them: "
            "p holds for images that took no part in training."
        )
    return [*notes, *about["remarks"]]


def _rounded(p: float | None) -> str:
    return "" if p is None else f"{p:.2g}" if p < 0.001 else f"{p:.3f}"


def _of_class(name: str | None) -> str:
    return "" if name is None else f" ({name})"


def _named(neighbour: Mapping[str, Any]) -> dict[str, Any]:
    named = {"image": neighbour["image"], "class": neighbour["class_name"], "cosine": neighbour["cosine"]}
    return {**named, "identical": neighbour["identical"]}


def _near(neighbour: Neighbour) -> str:
    how = "identical" if neighbour.identical else f"{neighbour.cosine:.2f}"
    return f"{neighbour.image}{_of_class(neighbour.class_name)} {how}"
