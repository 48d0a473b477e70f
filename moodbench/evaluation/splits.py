"""The kept row scores of pairs of model and score, parted into ID and OOD, as pictures are given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from moodbench.evaluation.kept import KeptRows, LackingError, kept_params, run_again
from moodbench.evaluation.rows import Array, TestRows
from moodbench.features.rowscores import ID, OOD, place_of
from moodbench.plots.given import Pair, Split


def splits_of(kept: KeptRows, pairs: Sequence[Pair], oods: Sequence[str]) -> Mapping[Pair, Sequence[Split]]:
    """Return the row scores of each pair: for each OOD dataset that has rows, those and the ID rows beside them.

    Raises
    ------
    ResultsError
        Row scores are missing or stale; the message names every model of which they are, and what to run.
    """
    lacking: dict[str, str] = {}
    found: dict[Pair, list[Split]] = {}
    for model in dict.fromkeys(model for model, _ in pairs):
        try:
            rows = kept.of(model.name)
        except LackingError as error:
            lacking[model.name] = str(error)
            continue
        for pair in pairs:
            if pair[0] == model:
                try:
                    found[pair] = _of_pair(rows, pair[1].score, kept_params(pair[1].params), oods)
                except KeyError:
                    lacking.setdefault(model.name, f"there are none of {pair[1].score}")
    if lacking:
        raise run_again(kept.space, kept.benchmark, lacking)
    return {pair: found[pair] for pair in pairs}


def _of_pair(rows: TestRows, score: str, params: str, oods: Sequence[str]) -> list[Split]:
    each = isinstance(rows.roles.get("classes"), dict)
    tests: Sequence[str] = rows.roles["id_test"]
    splits = []
    there = rows.kept.of(score, params)
    whole: Array | None = None
    for name in oods:
        place = place_of(f"{name}/{tests[0]}" if each else name)
        if there and place not in there:  # imported numbers may lack a dataset
            continue
        if each or whole is None or not there:  # of a transductive score, ID rows have a number for each OOD dataset
            places = [place] if each else [place_of(test) for test in tests]
            whole = np.concatenate([rows.scores_of(score, params, one, ID, name) for one in places])
        splits.append(Split(name, whole, rows.scores_of(score, params, place, OOD, name)))
    return [split for split in splits if split.id.size > 1 and split.ood.size]
