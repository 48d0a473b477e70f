"""Images → feature caches, for a model and all the datasets that are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moodbench.catalog import FEATURES_ONLY, LABEL_RULES, HeadSpec, label_rule
from moodbench.datasets.images import FolderImages, ImageSource, folder_images, is_on_disk, open_images
from moodbench.datasets.suffixes import in_words
from moodbench.errors import DataError, ModelError, UsageError
from moodbench.models.variants import resolve
from moodbench.models.weights import check_obtainable
from moodbench.types import Report
from moodbench.workspace import ModelName, Workspace, check_dataset_name

if TYPE_CHECKING:
    from moodbench.features.extract import Extraction, OnError, Precision
    from moodbench.models.backbone import Backbone

Decoder = Literal["exact", "fast"]
DECODERS: tuple[Decoder, ...] = ("exact", "fast")

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


@dataclass(frozen=True)
class _Work:
    """One dataset to extract; `expected` is how many images the catalogue says it has."""

    dataset: str
    images: ImageSource
    expected: int | None = None


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
    space = workspace or Workspace()
    if max_pixels is not None and max_pixels < 1:
        raise UsageError(f"the limit of pixels must be at least 1, got {max_pixels}")
    if head_file is not None and not with_head:
        raise UsageError("--head-file names a head, and --no-head wants none")
    given: dict[str, Any] = {} if features is None else {"features": features}
    if head_file is not None:
        given["head"] = HeadSpec("file", path=Path(head_file))
    work = list(_work(space, benchmark, dataset, images, _rule(labels, images), report))
    # torch and timm take seconds: names, folders and the network are checked before
    if isinstance(model, str):
        parsed = ModelName.parse(model)
        known = replace(space.catalog.model(parsed.base).variant(variant or parsed.variant), **given)
        if checkpoint is None:
            check_obtainable(known if with_head else replace(known, head=HeadSpec("none")))
    for switch, value in BEFORE_TORCH.items():
        os.environ.setdefault(switch, value)
    from moodbench.devices import resolve_device
    from moodbench.features.extract import Settings, extract_images

    settings = Settings(
        resolve_device(device), precision, batch_size, workers, limit, on_error, progress, channels_last, compile
    )
    if decoder not in DECODERS:
        raise UsageError(f"unknown decoder '{decoder}'", fix=f"use one of: {', '.join(DECODERS)}")
    if isinstance(model, str):
        target, spec = resolve(
            space.catalog,
            model,
            variant=variant,
            transform=transform,
            image=image,
            precision=precision,
            decoder=decoder,
        )
        from moodbench.models.load import load_model

        file = None if checkpoint is None else Path(checkpoint)
        backbone = load_model(
            replace(spec, **given), checkpoint=file, checkpoint_key=checkpoint_key, format=format, with_head=with_head
        )
        if file is not None:  # what of it was taken is worth a look: nesting, prefix, format
            report(f"weights of {target}: {backbone.record['weights']}, read as format '{backbone.record['format']}'")
        if image:
            _check_size(backbone, str(target))
    else:
        if name is None:
            raise UsageError("a network of your own needs a name")
        if transform is not None or image:
            raise UsageError("a network of your own brings its transform along", fix="give it to Backbone.from_module")
        if given:
            raise UsageError("a network of your own brings its head along", fix="give it to Backbone.from_module")
        target, backbone = ModelName.parse(name if variant is None else f"{name}@{variant}"), model
    if decoder == "fast":
        backbone = _fast(backbone, str(target))
    done = []
    for item in work:
        if item.expected not in (None, len(item.images)):
            report(f"note: {item.dataset} has {len(item.images)} images here, the catalogue expects {item.expected}")
        left_out = getattr(item.images, "left_out", None)
        if left_out:
            report(f"note: {item.dataset}: {sum(left_out.values())} files are no images: {in_words(left_out)}")
        for remark in getattr(item.images, "remarks", ()):
            report(f"note: {item.dataset}: {remark}")
        file = space.cache_file(target, item.dataset)
        outcome = extract_images(
            backbone,
            _limited(item.images, max_pixels),
            file,
            model=str(target),
            dataset=item.dataset,
            settings=settings,
        )
        report(_describe(str(target), item.dataset, outcome))
        done.append(outcome)
    return done


def _rule(labels: str | Path | None, images: str | Path | None) -> str | Path:
    """Return how the images of a folder get their labels."""
    if labels is None:
        return "auto"
    if images is None:
        raise UsageError(
            "labels are given for a folder of images, and none is named",
            fix="give --images FOLDER, or say 'labels' in the dataset's entry of the catalogue",
        )
    rule = labels if isinstance(labels, Path) else label_rule(labels)
    if rule is None or rule == "list":
        rules = ", ".join(rule for rule in LABEL_RULES if rule != "list")
        raise UsageError(f"there is no rule '{labels}' for labels", fix=f"use one of: {rules}; or a file")
    try:
        return rule.expanduser() if isinstance(rule, Path) else rule
    except RuntimeError as error:  # ~NAME of somebody who is not known here
        raise UsageError(
            f"the file of labels '{labels}' cannot be found: {error}", fix="write its whole path"
        ) from None


def _work(
    space: Workspace,
    benchmark: Sequence[str],
    dataset: Sequence[str],
    images: str | Path | None,
    labels: str | Path,
    report: Report,
) -> Iterator[_Work]:
    if images is not None:
        if len(dataset) != 1 or benchmark:
            raise UsageError(
                "--images FOLDER needs exactly one --dataset NAME to call it by, and no --benchmark",
                fix="moodbench extract --model M --images FOLDER --dataset my_images",
            )
        name = check_dataset_name(dataset[0])
        known = space.catalog.datasets.get(name)
        if known is not None and is_on_disk(known, space.data_dir):
            raise UsageError(
                f"the catalogue's dataset '{name}' has images of its own ({known.source}), and --images names others",
                fix="choose another --dataset NAME",
            )
        yield _Work(name, folder_images(Path(images), labels=labels), None if known is None else known.images)
        return
    if benchmark or dataset:
        named = [space.catalog.dataset(d) for d in dataset]
        named += [space.catalog.dataset(d) for b in benchmark for d in space.catalog.benchmark(b).datasets]
        for spec in dict.fromkeys(named):
            if not dataset and spec.source == FEATURES_ONLY:
                report(f"leave out {spec.name}: the catalogue names no images of it ({FEATURES_ONLY})")
                continue
            yield _Work(spec.name, open_images(spec, space.data_dir), spec.images)
        return
    specs = space.catalog.used_datasets
    present = [spec for spec in specs if is_on_disk(spec, space.data_dir)]
    absent = [spec.name for spec in specs if spec not in present]
    if absent:
        report(f"leave out {', '.join(absent)}: not on this disk below '{space.data_dir}'")
    if not present:
        raise DataError(
            "none of the catalogue's datasets is on this disk",
            file=space.data_dir,
            fix="moodbench list datasets says what is expected where; or give --images FOLDER --dataset NAME",
        )
    for spec in present:
        yield _Work(spec.name, open_images(spec, space.data_dir), spec.images)


def _limited(images: ImageSource, max_pixels: int | None) -> ImageSource:
    """Return the same images with another limit of their size."""
    return replace(images, max_pixels=max_pixels) if max_pixels and isinstance(images, FolderImages) else images


def _check_size(backbone: Backbone, name: str) -> None:
    """Refuse a size of pictures that the network turns out not to take, before a cache is begun."""
    import torch

    size = backbone.transform.record["size"]
    try:
        backbone.forward(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:  # architectures say it in their own ways
        raise ModelError(
            f"the network of '{name}' does not take pictures of {size} × {size} pixels: {error}",
            fix="choose another --image-size, or leave it out",
        ) from error


def _fast(backbone: Backbone, name: str) -> Backbone:
    """Return the same network with pictures that are decoded and resized sooner, to other pixels."""
    from moodbench.models.transforms import Transform

    if not isinstance(backbone.transform, Transform):
        raise UsageError(f"the transform of '{name}' is not moodbench's own", fix="leave --decoder out")
    return replace(backbone, transform=backbone.transform.fast())


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
