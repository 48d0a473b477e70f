"""What a study writes of its results: tables, pictures, rankings, a page; checked as far as names and words go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moodbench.errors import UnknownNameError
from moodbench.metrics import METRICS
from moodbench.studies.fields import Keys, Place
from moodbench.studies.known import Known, about
from moodbench.studies.own_files import in_the_way
from moodbench.studies.schema import OWN, PLOT, RANK, REPORT, TABLE
from moodbench.tables.formats.base import format_of
from moodbench.tables.layouts import laid_out
from moodbench.types import ALL_GROUPS
from moodbench.workspace import ModelName

OutputKind = Literal["table", "plot", "rank", "report"]


@dataclass(frozen=True)
class Output:
    """A file that is made of results.

    Attributes
    ----------
    kind : {"table", "plot", "rank", "report"}
    file : str
        In the study's folder.
    how : mapping
        Arguments of the command's function, without those that are at their defaults.
    """

    kind: OutputKind
    file: str
    how: Mapping[str, Any]


def outputs_of(known: Known) -> list[Output]:
    """Return what is to be written, in order.

    Raises
    ------
    UsageError
        A name is none of the study's, options contradict each other, or two would be one file.
    """
    found = []
    study = known.study
    for key, kind, check, keys in (
        ("tables", "table", _check_table, TABLE),
        ("plots", "plot", _check_plot, PLOT),
        ("ranks", "rank", _check_rank, RANK),
    ):
        for number, said in enumerate(study[key]):
            at = study.top.key(key).item(number)
            _check_names(known, said, at)
            with about(at):
                check(known, said)
            found.append(Output(kind, said["file"], _given(said, keys)))  # type: ignore[arg-type]
    page = study["report"]
    if page is not None:
        at = study.top.key("report")
        _check_names(known, page, at)
        if Path(page["file"]).suffix.lower() not in (".html", ".htm"):
            raise at.key("file").fault(f"is '{page['file']}', and the report is HTML", "report.html")
        found.append(Output("report", page["file"], _given(page, REPORT)))
    both = in_the_way([one.file for one in found])
    if both is not None:
        one, other = both
        what = f"writes the file '{one}' twice" if one == other else f"cannot write both '{one}' and '{other}'"
        raise study.top.fault(what, "give each of tables, plots, ranks and report its own")
    return found


def _given(said: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """Return the arguments that a section says, without those that are as they would be anyway."""
    return {name: value for name, value in said.items() if name != "file" and value != keys.known[name].default}


def _check_names(known: Known, said: Mapping[str, Any], at: Place) -> None:
    """Refuse benchmarks, models, scores, datasets, groups and heads that are none of the study's."""
    specs = [spec for spec in known.benchmarks if spec.name in (said.get("benchmark") or [spec.name])]
    oods = {name for spec in specs for name in spec.ood_datasets}
    groups = {ALL_GROUPS, *(group for spec in specs for group in spec.ood)}
    for key, kind, allowed in (
        ("benchmark", "benchmark of this study", {spec.name for spec in known.benchmarks}),
        ("score", "score of this study", {*known.scores} or None),
        ("dataset", "OOD dataset of this study", oods),
        ("ood", "OOD dataset of this study", oods),
        ("group", "OOD group", groups),
        ("head", "head of this study", {head or OWN for head in known.heads}),
    ):
        given = said.get(key)
        for name in [given] if isinstance(given, str) else given or ():
            if allowed is not None and name not in allowed:
                with about(at.key(key)):
                    raise UnknownNameError(kind, name, allowed, plural=_plural(kind))
    named = {str(model.name) for model in known.models}
    for name in said.get("model") or ():
        with about(at.key("model")):
            if str(ModelName.parse(name).whole) not in named:
                raise UnknownNameError("model of this study", name, named, plural="models of this study")


def _plural(kind: str) -> str:
    thing, of, whose = kind.partition(" of ")
    return f"{thing}s{of}{whose}"


def _check_table(known: Known, said: Mapping[str, Any]) -> None:
    format_of(Path(said["file"]))
    for name in said["metric"]:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    models = said["model"] or ()
    laid_out(said["layout"], said["rows"], said["cols"], "datasets" if len(models) == 1 or said["dataset"] else "grid")
    if said["layout"] == "depth":
        _needs_layers(known, "the layout 'depth'")
    if said["layout"] == "classes" and not known.study["score"]["by_class"]:
        raise known.study.top.fault("has a table of classes, and makes no results of them", "score: {by_class: true}")


def _needs_layers(known: Known, what: str) -> None:
    if known.layers is None or not known.study["score"]["layers"]:
        raise known.study.top.fault(f"asks for {what}, and scores no layers", "layers: all, and score: {layers: true}")


def _check_plot(known: Known, said: Mapping[str, Any]) -> None:
    from moodbench.plots.base import PLOTS, check_options, check_suffix, inches
    from moodbench.plots.given import Given

    check_suffix(Path(said["file"]))
    kind = said["kind"]
    plot = PLOTS.get(kind)
    inches(said["width"], plot)
    given = Given(
        (), models=said["model"] or (), scores=said["score"] or (), oods=said["ood"] or (), param=said["param"]
    )
    check_options(kind, plot, given)
    names = said["benchmark"] or tuple(spec.name for spec in known.benchmarks)
    if len(names) > 1 and not plot.several:
        raise known.study.top.fault(f"has several benchmarks, and 'plot {kind}' shows one", f"benchmark: {names[0]}")
    if kind == "depth":
        _needs_layers(known, "the plot 'depth'")
    swept = [name for name, values in _swept(known.params) if said["score"] is None or name in said["score"]]
    if kind == "sweep" and not swept:
        raise known.study.top.fault(
            "asks for the plot 'sweep', and sweeps no parameter of these scores", "parameters: {vim: {dim: [64, 128]}}"
        )


def _swept(params: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield the scores with a parameter that has several values."""
    for score, given in params.items():
        for value in given.values():
            if isinstance(value, list) and len(value) > 1:
                yield score, value


def _check_rank(known: Known, said: Mapping[str, Any]) -> None:
    format_of(Path(said["file"]))
