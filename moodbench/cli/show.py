"""``moodbench show {model,dataset,benchmark,score} NAME``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from moodbench.cli import completion
from moodbench.cli.app import Commands, app
from moodbench.cli.list_ import views_said
from moodbench.cli.listing import as_facts, as_prose, as_text
from moodbench.cli.options import Json, Run, with_run
from moodbench.cli.output import write

showing = Commands(
    no_args_is_help=True, help="Show all about one model, dataset, benchmark or score.", rich_markup_mode=None
)
app.add_typer(showing, name="show")

Record = dict[str, Any]

_WIDTH = 110


def _named(complete: completion.Complete) -> Any:
    return typer.Argument(metavar="NAME", show_default=False, autocompletion=complete)


@showing.command()
@with_run
def model(*, name: Annotated[str, _named(completion.models_and_caches)], json_: Json = False, run: Run) -> None:
    """Show a model: weights, what it has seen, features, caches.

    NAME is a model of the catalogue or one by where it is from (timm:NAME, hf:ORG/NAME, …), with or without @VARIANT,
    or another that has caches.

    Example: moodbench show model beitv2@fair
    """
    from moodbench.commands.show import show_model

    record = show_model(name, run.workspace)
    write(_as_json(record) if json_ else _model_text(record))


@showing.command()
@with_run
def dataset(*, name: Annotated[str, _named(completion.datasets)], json_: Json = False, run: Run) -> None:
    """Show a dataset: source, licence, state, how to get it.

    Example: moodbench show dataset imagenet_val
    """
    from moodbench.commands.show import show_dataset

    record = show_dataset(name, run.workspace)
    write(_as_json(record) if json_ else _dataset_text(record))


@showing.command()
@with_run
def benchmark(*, name: Annotated[str, _named(completion.benchmarks)], json_: Json = False, run: Run) -> None:
    """Show a benchmark: its datasets, and what is there of them.

    Example: moodbench show benchmark imagenet
    """
    from moodbench.commands.show import show_benchmark

    record = show_benchmark(name, run.workspace)
    write(_as_json(record) if json_ else _benchmark_text(record))


@showing.command()
@with_run
def score(*, name: Annotated[str, _named(completion.scores)], json_: Json = False, run: Run) -> None:
    """Show a score: formula, paper, parameters, needs.

    Example: moodbench show score vim
    """
    from moodbench.commands.show import show_score

    record = show_score(name, run.workspace)
    write(_as_json(record) if json_ else _score_text(record))


def _as_json(record: Record) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def _sheet(title: str, facts: Mapping[str, Any]) -> str:
    """Return a title, and below it what is known, a fact a line; what is not known is left out."""
    said = ((key, _said(value)) for key, value in facts.items())
    return f"{title}\n" + as_facts([(key, text) for key, text in said if text], 2, _WIDTH)


def _said(value: Any) -> str:
    """Return a value in words: nothing of what is not known or empty."""
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={one}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _short(file: Record) -> Record:
    return {**file, "sha256": file["sha256"] and file["sha256"][:8]}


def _below(title: str, rows: list[Record]) -> str:
    """Return a table with its title; nothing without rows."""
    return "" if not rows else f"\n{title}\n{as_text(rows, 2)}"


def _numbered(title: str, texts: list[str]) -> str:
    steps = [(f"{number}.", " ".join(text.split())) for number, text in enumerate(texts, start=1)]
    return "" if not steps else f"\n{title}\n{as_facts(steps, 2, _WIDTH, 1)}"


def _layer(layer: Record | None) -> str | None:
    """Return which layer a view is of, and how it is pooled."""
    if layer is None:
        return None
    how = {"cls": "the class token", "mean": "mean over places", "std": "standard deviation over places"}
    return f"{layer['name']}, number {layer['index'] + 1} of {layer['count']}: {how.get(layer['pool'], layer['pool'])}"


def _recipe(view: Record | None) -> str | None:
    """Return a recipe of changed images with its parameters, as ``odin (eps=0.0014, temperature=1000)``, and its head.

    The model's own head goes without saying.
    """
    if view is None:
        return None
    parameters = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in view["parameters"].items()
    )
    head = f", with the head '{view['head_name']}'" if "head_name" in view else ""
    return (f"{view['name']} ({parameters})" if parameters else str(view["name"])) + head


def _model_text(r: Record) -> str:
    from moodbench.sizes import human_bytes

    size = r.get("bytes")
    pictures = r.get("pictures", {})
    facts = {
        "view of": r.get("view_of"),
        "changed by": _recipe(r.get("view")),
        "layer": _layer(r.get("layer")),
        "pretext task": r["pretext"],
        "method": r.get("method"),
        "timm name": r.get("timm") or None,
        "open_clip name": r.get("clip"),
        "network": r.get("network"),
        "arguments": r.get("args"),
        "weights": r["weights"] if r.get("url") is None else r["url"],
        "checkpoint": r.get("checkpoint"),
        "to get it": r.get("by_hand"),
        "training runs": r.get("runs"),
        "on this disk": None if r.get("on_disk") is None else ("yes" if r["on_disk"] else "no"),
        "size": None if size is None else human_bytes(size),
        "sha256": r.get("sha256"),
        "parameters": None if r.get("params") is None else f"{r['params']:.1f} million",
        "seen: data": r.get("data"),
        "seen: labels": _labels(r),
        "seen: texts": r.get("text_supervision"),
        "tuning": r.get("tuning"),
        "top-1": None if r.get("top1") is None else f"{r['top1']:.2f} %",
        "head": r.get("head"),
        "features": r.get("features") if r.get("clip") is None else "image embeddings of unit length",
        "dimension": r["dim"],
        "pictures": {key: value for key, value in pictures.items() if value is not None},
        "licence": r.get("licence"),
        "paper": r.get("paper"),
        "note": r.get("note"),
        "in MOODv2": r.get("reference_note"),
        "variants": [f"@{one}" for one in r.get("variants", ())],
        "other heads": r["heads"],
        "imported scores": list(r["imported_scores"]),
        "cached variants": r["cached_variants"],
        "results on": r["results"],
    }
    rows = [{**one, "complete": "yes" if one["complete"] else "no"} for one in r["cached"]]
    title = r["name"] if r["title"] is None else f"{r['name']}: {r['title']}"
    return _sheet(title, facts) + _below("Caches", rows)


def _labels(r: Mapping[str, Any]) -> str | None:
    """Return the labels that a model met: what is kept leaves out those of its head, which are in its data."""
    seen: str | None = r.get("labels_seen")
    if seen is None or r.get("head") in (None, "none"):
        return seen
    return f"{seen} (those of its head)" if r.get("head_labels") else f"{seen} besides those of its head"


def _dataset_text(r: Record) -> str:
    from moodbench.sizes import human_bytes

    here = r["images_here"]
    facts = {
        "source": r["source"],
        "images": r["images"],
        "state": r["state"] if r["verified"] is None else f"{r['state']} {r['verified'][:10]}",
        "images here": here,
        "size here": None if r["bytes"] is None else human_bytes(r["bytes"]),
        "findings": r["findings"],
        "folder": r["folder"],
        "download": None if r["download_bytes"] is None else human_bytes(r["download_bytes"]),
        "to get it": r["how_to_get"],
        "labels": r["labels"],
        "licence": r["licence"] or "unknown",
        "homepage": r["homepage"],
        "paper": r["paper"],
        "cached by": r["cached_by"],
    }
    uses = [{"benchmark": name, "as": ", ".join(roles)} for name, roles in r["benchmarks"].items()]
    more = _numbered("Steps", r["steps"]) + _numbered("Known problems", r["problems"])
    return _sheet(f"{r['name']}: {r['title']}", facts) + _below("Used by", uses) + more


def _benchmark_text(r: Record) -> str:
    facts = {
        "protocol": r["protocol"],
        "classes": r["classes"],
        "each in turn": list(r["each"]),
        "paper": r["paper"],
        "note": r["note"],
        "models ready": r["models_ready"],
        "results of": r["results"],
    }
    rows = [
        {
            "dataset": one["name"],
            "as": ", ".join(one["roles"]),
            "images": one["images"],
            "state": one["state"],
            "source": one["source"],
        }
        for one in r["datasets"]
    ]
    return _sheet(f"{r['name']}: {r['title']}", facts) + _below("Datasets", rows)


def _score_text(r: Record) -> str:
    if "files" in r:
        facts = {"family": r["family"], "note": r["note"]}
        return _sheet(f"{r['name']}: imported", facts) + _below("Files", [_short(one) for one in r["files"]])
    facts = {
        "family": r["family"],
        "needs": ", ".join(["features", *r["needs"]]),
        "views": views_said(r["views"]),
        "assumes": r["assumes"],
        "cost": r["cost"],
        "parameters": r["params"] or "none",
        "tuned over": "; ".join(f"{key}: {', '.join(map(str, some))}" for key, some in r["sweep"].items()) or None,
        "paper": r["paper"],
        "year": r["year"],
        "note": r["note"],
    }
    text = as_prose(r["description"], 2)
    return _sheet(f"{r['name']}: {r['title']}", facts) + (f"\n{text}" if text else "")
