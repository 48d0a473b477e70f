"""Networks in files of TorchScript: ``torchscript:FILE``, which return features, and logits if they have a head.

Such a file is a program, which is run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moodbench.catalog import ModelSpec
from moodbench.digests import file_sha256
from moodbench.errors import ModelError
from moodbench.models.obtained import Weights
from moodbench.models.outside.library import DataConfig, Opened, existing_file, file_on_disk, file_weights
from moodbench.types import Report


def check(spec: ModelSpec, *, weights: bool) -> None:
    """Refuse what no network can be had from; see `moodbench.models.outside.library.Library`."""
    existing_file(spec)


def weights_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file itself."""
    return file_on_disk(spec)


def fetch(spec: ModelSpec, report: Report, progress: bool) -> Weights:
    """Return the file, which is on this disk or cannot be had."""
    return file_weights(spec)


def data_config(spec: ModelSpec) -> DataConfig | None:
    """Nothing in the file says it."""
    return None


def open(spec: ModelSpec, checkpoint: Path | None, key: str | None) -> Opened:
    """Return the network; see `moodbench.models.outside.library.Library`."""
    import warnings

    import torch

    from moodbench.models.outside.noise import pictures_of_noise
    from moodbench.models.outside.outputs import by_name, chosen, own_head, side_of
    from moodbench.models.outside.pictures import one_line

    file = existing_file(spec)
    if checkpoint is not None:
        raise ModelError(f"the weights of '{spec.name}' are in its file", fix="leave --checkpoint out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer torch would rather have other files, and still reads these
            load: Any = torch.jit.load  # untyped
            network = load(str(file), map_location="cpu").eval()
    except Exception as error:  # not such a file, or of operations that this torch lacks
        raise ModelError(f"torch cannot read the file as TorchScript: {one_line(error)}", file=file) from error
    images = pictures_of_noise(side_of(spec))
    try:
        with torch.no_grad():
            found = by_name(network(images))
    except Exception as error:  # it asserts, or takes other shapes
        raise ModelError(
            f"the network does not take pictures of {images.shape[-1]} × {images.shape[-1]} pixels: {one_line(error)}",
            file=file,
            fix="--image-size N, as it was exported for",
        ) from error
    compute = chosen(found, spec, len(images))
    head = own_head(spec, dict(network.state_dict()), compute, network, images)
    record = {"weights": f"file {file.name}", "code_sha256": file_sha256(file), "features": compute.features}
    return Opened(network, None, {}, record, compute=compute, head=head)
