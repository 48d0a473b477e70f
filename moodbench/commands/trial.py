"""How fast models are extracted on this machine, measured on a few images where nobody has measured it before."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from moodbench.commands.steps import Execution
from moodbench.datasets.request import ImageSet
from moodbench.errors import MoodbenchError
from moodbench.studies.known import Chosen
from moodbench.studies.plan import Cost
from moodbench.studies.prepare import Prepared
from moodbench.types import Report

IMAGES = (32, 128)
"""Of the two runs of a trial: what they differ in is time for images, and not for a start."""


def device_name(device: str) -> str:
    """Return what provenance calls a device, under which rates are filed."""
    import platform

    import torch

    from moodbench.devices import resolve_device

    place = resolve_device(device)
    return torch.cuda.get_device_name(place) if place.type == "cuda" else f"cpu ({platform.machine()})"


def measured(made: Prepared, costs: Sequence[Cost], report: Report) -> list[Cost]:
    """Return the costs with times of extraction where none was known, measured on a few images.

    A model that cannot be tried keeps its unknown time; `report` is told why.
    """
    found = list(costs)
    device = device_name(made.known.study["device"])
    steps = dict(zip((step.title for step in made.steps), made.steps, strict=True))
    for number, cost in enumerate(costs):
        step = steps[cost.step]
        if step.kind != "extract" or cost.seconds is not None or step.model is None or not made.sets:
            continue
        largest = max(made.sets.values(), key=lambda one: len(one.images))
        report(f"trial: {IMAGES[-1]} images of {largest.dataset} with {step.model.name}")
        try:
            rate = _rate(made, step.model, largest)
        except MoodbenchError as error:
            report(f"{step.model.name} cannot be tried: {error.what}")
            continue
        if rate is not None:
            by = f"{rate:.0f} images/s in a trial on {device}"
            found[number] = replace(cost, seconds=cost.left / rate, by=by)
    return found


def _rate(made: Prepared, model: Chosen, images: ImageSet) -> float | None:
    """Return images a second with the views that the study asks for; None where there are too few images to tell."""
    times = []
    for limit in IMAGES:
        with tempfile.TemporaryDirectory(prefix="moodbench-trial-") as folder:
            space = replace(made.space, cache_dir=Path(folder))
            work = Execution(
                made.known, {images.dataset: images}, space, made.folder, lambda line: None, progress=False
            )
            (outcome,) = work.extracted(model, replace(work.settings(), limit=limit, progress=False))
            times.append((outcome.rows, outcome.seconds))
    (few, short), (more, long) = times
    return (more - few) / (long - short) if more > few and long > short else None
