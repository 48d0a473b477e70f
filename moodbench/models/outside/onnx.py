"""Networks in ONNX files: ``onnx:FILE``, whose outputs are features, and logits if they have a head.

onnxruntime is an extra (``pip install 'moodbench-ood[onnx]'``). It computes on the processor, and gives no gradients.
"""

from __future__ import annotations

from pathlib import Path

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models.obtained import Weights
from moodbench.models.outside.library import DataConfig, Opened, existing_file, file_on_disk, file_weights, need_package
from moodbench.types import Report


def check(spec: ModelSpec, *, weights: bool) -> None:
    """Refuse what no network can be had from; see `moodbench.models.outside.library.Library`."""
    need_package("onnxruntime", "onnx", "networks in ONNX files (onnx:…)")
    existing_file(spec)


def weights_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file itself."""
    return file_on_disk(spec)


def fetch(spec: ModelSpec, report: Report, progress: bool) -> Weights:
    """Return the file, which is on this disk or cannot be had."""
    return file_weights(spec)


def data_config(spec: ModelSpec) -> DataConfig | None:
    """Nothing in the file says it but the size, which is read when it is opened."""
    return None


def open(spec: ModelSpec, checkpoint: Path | None, key: str | None) -> Opened:
    """Return the network; see `moodbench.models.outside.library.Library`."""
    from moodbench.models.outside.onnx_network import open_file

    check(spec, weights=True)
    if checkpoint is not None:
        raise ModelError(f"the weights of '{spec.name}' are in its file", fix="leave --checkpoint out")
    return open_file(spec, existing_file(spec))
