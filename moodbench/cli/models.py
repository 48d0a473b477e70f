"""How ``list models`` shows models as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moodbench.cli.listing import as_text
from moodbench.sizes import many

Record = dict[str, Any]

_SOURCES = {
    "embedded": "bundled",
    "timm hub": "hub",
    "hub": "hub",
    "address": "address",
    "cached features": "cached",
    "by hand": "by hand",
}
"""Where weights come from, as short as a column wants it."""


def model_columns(record: Record) -> Record:
    """Return what the table shows of a model."""
    return {
        "name": record["name"],
        "pretext task": record["pretext"],
        "top-1": _decimals(record.get("top1"), 2),
        "head": record.get("head"),
        "weights": _SOURCES[record["weights"]],
        "here": {True: "yes", False: "no", None: None}[record.get("on_disk")],
        "size": _size(record),
        "digest": record.get("digest"),
        "cached": _cached(record),
        "variants": " ".join(record.get("variants", ())) or None,
    }


def fair_text(groups: Sequence[Record]) -> str:
    """Return the groups one after another; models that nothing compares with come last, in one table."""
    shown = [_group(group) for group in groups if len(group["models"]) > 1]
    alone = [_alone(group) for group in groups if len(group["models"]) == 1]
    rest = (
        ["Nothing else in the catalogue has seen the same and is of that size:\n" + _indented(alone)] if alone else []
    )
    return "\n".join([*shown, *rest])


def _group(group: Record) -> str:
    head = " · ".join(f"{key}: {value}" for key, value in _seen(group).items())
    return f"{head}\n" + _indented([_columns(model) for model in group["models"]])


def _alone(group: Record) -> Record:
    columns = {**_columns(group["models"][0]), **_seen(group)}
    del columns["M par."]  # the size says it
    return columns


def _seen(group: Record) -> Record:
    text = {True: "yes", False: "no", None: None}[group["text_supervision"]]
    said = {
        "labels besides the head's": group["labels_seen"],
        "data": group["data"],
        "text": text,
        "size": group["size"],
    }
    return {key: value or "not said" for key, value in said.items()}


def _columns(model: Record) -> Record:
    return {
        "name": model["name"],
        "pretext task": model["pretext"],
        "tuning": model["tuning"],
        "pixels": model["image_size"],
        "M par.": _decimals(model["params"], 1),
        "top-1": _decimals(model["top1"], 2),
    }


def _indented(rows: Sequence[Record]) -> str:
    return as_text(rows, indent=2)


def _cached(record: Record) -> str | None:
    """Return how many datasets are cached, and views of the model."""
    datasets, views = len(record["cached"]), len(record["views"])
    if views:
        return f"{datasets} + {many(views, 'view')}"
    return str(datasets) if datasets else None


def _size(record: Record) -> str | None:
    if record.get("bytes") is not None:
        return _in_units(record["bytes"])
    params = record.get("params")
    # files of open_clip hold the text tower too, which is not counted
    return None if params is None or record.get("clip") else f"≈{_in_units(4e6 * params)}"


def _in_units(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _decimals(value: float | None, places: int) -> str | None:
    return None if value is None else f"{value:.{places}f}"
