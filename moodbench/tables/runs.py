"""The training runs of one recipe, which differ in the seed alone, as one model: means over them, and their spread.

A run is a model of the catalogue with a group (``runs: GROUP``); the models of a group stand in one column under its
name. Their differences are those of training, which no interval of a single run knows of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from moodbench.metrics import METRICS
from moodbench.types import Result
from moodbench.workspace import ModelName

AVERAGED = (*METRICS, "auroc_low", "auroc_high", "id_accuracy")
"""The interval is about the rows, not about the runs: that of the mean has the means of the end points."""

MOST_NAMED = 6


def group_of(model: str, groups: Mapping[str, str]) -> str | None:
    """Return under what name a model's runs stand together: its group with variant and head; None without a group.

    `groups` maps names of models without variant and head.
    """
    name = ModelName.parse(model)
    return None if name.base not in groups else str(replace(name, base=groups[name.base]))


def together(results: Sequence[Result], groups: Mapping[str, str]) -> list[Result]:
    """Return results with those of the runs of a group as one row each; a group with one run stays as it is.

    A row has numbers where every run of the group with results has them; `auroc_seed_sd` and `fpr95_seed_sd` are the
    sample standard deviations over the runs, and a remark says of which.

    Parameters
    ----------
    results : sequence of Result
        Of one benchmark.
    groups : mapping of model to group
    """
    runs: dict[str, dict[str, None]] = {}
    for row in results:
        group = group_of(row.model, groups)
        if group is not None:
            runs.setdefault(group, {})[row.model] = None
    found: list[Result] = []
    of: dict[tuple[str, tuple[str, ...]], dict[str, Result]] = {}
    for row in results:
        group = group_of(row.model, groups)
        if group is None or len(runs[group]) < 2:
            found.append(row)
        else:
            of.setdefault((group, row.key), {})[row.model] = row
    return found + [_mean(group, rows, list(runs[group])) for (group, _), rows in of.items()]


def _mean(group: str, rows: Mapping[str, Result], runs: Sequence[str]) -> Result:
    """Return the row of a group; `rows` are those of its runs, as far as they have one."""
    first = next(iter(rows.values()))
    lacking = [run for run in runs if run not in rows or rows[run].auroc is None]
    values: dict[str, Any] = dict.fromkeys((*AVERAGED, "auroc_seed_sd", "fpr95_seed_sd"))
    shown = ", ".join(runs[:MOST_NAMED]) + (f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else "")
    remarks = [f"mean ± sample standard deviation over {len(runs)} training runs: {shown}"]
    notes = list(dict.fromkeys(row.note for row in rows.values() if row.note))
    if lacking:
        notes = [f"no number of {', '.join(lacking)}", *notes]
    else:
        for name in AVERAGED:
            numbers = [getattr(rows[run], name) for run in runs]
            values[name] = None if None in numbers else fmean(numbers)
        for metric in ("auroc", "fpr95"):
            numbers = [getattr(rows[run], metric) for run in runs]
            values[f"{metric}_seed_sd"] = None if None in numbers else stdev(numbers)
    remarks += dict.fromkeys(remark for row in rows.values() for remark in row.remarks)
    return replace(first, model=group, note="; ".join(notes), remarks=tuple(remarks), seeds=None, **values)
