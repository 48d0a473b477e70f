"""Images → feature caches, for a model and all the datasets that are asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.choices import Decoder, OnError, Precision
from moodbench.datasets.request import ImageRequest
from moodbench.features.settings import Settings
from moodbench.models.choice import ModelChoice
from moodbench.types import Report
from moodbench.workspace import Workspace

if TYPE_CHECKING:
    from moodbench.features.extract import Extraction
    from moodbench.models.backbone import Backbone

BEFORE_TORCH = {
    # Threads of the network share their cores with decoding. By default one that waits for another keeps its core busy,
    # which makes both several times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Pages of 2 MB for large tensors, where the system has them: 500 times fewer to be cleared.
    "THP_MEM_ALLOC_ENABLE": "1",
}
"""Switches of the environment that are read when torch is loaded: no effect where that happened before."""

_NAMED = 5
"""Undecodable images that a line names."""


def extract(
    model: str | Backbone,
    *,
    name: str | None = None,
    benchmark: Sequence[str] = (),
    dataset: Sequence[str] = (),
    images: str | Path | None = None,
    labels: str | Path | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_key: str | None = None,
    format: str | None = None,
    transform: str | None = None,
    image: Mapping[str, Any] | None = None,
    variant: str | None = None,
    with_head: bool = True,
    head_file: str | Path | None = None,
    features: str | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    decoder: Decoder = "exact",
    batch_size: int | None = None,
    workers: int | None = None,
    channels_last: bool | None = None,
    compile: bool = False,
    limit: int | None = None,
    on_error: OnError = "stop",
    max_pixels: int | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> list[Extraction]:
    """Extract features, logits and labels into ``<cache-dir>/<model>/<dataset>.h5``; resume what was begun.

    Parameters
    ----------
    model : str or Backbone
        A model of the catalogue, ``timm:NAME``, either with ``@VARIANT``; or any network
        (`Backbone.from_module`), which needs a `name`.
    benchmark, dataset : sequence of str
        What to extract. Without either: every dataset that a benchmark of the catalogue names and that is on this disk.
    images : Path, optional
        A folder of images, to be called by the single name in `dataset`.
    labels : str or Path, optional
        How those get their labels: a rule (`moodbench.catalog.LABEL_RULES`), or a file that names the class folders in
        order.
    checkpoint, checkpoint_key, format, transform, with_head
        See `moodbench.models.load.load_model`.
    head_file : Path, optional
        Take the classifier from this file (tensors ``weight`` and ``bias``) instead of where the catalogue says it is.
    features : str, optional
        How features are read off the network, a name in `moodbench.models.features.RECIPES` (``cls_mean``, …): what the
        head in the file was trained on.
    image : mapping, optional
        Single values over those of the transform: ``size`` (the network is built for it where it must be), ``crop``,
        ``crop_mode``, ``interpolation``, ``mean``, ``std``; see `moodbench.models.transforms.build_transform`.
    variant : str, optional
        A variant that the catalogue declares, or a name for these settings; by default made of what differs from the
        model's own (``@moodv2``, ``@384-bf16``).
    decoder : {"exact", "fast"}
        ``fast``: JPEGs are decoded smaller where at least twice the needed size is left, and torch resizes instead of
        Pillow. Sooner, and other pixels: a variant (``@fast-decode``).
    device, precision, batch_size, workers, channels_last, compile, limit, on_error
        See `moodbench.features.extract.Settings`.
    max_pixels : int, optional
        Pictures with more pixels count as undecodable; as Pillow has it by default.
    report : callable
        Is told, line by line, what is done, skipped and left out.

    Returns
    -------
    list of Extraction
        One for each dataset, in order.

    Raises
    ------
    MoodbenchError
        Its children say what went wrong; datasets finished before stay.
    """
    return extract_features(
        ModelChoice(
            model,
            name=name,
            checkpoint=checkpoint,
            checkpoint_key=checkpoint_key,
            format=format,
            transform=transform,
            image=image or {},
            decoder=decoder,
            variant=variant,
            with_head=with_head,
            head_file=head_file,
            features=features,
        ),
        ImageRequest(benchmark, dataset, images, labels, max_pixels),
        Settings(device, precision, batch_size, workers, limit, on_error, progress, channels_last, compile),
        workspace=workspace or Workspace(),
        report=report,
    )


def extract_features(
    choice: ModelChoice, source: ImageRequest, settings: Settings, *, workspace: Workspace, report: Report
) -> list[Extraction]:
    """As `extract`: features of the images of `source`, computed by the network of `choice` under `settings`."""
    # torch and timm take seconds: names, folders and the network are checked before
    choice.check(workspace.catalog)
    sets = source.open(workspace, report)
    for switch, value in BEFORE_TORCH.items():
        os.environ.setdefault(switch, value)
    from moodbench.features.extract import extract_images

    _ = settings.torch_device  # a device that is not there is said before the weights are read
    target, backbone = choice.build(workspace.catalog, settings.precision)
    if choice.reads_file:  # what of it was taken is worth a look: nesting, prefix, format
        report(f"weights of {target}: {backbone.record['weights']}, read as format '{backbone.record['format']}'")
    done = []
    for one in sets:
        for remark in one.remarks():
            report(f"note: {remark}")
        outcome = extract_images(
            backbone,
            one.images,
            workspace.cache_file(target, one.dataset),
            model=str(target),
            dataset=one.dataset,
            settings=settings,
        )
        report(_describe(str(target), one.dataset, outcome))
        done.append(outcome)
    return done


def _describe(model: str, dataset: str, outcome: Extraction) -> str:
    skipped = _undecodable(outcome.undecodable)
    if outcome.already:
        return f"skip {model} on {dataset}: complete ({outcome.rows} images{skipped})"
    new = outcome.rows - outcome.begun_at
    rate = f", {new / outcome.seconds:.0f} images/s" if outcome.seconds > 0 else ""
    kept = f", {outcome.begun_at} were there" if outcome.begun_at else ""
    pieces = f", {outcome.at_once} at once: memory ran out" if outcome.at_once < outcome.batch_size else ""
    return f"extracted {model} on {dataset}: {new} images{kept}{rate}{skipped}{pieces}"


def _undecodable(ids: Sequence[str]) -> str:
    """Name the first of the images that could not be decoded."""
    if not ids:
        return ""
    more = f", and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f", {len(ids)} could not be decoded: {', '.join(ids[:_NAMED])}{more}"
