"""Which results are of a layer, of which model, and how deep it lies: what tables and plots over depth are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moodbench.errors import ResultsError
from moodbench.results import read_provenance
from moodbench.tables.cells import Table
from moodbench.tables.grid import pivot
from moodbench.tables.order import Titles
from moodbench.types import ALL_GROUPS, Result
from moodbench.views import LayerView, natural
from moodbench.workspace import ModelName, Workspace

OUTPUT = "output"
"""What the model's own features are called as the last of its layers: after its final norm, as its head reads them."""


@dataclass(frozen=True)
class Depth:
    """Where in a network the features of a result were taken.

    Attributes
    ----------
    line : str
        Of which model, with variant and head: the name that the others of its line share.
    pool : str or None
        How its layers are pooled, where otherwise than by the model itself.
    name : str
        Of the layer, or `OUTPUT`.
    index, count : int
        The layer is number `index` of `count`, from 0; the output's index is `count`.
    """

    line: str
    pool: str | None
    name: str
    index: int
    count: int

    @property
    def share(self) -> float:
        """How deep it lies, from 0 (the input) to 1 (the output)."""
        return (self.index + 1) / (self.count + 1)


Depths = Mapping[str, Depth]
"""By the name of the model in results."""


def depths_of(space: Workspace, benchmark: str, rows: Sequence[Result]) -> dict[str, Depth]:
    """Return the depth of every model in `rows` that has layers among them, and of those layers, line by line.

    Raises
    ------
    ResultsError
        No result is of a layer; or layers of a model were computed by other weights or over other images than the
        others.
    """
    names = {name: ModelName.parse(name) for name in dict.fromkeys(row.model for row in rows)}
    made = {name: read_provenance(space.results_file(benchmark, one)) for name, one in names.items()}
    found: dict[str, Depth] = {}
    for name, one in names.items():
        view, noted = LayerView.parse(one.view), _noted_layer(made[name])
        if view is not None:
            line = str(replace(one, view=None))
            index, count = (noted["index"], noted["count"]) if noted else (-1, 0)
            found[name] = Depth(line, view.pool, view.layer, int(index), int(count))
    if not found:
        whole = {one.whole for one in names.values()}
        model = str(*whole) if len(whole) == 1 else "M"
        raise ResultsError(
            f"no results of '{benchmark}' are of a layer"
            + (f" of {', '.join(sorted(names))}" if len(names) < 4 else ""),
            file=space.results_dir / benchmark,
            fix=f"moodbench extract --model {model} --layers all, then moodbench score --model {model} --layers",
        )
    found = _numbered(found)
    for name in names:
        of = [depth for depth in found.values() if depth.line == name and depth.name != OUTPUT]
        if of:
            own = next((depth for depth in of if depth.pool is None), of[0])
            found[name] = Depth(name, own.pool, OUTPUT, own.count, own.count)
    _refuse_mixed(space, benchmark, found, made)
    return {name: found[name] for name in sorted(found, key=lambda n: (found[n].line, found[n].index, n))}


def _noted_layer(made: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the caches of a layer note about it; None where they were imported."""
    for dataset in made.get("datasets", {}).values():
        layer = dataset.get("provenance", {}).get("layer")
        if layer:
            noted: Mapping[str, Any] = layer
            return noted
    return None


def _numbered(found: Mapping[str, Depth]) -> dict[str, Depth]:
    """Return the same with layers that were imported, and so have no number, numbered by their names."""
    numbered = dict(found)
    for line in {(depth.line, depth.pool) for depth in found.values() if depth.count == 0}:
        its = {name: depth for name, depth in found.items() if (depth.line, depth.pool) == line}
        ordered = sorted(its, key=lambda name: natural(its[name].name))
        numbered |= {name: replace(its[name], index=i, count=len(its)) for i, name in enumerate(ordered)}
    return numbered


def _refuse_mixed(space: Workspace, benchmark: str, found: Depths, made: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse layers of one model that other weights made, or of other images."""
    first: dict[tuple[str, str], tuple[str, Any]] = {}
    for name, depth in found.items():
        for dataset, of in made[name].get("datasets", {}).items():
            noted = of.get("provenance", {})
            if noted.get("source") == "extract":
                key = (noted["model"]["weights_sha256"], noted["images"]["fingerprint"], noted.get("limit"))
                other, its = first.setdefault((depth.line, dataset), (name, key))
                if its != key:
                    what = "weights" if its[0] != key[0] else "images"
                    raise ResultsError(
                        f"'{other}' and '{name}' are of one model, and were computed with other {what} on {dataset}",
                        file=space.results_dir / benchmark,
                        fix=f"remove one (moodbench cache remove --model {name}), extract it with --layers again, then "
                        "moodbench score --layers",
                    )


def by_line(depths: Depths) -> dict[tuple[str, str | None], list[str]]:
    """Return the names of each line, from input to output: by model and pool."""
    lines: dict[tuple[str, str | None], list[str]] = {}
    for name, depth in depths.items():
        lines.setdefault((depth.line, depth.pool), []).append(name)
    return lines


def title_of(line: tuple[str, str | None], titles: Titles) -> str:
    """Return what a line is called: its model, and how its layers are pooled if otherwise than by itself."""
    name, pool = line
    return titles.model(name) + ("" if pool is None else f" ({pool})")


def line_of(model: str) -> str:
    """Return the model, with variant and head, that a name in results is a layer of, or is."""
    return str(replace(ModelName.parse(model), view=None))


def depth_tables(
    depths: Depths,
    rows: Sequence[Result],
    titles: Titles,
    *,
    metric: Sequence[str],
    group: str,
    expected: Mapping[str, Sequence[str]] | None,
) -> list[Table]:
    """Return a table for each model: scores down, its layers and its output across, means over `group`."""
    over = "all OOD datasets" if group == ALL_GROUPS else f"the {group} OOD datasets"
    tables = []
    for line, names in by_line(depths).items():
        its = [row for row in rows if row.model in names]
        at_layers = {
            (row.score, row.params) for row in its if row.auroc is not None and depths[row.model].name != OUTPUT
        }  # of the output alone there may be dozens more
        its = [row for row in its if (row.score, row.params) in at_layers] or its
        layers = replace(titles, models={name: depths[name].name for name in names})
        title = f"{its[0].benchmark}: {title_of(line, titles)} over depth, mean over {over}"
        made = pivot(its, "score", "model", metric=metric, group=group, titles=layers, title=title, expected=expected)
        # all have the pretext task of the model
        tables.append(replace(made, columns=tuple(replace(one, heading=one.heading[1:]) for one in made.columns)))
    return tables
