"""The training runs of one recipe, which differ in the seed alone, as one model: means over them, and their spread.

A run is a model of the catalogue with a group (``runs: GROUP``); the models of a group stand in one column under its
name. Their differences are those of training, which no interval of a single run knows of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from moodbench.errors import ResultsError, UsageError
from moodbench.metrics import METRICS
from moodbench.results import read_provenance
from moodbench.types import Result
from moodbench.workspace import ModelName, Workspace

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


def check_named(models: Sequence[str], shown: Sequence[Result], groups: Mapping[str, str], *, runs: bool) -> None:
    """Refuse a run that is named where its group is shown, and a group that is named where its runs are.

    Parameters
    ----------
    models : sequence of str
        What is named.
    shown : sequence of Result
        Of all models, or `together`.
    groups : mapping of model to group
    runs : bool
        Runs stand together.

    Raises
    ------
    UsageError
    """
    there = {row.model for row in shown}
    for model in (one for one in models if one not in there):
        group = group_of(model, groups)
        if runs and group in there:
            raise UsageError(
                f"with --runs '{model}' is one of the runs of '{group}'", fix=f"--model {group}, or leave --runs out"
            )
        if not runs and any(group_of(one, groups) == model for one in there):
            raise UsageError(f"'{model}' is a group of training runs", fix="--runs shows the means over them")


def refuse_mixed(
    space: Workspace, benchmark: str, models: Sequence[str], groups: Mapping[str, str], *, asked: Sequence[str]
) -> None:
    """Refuse runs of a group that are no different runs, or that were tested on different images.

    `asked`: the groups that are to be shown; without any, all.

    Imported caches do not say. A trial says so itself.

    Raises
    ------
    ResultsError
        Two runs have the same weights, or other images of a dataset.
    """
    weights: dict[tuple[str, str, str | None], str] = {}
    images: dict[tuple[str, str], tuple[str, str]] = {}
    for model in dict.fromkeys(models):
        group = group_of(model, groups)
        if group is None or (asked and group not in asked):
            continue
        noted: Mapping[str, Any] = {}
        with suppress(ResultsError):  # whoever reads the numbers says what is wrong with it
            noted = read_provenance(space.results_file(benchmark, ModelName.parse(model)))
        its = {name: one.get("provenance", {}) for name, one in noted.get("datasets", {}).items()}
        for dataset, made in its.items():
            if made.get("source") != "extract":
                continue
            network = made["model"]
            other = weights.setdefault((group, network["weights_sha256"], network.get("head_sha256")), model)
            if other != model:
                raise ResultsError(
                    f"'{other}' and '{model}' have the same weights, and are no two training runs of '{group}'",
                    file=space.results_dir / benchmark,
                    fix=f"extract each with its own checkpoint: moodbench cache remove --model {model}, or the other",
                )
            other, seen = images.setdefault((group, dataset), (model, made["images"]["fingerprint"]))
            if seen != made["images"]["fingerprint"]:
                raise ResultsError(
                    f"'{other}' and '{model}' are runs of '{group}', and were given other images of {dataset}",
                    file=space.results_dir / benchmark,
                    fix=f"make one anew: moodbench cache remove --model {model} --dataset {dataset}, extract it again, "
                    "then moodbench score",
                )
