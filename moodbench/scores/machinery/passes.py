"""Fits many scores together: one pass over the ID train rows serves every score that waits for one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import torch

from moodbench.errors import CacheError, ScoreError
from moodbench.progress import SILENT, Progress
from moodbench.scores.base import Fit, Score, Train
from moodbench.scores.block import HELD_OUT, Block
from moodbench.scores.machinery.statistics import Statistic

Request = Statistic[Any] | tuple[Statistic[Any], ...]


def fit_scores(
    scores: Mapping[str, Score],
    train: Train,
    blocks: Callable[[], Iterable[Block]],
    held_out: Callable[[], Iterable[Block]] | None = None,
    *,
    tolerant: bool = False,
    progress: Progress = SILENT,
) -> tuple[dict[str, Score], dict[str, str]]:
    """Fit every score on the ID train rows.

    Parameters
    ----------
    scores : mapping of name to score
    train : Train
    blocks : callable
        Starts a new pass over the rows.
    held_out : callable, optional
        The same for ID rows kept for tuning. Without it, every tenth ID train row is.
    tolerant : bool
        A score that raises anything is listed under `missing` instead: a fault of one must not cost the others.

    progress : Progress
        Is told of every pass over the rows, and of the fits between passes.

    Returns
    -------
    fitted : dict
        The scores that can be used, fitted.
    missing : dict
        For each of the others, what it lacks, in words ("no head").

    Notes
    -----
    Each fit is a generator that asks for statistics. All that are asked for at the same time are computed in one pass;
    equal ones (by `key`) once for all passes. Scores that ask for nothing cost nothing.
    """
    fitted: dict[str, Score] = {}
    missing: dict[str, str] = {}
    running: dict[str, tuple[Fit, Request]] = {}
    values: dict[Hashable, Any] = {}

    def advance(name: str, fit: Fit, answer: Any) -> None:
        running.pop(name, None)
        try:
            request = fit.send(answer)
            if held_out is None and train.rows < HELD_OUT and any(s.part != "train" for s in _each(request)):
                raise ScoreError("too few ID train rows to hold some out")
            running[name] = (fit, request)
        except StopIteration:
            fitted[name] = scores[name]
        except ScoreError as error:
            missing[name] = error.what
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            missing[name] = "a matrix of it could not be decomposed"
        except CacheError:  # no fault of the score: the rows themselves cannot be read
            raise
        except Exception as error:
            if not tolerant:
                raise
            missing[name] = failure(error)

    with progress.phase("fitting", len(scores), "score") as tick:
        for name, score in scores.items():
            lack = _lacking(score, train)
            if lack is not None:
                missing[name] = lack
            else:
                advance(name, score.fit(train), None)
            tick(1)
    number = 0
    while running:
        number += 1
        wanted = {_key(s): s for _, request in running.values() for s in _each(request) if _key(s) not in values}
        with progress.phase(f"pass {number} over ID train", train.rows) as tick:
            _one_pass(list(wanted.values()), blocks, held_out, tick)
        values |= {key: statistic.finalize() for key, statistic in wanted.items()}
        with progress.phase(f"fitting after pass {number}", len(running), "score") as tick:
            for name, (fit, request) in list(running.items()):
                found = [values[_key(statistic)] for statistic in _each(request)]
                advance(name, fit, tuple(found) if isinstance(request, tuple) else found[0])
                tick(1)
    return {name: fitted[name] for name in scores if name in fitted}, missing


def failure(error: Exception) -> str:
    """Return what results say of a score that raised `error`, in one line."""
    text = " ".join(str(error).split())
    return f"failed: {type(error).__name__}: {text[:120]}"


def _one_pass(
    wanted: list[Statistic[Any]],
    blocks: Callable[[], Iterable[Block]],
    held_out: Callable[[], Iterable[Block]] | None,
    tick: Callable[[float], object],
) -> None:
    apart = [s for s in wanted if s.part == "held_out"] if held_out is not None else []
    inside = [s for s in wanted if s not in apart]
    for block in held_out() if held_out is not None and apart else ():
        for statistic in apart:
            statistic.update(block)
    for block in blocks() if inside else ():
        for statistic in inside:
            if statistic.part == "train":
                statistic.update(block)
            elif len(rows := block.held_out()):
                statistic.update(rows)
        tick(len(block))


def _key(statistic: Statistic[Any]) -> Hashable:
    return (statistic.part, statistic.key)


def _each(request: Request) -> Iterator[Statistic[Any]]:
    if isinstance(request, tuple):
        yield from request
    else:
        yield request


def _lacking(score: Score, train: Train) -> str | None:
    if "head" in score.needs and train.weight is None:
        return "no head"
    if "logits" in score.needs and train.classes is None:
        return "no logits"
    if "labels" in score.needs and train.label_classes == 0:
        some = 0 < train.unlabelled < train.rows
        return f"no label on {train.unlabelled} of {train.rows} ID train rows" if some else "no labels on ID train"
    return None
