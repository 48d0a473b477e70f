"""What a worker does: it shows a range of ID train to statistics, merges two of them, or scores ranges of test rows.

Each is a function of its arguments alone, so that it can be done again elsewhere when a worker dies. What all tasks of
a run need (readers, head, fitted scores) a process takes over once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moodbench.cluster import the_ray
from moodbench.devices import arithmetic
from moodbench.errors import CacheError, MoodbenchError
from moodbench.evaluation.caches import Caches
from moodbench.evaluation.elsewhere import Answer, Predicted
from moodbench.evaluation.engine import Engine
from moodbench.evaluation.pieces import Piece, found_of
from moodbench.evaluation.remote.sent import packed, unpacked
from moodbench.release import __version__
from moodbench.scores.base import Score
from moodbench.scores.machinery.passes import key_of, one_pass
from moodbench.scores.machinery.statistics import Statistic


@dataclass(frozen=True)
class Setup:
    """What an engine is made of in a worker.

    Attributes
    ----------
    folder : str
        Where the command runs, which paths are relative to.
    caches : bytes
        Packed; see `opened`.
    device : str
    block, bank_rows, threads
        As those of the engine.
    version : str
        Of moodbench.
    """

    folder: str
    caches: bytes
    device: str
    block: int
    bank_rows: int | None
    threads: int
    version: str = __version__


Sent = tuple[str, list[Any]]
"""A name that no other has, and in a list, which keeps Ray from fetching it for each task, what it stands for."""

Fitted = dict[str, Score]

_engines: dict[str, Engine] = {}
_fitted: dict[str, Fitted] = {}
_settings = ExitStack()


Seen = dict[int, tuple[Statistic[Any], BaseException | None]]
"""Statistics by number, and what each raised."""


def update(setup: Sent, wanted: Sent, part: str, rows: range) -> tuple[None, bytes]:
    """Show a range of the rows of ID train (`part` "train") or of ID validation to statistics.

    `wanted` are the statistics, fresh, by number. Returned are that it is done, and `Seen`, packed.
    """
    engine = _engine(setup)
    with torch.inference_mode():
        statistics: dict[int, Statistic[Any]] = unpacked(the_ray().get(wanted[1][0]), engine)
        caches = engine.caches
        of_val = None if caches.held_out is None else lambda: ()
        if part == "train":
            faults = one_pass([*statistics.values()], lambda: engine.blocks(caches.train, within=rows), of_val)
        else:
            assert caches.held_out is not None
            held_out = caches.held_out
            faults = one_pass([*statistics.values()], tuple, lambda: engine.blocks(held_out, within=rows))
        seen: Seen = {number: (one, _sendable(faults.get(key_of(one)))) for number, one in statistics.items()}
        return None, packed(seen, engine)


def merge(setup: Sent, first: bytes, second: bytes) -> bytes:
    """Return statistics that have seen what two have seen, the rows of the first before those of the second."""
    engine = _engine(setup)
    with torch.inference_mode():
        seen: Seen = unpacked(first, engine)
        others: Seen = unpacked(second, engine)
        for number, (one, fault) in seen.items():
            other, its = others[number]
            if fault is None and its is None:
                try:
                    one.merge(other)
                except (Exception, SystemExit) as error:  # a fault of one must not cost the others
                    fault = _sendable(error)
            seen[number] = one, fault or its
        return packed(seen, engine)


def score(setup: Sent, fitted: Sent, names: Sequence[str], ranges: Sequence[tuple[str, range]], asks: bool) -> Answer:
    """Score ranges of test rows: several together, or one block by block, as the scores `names` are to be asked.

    `asks`: which classes are predicted is wanted too.
    """
    engine = _engine(setup)
    if fitted[0] not in _fitted:
        _fitted.clear()
        _fitted[fitted[0]] = unpacked(the_ray().get(fitted[1][0]), engine)
    scores = {name: _fitted[fitted[0]][name] for name in names}
    tested = {**engine.caches.test, **engine.caches.ood}
    pieces = (Piece(name, block) for name, rows in ranges for block in engine.blocks(tested[name], within=rows))
    together = any(one.cost != "products" for one in scores.values())
    failures: dict[str, str] = {}
    found: dict[str, list[Any]] = {name: [] for name in names}
    spans: list[tuple[str, slice]] = []
    predicted: list[Predicted | None] = []
    with torch.inference_mode():
        for some in [list(pieces)] if together else ([piece] for piece in pieces):
            for name, array in found_of(scores, some, failures).items():
                found[name].append(array)
            spans += [(piece.dataset, piece.rows) for piece in some]
            predicted += [engine.predicted_of(piece) if asks else None for piece in some]
    values = {name: np.concatenate(arrays) for name, arrays in found.items() if name not in failures}
    return Answer(spans, values, failures, predicted)


def _engine(setup: Sent) -> Engine:
    """Return this process's engine of a run, made when it is first asked for."""
    token, (sent,) = setup
    if token not in _engines:
        _engines.clear()
        _fitted.clear()
        made: Setup = the_ray().get(sent)
        if made.version != __version__:
            raise MoodbenchError(
                f"a machine of the Ray cluster has moodbench {__version__}, this one {made.version}",
                fix="install the same version on all of them",
            )
        try:
            os.chdir(made.folder)
        except OSError as error:
            raise CacheError(
                f"a machine of the Ray cluster cannot enter this folder: {error.strerror}",
                file=Path(made.folder),
                fix="caches must lie where all machines find them under the same path",
            ) from None
        _settings.close()
        _settings.enter_context(arithmetic(made.threads))
        with torch.inference_mode():
            caches: Caches = unpacked(made.caches)
            _engines[token] = Engine(caches, torch.device(made.device), made.block, made.bank_rows)
    return _engines[token]


def _sendable(error: BaseException | None) -> BaseException | None:
    """Return an error, or where it cannot be sent one of the same words."""
    if error is None:
        return None
    try:
        unpacked(packed(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
