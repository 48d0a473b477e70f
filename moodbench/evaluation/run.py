"""The scores of one model on one benchmark: its protocol, run over the caches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from moodbench.catalog import BenchmarkSpec
from moodbench.devices import arithmetic
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.engine import BLOCK, Elsewhere
from moodbench.evaluation.imported import WithImported
from moodbench.evaluation.measure import ResultRows
from moodbench.evaluation.noise import with_noise
from moodbench.evaluation.protocols import PROTOCOLS, ScoreRun
from moodbench.evaluation.seeds import Copies, mean_over_seeds, of_draw
from moodbench.progress import SILENT, Progress
from moodbench.scores.base import Score
from moodbench.scores.machinery.variants import score_of


def score_caches(
    benchmark: BenchmarkSpec,
    caches: Caches,
    scores: Mapping[str, Score],
    *,
    model: str = "",
    pretext: str = "unspecified",
    device: torch.device | None = None,
    threads: int | None = None,
    bank_rows: int | None = None,
    seeds: int = 1,
    label_noise: tuple[float, int] | None = None,
    block: int = BLOCK,
    progress: Progress = SILENT,
    seconds: dict[str, float] | None = None,
    elsewhere: Elsewhere | None = None,
) -> ScoreRun:
    """Fit `scores` on ID train and measure them on every OOD dataset that `caches` has.

    Parameters
    ----------
    benchmark : BenchmarkSpec
        Groups the OOD datasets. Those that `caches` lacks get no row, and their groups no mean.
    caches : Caches
    scores : mapping of label to score
        The label is the score's name, or of one among several variants as `machinery.variants` makes it.
    model, pretext : str
        To write into the rows.
    device : torch.device, default=CPU
    threads : int, optional
        Of the CPU; by default torch's own choice.
    bank_rows : int, optional
        Thin out the memory bank to this many ID train rows; by default it has all.
    seeds : int
        Run scores that have a seed with so many, from their own upwards; their rows hold means over the seeds, and how
        far these spread. All share the passes over the rows.
    label_noise : (float, int), optional
        Share of the labels of ID train that are replaced by another class, and the seed of the draw.
    progress : Progress
        Shows how far it is.
    seconds : dict, optional
        Is filled: label of a score → the time that a test row takes it, alone (`moodbench.evaluation.timing`).
    elsewhere : Elsewhere, optional
        Other processes that share the work; by default it is done here.

    Returns
    -------
    ScoreRun
        Rows name the scores, and values are under their labels. A score that lacks something has rows without numbers
        and a note that says what.
    """
    place = device or torch.device("cpu")
    make = partial(
        WithImported,
        device=place,
        block=block,
        bank_rows=bank_rows,
        progress=progress,
        seconds=seconds,
        elsewhere=elsewhere,
    )
    with arithmetic(threads), torch.inference_mode():
        if caches.joined is None:
            caches = caches.by_name(benchmark.aliases, benchmark.id_classes)
        caches = make(caches).settle_classes()
        if label_noise is not None:
            caches = with_noise(caches, *label_noise)
        rows = partial(ResultRows, model=model, pretext=pretext)
        copies = Copies.make(scores, seeds)
        run = PROTOCOLS.get(benchmark.protocol)(benchmark, caches, copies.scores, make, rows)
        run = copies.together(run)
        return replace(run, rows=[replace(row, score=score_of(row.score)) for row in run.rows])


def score_noisy(
    benchmark: BenchmarkSpec, caches: Caches, scores: Mapping[str, Score], share: float, *, seeds: int = 1, **how: Any
) -> ScoreRun:
    """Do as `score_caches` with a share of the labels of ID train wrong, drawn with the seeds 0, 1, …

    Parameters
    ----------
    scores : mapping of label to Score
        Of `moodbench.evaluation.noise.under_noise`. Those with a seed of their own take the next with each draw.
    share : float
    seeds : int
        Draws. Rows are means over them, and say how far these spread; row scores are those of the first.
    """
    runs = []
    for draw in range(seeds):
        its = {label: of_draw(one, draw) for label, one in scores.items()}
        runs.append(score_caches(benchmark, caches, its, label_noise=(share, draw), **how))
    first = {(score_of(label), one.describe()): one.describe(seeds) for label, one in scores.items()}
    rows = [mean_over_seeds(rows, range(seeds)) for rows in zip(*(run.rows for run in runs), strict=True)]
    return replace(runs[0], rows=[replace(row, params=first[row.score, row.params]) for row in rows])
