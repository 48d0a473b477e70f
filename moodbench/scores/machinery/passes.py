"""Fits many scores together: one pass over the ID train rows serves every score that waits for one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from moodbench.errors import CacheError, ScoreError
from moodbench.progress import SILENT, Progress
from moodbench.scores.base import Fit, Score, Train
from moodbench.scores.block import HELD_OUT, Block
from moodbench.scores.machinery.statistics import Statistic
from moodbench.scores.machinery.written import error_place, in_words, is_own, method_place
from moodbench.types import TEXTS, lacking_texts

MOST_TEXT = 200
"""Characters of an error that a note takes."""

Request = Statistic[Any] | tuple[Statistic[Any], ...]

Faults = dict[Hashable, BaseException]
"""The keys of statistics that raised something, with what it was."""

Pass = Callable[
    [Mapping[Hashable, Statistic[Any]], Callable[[float], object]], tuple[dict[Hashable, Statistic[Any]], Faults]
]
"""A pass that other processes make: of fresh statistics by key it returns some that have seen all rows, and faults; it
may leave others out. It is told what to call with the number of rows done."""


def fit_scores(
    scores: Mapping[str, Score],
    train: Train,
    blocks: Callable[[], Iterable[Block]],
    held_out: Callable[[], Iterable[Block]] | None = None,
    *,
    tolerant: bool = False,
    progress: Progress = SILENT,
    elsewhere: Pass | None = None,
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
    elsewhere : callable, optional
        Makes passes in other processes. What it leaves out, and what is of somebody else's scores, is done here.

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

    def fail(name: str, error: BaseException) -> None:
        running.pop(name, None)
        if isinstance(error, CacheError):  # no fault of the score: the rows themselves cannot be read
            raise error
        if isinstance(error, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
            missing[name] = "a matrix of it could not be decomposed"
        elif isinstance(error, ScoreError) and is_own(type(scores[name])):
            missing[name] = error.what
        elif tolerant or isinstance(error, ScoreError):
            missing[name] = failure(error, scores[name])
        else:
            raise error

    def advance(name: str, fit: Fit, answer: Any) -> None:
        running.pop(name, None)
        try:
            request = fit.send(answer)
            _check_request(request)
            if held_out is None and train.rows < HELD_OUT and any(s.part != "train" for s in each_statistic(request)):
                raise ScoreError("too few ID train rows to hold some out")
            running[name] = (fit, request)
        except StopIteration:
            fitted[name] = scores[name]
        except (Exception, SystemExit) as error:  # somebody's score may raise anything
            fail(name, error)

    def start(name: str, score: Score) -> None:
        try:
            fit = score.fit(train if is_own(type(score)) else apart(train))
            if not isinstance(fit, Generator):
                raise ScoreError(f"fit() returned a value of type {type(fit).__name__}; it must yield, if only from ()")
        except (Exception, SystemExit) as error:
            fail(name, error)
        else:
            advance(name, fit, None)

    with progress.phase("fitting", len(scores), "score") as tick:
        for name, score in scores.items():
            lack = _lacking(score, train)
            if lack is not None:
                missing[name] = lack
            else:
                start(name, score)
            tick(1)
    number = 0
    while running:
        number += 1
        asked = [(s, scores[name]) for name, (_, request) in running.items() for s in each_statistic(request)]
        wanted = {key_of(s): s for s, _ in asked if key_of(s) not in values}
        foreign = {key_of(s) for s, score in asked if wanted.get(key_of(s)) is s and not is_own(type(score))}
        with progress.phase(f"pass {number} over ID train", train.rows) as tick:
            seen: dict[Hashable, Statistic[Any]] = {}
            faults: Faults = {}
            if elsewhere is not None:
                own = {key: s for key, s in wanted.items() if key not in foreign and s.divisible}
                seen, faults = elsewhere(own, tick) if own else ({}, {})
            rest = [s for key, s in wanted.items() if key not in seen and key not in faults]
            faults |= one_pass(rest, blocks, held_out, (lambda rows: None) if seen else tick, foreign)
            wanted |= seen
        for key, statistic in wanted.items():
            if key not in faults:
                try:
                    values[key] = statistic.finalize()
                except (Exception, SystemExit) as error:
                    faults[key] = error
        with progress.phase(f"fitting after pass {number}", len(running), "score") as tick:
            for name, (fit, request) in list(running.items()):
                keys = [key_of(statistic) for statistic in each_statistic(request)]
                fault = next((faults[key] for key in keys if key in faults), None)
                if fault is not None:
                    fail(name, fault)
                else:
                    found = [values[key] for key in keys]
                    if not is_own(type(scores[name])):
                        found = copy.deepcopy(found)
                    advance(name, fit, tuple(found) if isinstance(request, tuple) else found[0])
                tick(1)
    return {name: fitted[name] for name in scores if name in fitted}, missing


def failure(error: BaseException, score: Score) -> str:
    """Return what results say of a score that raised `error`, in one line; of somebody's own score, with the place."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split()))[:MOST_TEXT]
    said = text if isinstance(error, ScoreError) else f"failed: {type(error).__name__}{': ' if text else ''}{text}"
    cls = type(score)
    if is_own(cls):
        return said
    method = "fit" if text.startswith("fit()") else "score"
    place = in_words(error_place(error, cls) or method_place(cls, method))
    return f"{said} ({place})" if place else said


def _check_request(request: object) -> None:
    """Refuse what a fit may not ask for: the pass over the rows, which all scores share, would break."""
    for one in request if isinstance(request, tuple) else (request,):
        if not isinstance(one, Statistic):
            raise ScoreError(f"fit() asked for a value of type {type(one).__name__}; it must yield statistics")
        hash(key_of(one))


def one_pass(
    wanted: Sequence[Statistic[Any]],
    blocks: Callable[[], Iterable[Block]],
    held_out: Callable[[], Iterable[Block]] | None,
    tick: Callable[[float], object] = lambda rows: None,
    foreign: Collection[Hashable] = (),
) -> Faults:
    """Show rows to statistics; return the keys of those that raised something, with what it was.

    Those with the keys `foreign` are of scores that somebody else wrote, and are shown copies.
    """
    faults: Faults = {}

    def show(statistic: Statistic[Any], rows: Block) -> None:
        if key_of(statistic) not in faults:
            try:
                statistic.update(rows.apart() if key_of(statistic) in foreign else rows)
            except (Exception, SystemExit) as error:
                faults[key_of(statistic)] = error

    apart = [s for s in wanted if s.part == "held_out"] if held_out is not None else []
    inside = [s for s in wanted if s not in apart]
    for block in held_out() if held_out is not None and apart else ():
        for statistic in apart:
            show(statistic, block)
    for block in blocks() if inside else ():
        for statistic in inside:
            if statistic.part == "train":
                show(statistic, block)
            elif len(rows := block.held_out()):
                show(statistic, rows)
        tick(len(block))
    return faults


def apart(train: Train) -> Train:
    """Return the same with a head of its own."""
    weight, bias = (None if some is None else some.clone() for some in (train.weight, train.bias))
    return replace(train, weight=weight, bias=bias, texts={kind: one.clone() for kind, one in train.texts.items()})


def key_of(statistic: Statistic[Any]) -> Hashable:
    """Return what tells a statistic from others: of equal ones one is computed."""
    return (statistic.part, statistic.key)


def each_statistic(request: Request) -> Iterator[Statistic[Any]]:
    """Yield what a fit asks for at once."""
    if isinstance(request, tuple):
        yield from request
    else:
        yield request


def _lacking(score: Score, train: Train) -> str | None:
    try:
        score.views_among(train.cached_views or list(train.views))
        score.views_fitted(list(train.views))
    except ScoreError as error:
        return error.what
    if "head" in score.needs and train.weight is None:
        return "no head"
    for kind in TEXTS:
        if kind in score.needs and kind not in train.texts:
            return lacking_texts(kind)
    if "logits" in score.needs and train.classes is None:
        return "no logits"
    if "labels" in score.needs and train.label_classes == 0:
        some = 0 < train.unlabelled < train.rows
        return f"no label on {train.unlabelled} of {train.rows} ID train rows" if some else "no labels on ID train"
    return None
