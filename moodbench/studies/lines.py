"""The steps of a study as the command lines that come to the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moodbench.studies.known import Chosen
from moodbench.studies.own_files import RESULTS

_CALLED = {"params": "param", "catalogs": "catalog"}
"""Parameters whose option has another name."""


def command_line(command: str, values: Mapping[str, Any], called: Callable[[Path], str] = str) -> str:
    """Return what somebody would type for a call of the command's function: defaults are left out.

    `called` says how a file is called where the line will be run.
    """
    words = ["moodbench", *command.split()]
    if command == "plot" and "kind" in values:
        words.append(str(values["kind"]))
    for name, value in values.items():
        if name == "kind" or value is None or value is False or value == () or value == {} or value == []:
            continue
        if (name, value) in (("seeds", 1), ("device", "auto")):
            continue
        option = f"--{_CALLED.get(name, name.replace('_', '-'))}"
        if name == "params":
            for score_name, given in value.items():
                for key, one in given.items():
                    texts = [_text(each).replace(",", r"\,") for each in (one if isinstance(one, list) else [one])]
                    words += [option, f"{score_name}.{key}={','.join(texts)}"]
        elif value is True:
            words.append(option)
        else:
            for each in value if isinstance(value, (list, tuple)) else [value]:
                words += [option, called(each) if isinstance(each, Path) else _text(each)]
    if command in ("score", "table", "plot", "rank", "report"):
        words += ["--results-dir", RESULTS]
    return shlex.join(words)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def extraction(
    model: Chosen,
    said: Mapping[str, Any],
    views: Sequence[str],
    layers: Sequence[str] | None,
    inside: Sequence[str] | None,
    head: str | None,
) -> dict[str, Any]:
    """Return what `command_line` needs to know of the extraction of a model.

    Parameters
    ----------
    model : Chosen
    said : mapping
        Of the study.
    views, layers, inside, head
        Which views are extracted, layers of the images and of the changed ones, and the head that views read.
    """
    choice = model.choice
    how = {key: value for key, value in said["extract"].items() if value not in ("fp32", "exact", "stop")}
    pictures = {("image_size" if key == "size" else key): value for key, value in choice.image.items()}
    pictures = {key: ",".join(map(str, one)) if isinstance(one, list) else one for key, one in pictures.items()}
    return {
        "model": str(choice.model),
        "benchmark": list(said["benchmarks"]),
        "variant": choice.variant,
        "transform": choice.transform,
        **pictures,
        "checkpoint": choice.checkpoint,
        "checkpoint_key": choice.checkpoint_key,
        "format": choice.format,
        "head_file": choice.head_file,
        "features": choice.features,
        "no_head": not choice.with_head,
        "layers": None if layers is None else ",".join(layers),
        "pool": None if said["pool"] == "model" or layers is inside is None else said["pool"],
        "view": list(views),
        "view_layers": None if inside is None else ",".join(inside),
        "view_head": head,
        "device": said["device"],
        **how,
        "no_channels_last": how["channels_last"] is False,
    }
