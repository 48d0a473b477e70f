"""Networks of transformers: ``hf:ORG/NAME`` of the hub, and ``hf:FOLDER`` that save_pretrained wrote.

transformers is an extra (``pip install 'moodbench-ood[transformers]'``), and imported when a network of it is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models.obtained import Weights
from moodbench.models.outside import hf_files
from moodbench.models.outside.library import DataConfig, Opened, need_package
from moodbench.types import Report


def check(spec: ModelSpec, *, weights: bool) -> None:
    """Refuse what no network can be had from; see `moodbench.models.outside.library.Library`."""
    need_package("transformers", "transformers", "models of transformers (hf:…)")
    folder = hf_files.own_folder(spec)
    if folder is not None:
        hf_files.check_folder(folder)
        hf_files.config_of(folder)
    elif weights:
        hf_files.ready(spec)


def weights_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file of the weights, or the index of their shards."""
    try:
        folder = hf_files.cached_folder(spec)
    except ModelError:  # no such folder
        return None
    return None if folder is None else hf_files.weights_in(folder)


def fetch(spec: ModelSpec, report: Report, progress: bool) -> Weights:
    """Return the weights; what is not on this disk is fetched."""
    return hf_files.fetch(spec, report, progress)


def data_config(spec: ModelSpec) -> DataConfig | None:
    """The image processor alone knows."""
    return None


def open(spec: ModelSpec, checkpoint: Path | None, key: str | None) -> Opened:
    """Return the network; see `moodbench.models.outside.library.Library`."""
    from moodbench.models.outside.hf_open import open_model

    check(spec, weights=False)
    return open_model(spec, checkpoint, key)


def add_layers(opened: Opened, features: Any, side: int) -> None:
    """Let the network offer its hidden states as layers."""
    from moodbench.models.outside.hf_open import add_layers as add

    add(opened, features, side)
