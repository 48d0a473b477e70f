"""How fast models are extracted on this machine, measured on a few images where nobody has measured it before."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from moodbench.commands.extract import extract_features
from moodbench.commands.steps import Execution, OpenedImages
from moodbench.errors import MoodbenchError
from moodbench.studies.plan import Cost
from moodbench.studies.prepare import Prepared
from moodbench.types import Report

IMAGES = 96
"""Of a trial: a few seconds for a ViT-B on a CPU."""


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
        report(f"trial: {many_images(len(largest.images))} of {largest.dataset} with {step.model.name}")
        with tempfile.TemporaryDirectory(prefix="moodbench-trial-") as folder:
            space = replace(made.space, cache_dir=Path(folder))
            work = Execution(made.known, made.sets, space, made.folder, report, progress=False)
            settings = replace(work.settings(), limit=IMAGES, progress=False)
            try:
                (outcome,) = extract_features(
                    [step.model.choice],
                    OpenedImages(sets=(largest,)),
                    settings,
                    workspace=space,
                    report=lambda line: None,
                )
            except MoodbenchError as error:
                report(f"{step.model.name} cannot be tried: {error.what}")
                continue
        if outcome.seconds > 0:
            rate = outcome.rows / outcome.seconds
            by = f"{rate:.0f} images/s in a trial of {outcome.rows} images on {device}"
            found[number] = replace(cost, seconds=cost.left / rate, by=by)
    return found


def many_images(count: int) -> str:
    """Return of how many images a trial is, in words."""
    return f"{min(IMAGES, count)} images"
