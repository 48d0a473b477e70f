"""The network of a detector: built again as its caches say, and refused where it is another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moodbench.catalog import Catalog, HeadSpec
from moodbench.datasets.images import ImageSource
from moodbench.devices import keep_freed_memory
from moodbench.errors import CacheMismatchError, ModelError, MoodbenchError, UnknownNameError
from moodbench.features.loading import load_batches
from moodbench.features.network import Network
from moodbench.features.provenance import other_network
from moodbench.features.settings import CPU_BATCH, Settings
from moodbench.models.backbone import Backbone
from moodbench.models.features import PRE_LOGITS
from moodbench.models.load import load_model
from moodbench.models.transforms import TRANSFORMS, Transform
from moodbench.prefixes import exported
from moodbench.workspace import ModelName

Rows = tuple[NDArray[np.float32], NDArray[np.float32] | None, dict[int, MoodbenchError]]
"""Features (N, D), logits (N, C) or None, and by their places the images that could not be decoded, whose rows mean
nothing."""


def build(
    catalog: Catalog,
    about: Mapping[str, Any],
    *,
    checkpoint: Path | None = None,
    checkpoint_key: str | None = None,
    backbone: Backbone | None = None,
) -> Backbone:
    """Return the network that the cached features of a detector are from.

    Parameters
    ----------
    catalog : Catalog
    about : mapping
        Of the detector (`moodbench.detection.fitted.Fitted`).
    checkpoint, checkpoint_key
        Where its weights are, if they were given with ``extract --checkpoint``.
    backbone : Backbone, optional
        A network of the user's own.

    Raises
    ------
    ModelError
        The features were imported, or the weights cannot be had.
    CacheMismatchError
        The network is another than that of the caches.
    """
    noted, model = about["network"], about["model"]
    if backbone is None:
        if noted.get("source") != "extract":
            raise ModelError(
                f"the features of '{model}' were imported, so there is no network to compute those of other images",
                fix="extract them here, or give the network from Python: moodbench.Detector.load(…, backbone=…)",
            )
        backbone = _built(catalog, about, checkpoint, checkpoint_key)
    different = list(other_network(backbone, noted))
    if backbone.head is not None and about["head"] not in (None, backbone.head.digest):
        different.append("head: other values now")
    if different:
        fix = "name the weights that were extracted with: --checkpoint FILE" if checkpoint is None else None
        raise CacheMismatchError(
            f"the network of '{model}' is another than that of its caches\n    " + "\n    ".join(different),
            fix=fix or "extract and score again, or give the weights that were extracted with",
        )
    return backbone


def _built(catalog: Catalog, about: Mapping[str, Any], checkpoint: Path | None, checkpoint_key: str | None) -> Backbone:
    name, noted = ModelName.parse(about["model"]), about["network"]
    record = noted["model"]
    try:
        spec = catalog.model(name.base).variant(name.variant)
    except UnknownNameError as error:
        raise ModelError(
            f"the model '{name}' is none of the catalogue, so its network cannot be built",
            fix=f"name its catalogue with --catalog, or give the network: moodbench.Detector.load(…, backbone=…)\n"
            f"{error.fix}",
        ) from None
    spec = replace(spec, args=dict(record.get("args") or {}), features=record.get("features", PRE_LOGITS))
    if record.get("classes") is None:
        spec = replace(spec, head=HeadSpec("none"))
    kind = noted["transform"].get("kind")
    if exported(spec.network):  # it says nothing of its pictures; how they are prepared is put into its place below
        spec = replace(spec, image={"size": record["image_size"]}, transform="moodv2")
    elif spec.network is not None and kind in TRANSFORMS:
        spec = replace(spec, image={}, transform=str(kind))
    backbone = load_model(
        spec,
        checkpoint=checkpoint,
        checkpoint_key=checkpoint_key,
        format=record.get("format") if checkpoint is not None else None,
    )
    if kind not in TRANSFORMS:
        return backbone  # it brought a transform of its own, whose record is compared
    # the record is what is executed
    return replace(backbone, transform=Transform(dict(noted["transform"])), image_size=record["image_size"])


MANY = 16
"""From so many images on, no network that was tried rounds the features of one otherwise for there being more."""


class Extractor:
    """Pictures → features and logits, as ``extract`` computes them.

    Images go through the network in batches of the size that the caches were made with. Where there are fewer, the
    batch is filled up: on a CPU to `least` images, from which on the features of one have the same bits whatever the
    others are, and on a GPU wholly. Logits are products over as many rows as a batch has.

    Parameters
    ----------
    backbone : Backbone
    noted : mapping
        Provenance of the cached features.
    device : str
    least : int, optional
        What `least_images` found here before.
    """

    def __init__(self, backbone: Backbone, noted: Mapping[str, Any], device: str, least: int | None = None) -> None:
        self._settings = Settings(
            device=device,
            precision=noted["precision"],
            on_error="skip",
            channels_last=noted.get("channels_last"),
            compile=bool(noted.get("compile")),
        )
        self._size = int(noted.get("batch_size") or CPU_BATCH)
        self._backbone = backbone
        keep_freed_memory()
        self._network = Network(backbone, self._settings, self._size)
        self._network.padded |= self._settings.torch_device.type == "cuda"
        self.least = self._least_images() if least is None else least

    def _least_images(self) -> int:
        """Return how many images have to go through the network at once, so that their bits are those of a batch.

        Found out with noise: networks whose images are many rows of every product (of patches, of places) need one,
        and those that have products over single images, as behind a pooling, more.
        """
        most = min(MANY, self._size)
        if self._network.padded:
            return 1
        side = int(self._backbone.transform.record["size"])
        noise = torch.randint(0, 256, (most, side, side, 3), generator=torch.Generator().manual_seed(0))
        own = isinstance(self._backbone.transform, Transform)
        pixels = noise.to(torch.uint8) if own else noise.permute(0, 3, 1, 2).float().div(255).contiguous()
        wanted, _ = self._network(pixels).arrays()
        sizes = [count for count in (1, 2, 4, 8) if count < most]
        return next(
            (count for count in sizes if np.array_equal(self._network(pixels[:count]).arrays()[0], wanted[:count])),
            most,
        )

    def __call__(self, images: ImageSource, most: int) -> Iterator[Rows]:
        """Yield the rows of the images in order, at least one batch and about `most` of them at a time."""
        places = np.arange(len(images))
        batches = [places[start : start + self._size] for start in range(0, len(images), self._size)]
        features: list[NDArray[np.float32]] = []
        logits: list[NDArray[np.float32] | None] = []
        errors: dict[int, MoodbenchError] = {}
        count = 0
        with closing(load_batches(images, batches, self._backbone.transform, self._settings)) as loaded:
            for batch in loaded:
                some, others = self._rows(batch.pixels)
                features.append(some)
                logits.append(others)
                errors |= {count + place: error for place, error in batch.errors.items()}
                count += len(some)
                if count + self._size > most:
                    yield _joined(features, logits, errors)
                    features, logits, errors, count = [], [], {}, 0
        if count:
            yield _joined(features, logits, errors)

    def _rows(self, pixels: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        count = len(pixels)
        if count < self.least:
            pixels = torch.cat([pixels, pixels.new_zeros(self.least - count, *pixels.shape[1:])])
        features, logits = self._network(pixels).arrays()
        return features[:count], None if logits is None else logits[:count]


def _joined(
    features: Sequence[NDArray[np.float32]],
    logits: Sequence[NDArray[np.float32] | None],
    errors: dict[int, MoodbenchError],
) -> Rows:
    known = [one for one in logits if one is not None]
    return np.concatenate(features), np.concatenate(known) if known else None, errors
