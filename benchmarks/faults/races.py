"""Commands that run at the same time on the same folders."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.faults import tiny
from benchmarks.faults.trial import Outcome, Row, attempt, side_by_side
from moodbench.commands.cache import list_caches, remove_caches, verify_caches
from moodbench.commands.probe import probe
from moodbench.workspace import ModelName, Workspace

SCORES = ("msp", "energy", "euclid", "mahalanobis")

Work = Callable[[], object]


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Let commands race; what is there in the end must be what one after the other leaves."""
    space = tiny.make(folder / "tiny", seed)
    chance = random.Random(seed)
    yield _scoring(space, folder, chance)
    yield _probing(space, folder)
    yield _importing(space, folder, chance)
    yield _import_and_remove(space, folder)
    yield _score_and_remove(space, folder, chance)


def _scoring(space: Workspace, folder: Path, chance: random.Random) -> Row:
    """Two to four runs of score, each with another score; every other time on top of results that are there."""
    row, wanted = Row("score × 2 to 4 at once: every row of each, byte for byte"), {}
    for number in range(200):
        scores = tuple(chance.sample(SCORES, 2 + number % 3))
        there = ("knn",) if number % 2 else ()
        key = (frozenset(scores), there)
        if key not in wanted:
            alone = tiny.copy(space, folder / "alone")
            wanted[key] = attempt(partial(_one_by_one, alone, (*there, *sorted(scores)))).value
            _clear(alone)
        here = tiny.copy(space, folder / "here")
        if there:
            attempt(partial(tiny.run, here, *there))
        outcomes = side_by_side([partial(tiny.run, here, score) for score in scores])
        lost = tiny.written(here) != wanted[key] or bool(tiny.left_over(here))
        row.count(_worst(outcomes), right=True, lost=lost, case=f"{number}: {scores}")
        _clear(here)
    return row


def _one_by_one(space: Workspace, scores: tuple[str, ...]) -> dict[str, bytes]:
    for score in scores:
        tiny.run(space, score)
    return tiny.written(space)


def _probing(space: Workspace, folder: Path) -> Row:
    row = Row("probe × 2 at once: one head")
    file = space.head_file(ModelName(tiny.MODEL, head="probe"))
    for number in range(20):
        here = tiny.copy(space, folder / "here")
        head = tiny.home(here) / file.relative_to(tiny.home(space))
        work = partial(_probed, here)
        outcomes = side_by_side([work, work])
        already = sorted(bool(outcome.value) for outcome in outcomes)
        right = already == [False, True] and head.exists() and not tiny.left_over(here)
        row.count(_worst(outcomes), right=right, case=f"{number}: {already}, {tiny.left_over(here)}")
        _clear(here)
    return row


def _probed(space: Workspace) -> bool:
    (done,) = probe(tiny.MODEL, benchmark=tiny.BENCHMARK, device="cpu", threads=1, workspace=space)
    return done.already


def _importing(space: Workspace, folder: Path, chance: random.Random) -> Row:
    """Imports of one new model with different heads: one is stored, and every cache was made with it."""
    row = Row("import × 3 at once with different heads: one head, and caches of it")
    for number in range(40):
        here = tiny.copy(space, folder / "here")
        works: list[Work] = []
        for i, name in enumerate(tiny.DATASETS):
            head = f"head{i}.npz"
            with np.load(tiny.home(here) / "head.npz") as arrays:
                np.savez(tiny.home(here) / head, weight=arrays["weight"] + i, bias=arrays["bias"])
            works.append(partial(tiny.put, here, name, model="new", head=head))
        chance.shuffle(works)
        outcomes = side_by_side(works)
        done = sum(outcome.ending == "done" for outcome in outcomes)
        right = 1 <= done == len(list_caches(here, ["new"])) and not _faults(here) and not tiny.left_over(here)
        refused = Outcome("refused" if done < len(works) else "done")
        worst = _worst(outcomes)
        row.count(refused if worst.ending == "refused" else worst, right=right, lost=not right, case=str(number))
        _clear(here)
    return row


def _import_and_remove(space: Workspace, folder: Path) -> Row:
    """A cache that was imported has its head, whatever was removed meanwhile."""
    row = Row("import against cache remove: no cache without its head")
    for number in range(40):
        here = tiny.copy(space, folder / "here")
        remove_caches(here, tiny.MODEL, ["far"])
        away = partial(remove_caches, here, tiny.MODEL, ["train", "test"])
        outcomes = side_by_side([partial(tiny.put, here, "far"), away])
        there = here.cached_datasets(ModelName(tiny.MODEL))
        done = outcomes[0].ending == "done"
        lost = done and (there != ["far"] or not here.head_file(ModelName(tiny.MODEL)).exists() or bool(_faults(here)))
        row.count(_worst(outcomes), right=True, lost=lost, case=f"{number}: {there}")
        _clear(here)
    return row


def _score_and_remove(space: Workspace, folder: Path, chance: random.Random) -> Row:
    """Scoring ends with the right rows, or with one message and none."""
    row = Row("score against cache remove: the right rows, or one message")
    alone = tiny.copy(space, folder / "alone")
    wanted = attempt(partial(_one_by_one, alone, ("knn",))).value
    _clear(alone)
    for number in range(40):
        here = tiny.copy(space, folder / "here")
        datasets = (["far"], ["test"], [])[number % 3]
        later = partial(_later, chance.random() * 0.2, partial(remove_caches, here, tiny.MODEL, datasets))
        works: list[Work] = [partial(tiny.run, here, "knn"), later]
        outcomes = side_by_side(works)
        found = tiny.written(here)
        right = found in ({}, wanted) and (outcomes[0].ending == "done") == bool(found)
        row.count(_worst(outcomes), right=right, lost=outcomes[1].ending != "done", case=f"{number}: {datasets}")
        _clear(here)
    return row


def _later(seconds: float, work: Work) -> object:
    time.sleep(seconds)
    return work()


def _faults(space: Workspace) -> list[object]:
    return [one for one in verify_caches(space) if getattr(one, "fault", None) is not None]


def _worst(outcomes: list[Outcome]) -> Outcome:
    order = ("done", "refused", "memory", "hang", "died", "traceback")
    return max(outcomes, key=lambda outcome: order.index(outcome.ending))


def _clear(space: Workspace) -> None:
    shutil.rmtree(tiny.home(space))
