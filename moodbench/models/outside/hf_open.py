"""Opening a network of transformers: strictly, with its image processor, and without running code that comes along."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from logging import CRITICAL
from pathlib import Path
from typing import Any

import torch
from torch import nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.misfit import first
from moodbench.models.outside import hf_files
from moodbench.models.outside.filling import filled
from moodbench.models.outside.hf_features import headless
from moodbench.models.outside.hf_layers import offer_layers, patch_of
from moodbench.models.outside.library import Opened, name_in
from moodbench.models.outside.noise import pictures_of_noise
from moodbench.models.outside.pictures import Foreign, measured, one_line
from moodbench.release import with_extra

KIND = "transformers"
"""What caches note as the kind of the transform."""

_CLASSIFIER = "ForImageClassification"
_POOLER = re.compile(r"(^|\.)pooler\.")
_MADE_UP = re.compile(r"LABEL_\d+")


def open_model(spec: ModelSpec, checkpoint: Path | None, key: str | None) -> Opened:
    """Return the network; see `moodbench.models.outside.library.Library`."""
    folder = hf_files.obtained_folder(spec, weights=checkpoint is None)
    described = hf_files.config_of(folder)
    _check_config(described, name_in(spec), folder)
    config = _config(folder)
    classifies = any(_CLASSIFIER in str(one) for one in described.get("architectures") or ())
    network, source, pooler = _network(spec, folder, config, classifies, checkpoint, key)
    network = network.eval().requires_grad_(False)
    transform = _transform(folder, spec.name) if spec.transform == "model" else None
    side = _side(config) if transform is None else int(transform.record["size"])
    record = {
        "weights": source,
        "architecture": type(network).__name__,
        "revision": hf_files.revision_of(folder),
        "transformers": version("transformers"),
    }
    images = pictures_of_noise(side)
    features = None
    if not classifies:
        features = headless(network, images, spec.name, pooler=pooler)
        record["read"] = features.way
    names = _class_names(config) if classifies else None
    pictures = {"input_size": (3, side, side)}
    return Opened(network, transform, pictures, record, names, features)


def add_layers(opened: Opened, features: Any, side: int) -> None:
    """Let the network offer its hidden states as layers; `features` reads its features."""
    offer_layers(opened.network, features, pictures_of_noise(side), patch_of(opened.network.config))


def _check_config(config: Mapping[str, Any], name: str, folder: Path) -> None:
    from transformers import CONFIG_MAPPING

    kind = config["model_type"]
    if kind not in CONFIG_MAPPING:
        own = bool(config.get("auto_map"))
        raise ModelError(
            f"transformers {version('transformers')} has no networks of the type '{kind}'"
            + (": this one comes with code of its own, which is not run" if own else ""),
            file=folder / hf_files.CONFIG,
            fix="look at that code, and build the network yourself: module:FILE.py:FUNCTION (see docs/any_model.md)"
            if own
            else with_extra("transformers", upgrade=True),
        )


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        with quiet():
            return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # it raises what it likes on values that it does not understand
        raise ModelError(
            f"transformers cannot read the model's description: {one_line(error)}", file=folder / hf_files.CONFIG
        ) from error


def _network(
    spec: ModelSpec, folder: Path, config: Any, classifies: bool, checkpoint: Path | None, key: str | None
) -> tuple[nn.Module, str, bool]:
    """Return the network with its weights, where they are from, and whether its pooling was trained, if it has any."""
    from transformers import AutoModel, AutoModelForImageClassification

    auto = AutoModelForImageClassification if classifies else AutoModel
    if hasattr(config, "mask_ratio"):
        config.mask_ratio = 0.0  # of masked autoencoders: features are of whole pictures
    try:
        with quiet():
            if checkpoint is not None:
                return *filled(lambda classes: _empty(auto, config, classes), checkpoint, key, spec.name), True
            network, told = auto.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except ModelError:
        raise
    except Exception as error:  # weights of other shapes, broken files, networks that are not for pictures
        raise ModelError(
            f"transformers cannot load '{spec.name}': {one_line(error)}",
            file=folder,
            fix=None if hf_files.weights_in(folder) else f"it needs one of {', '.join(hf_files.WEIGHTS)}",
        ) from error
    pooler = _check_complete(network, told, classifies, folder)
    revision = hf_files.revision_of(folder)
    source = f"folder {folder.resolve().name}" if revision is None else f"hub {name_in(spec)}@{revision[:12]}"
    return network, source, pooler


def _empty(auto: Any, config: Any, classes: int | None) -> nn.Module:
    if classes is not None:
        config.num_labels = classes
    made: nn.Module = auto.from_config(config, dtype=torch.float32)
    return made


def _check_complete(network: Any, told: Mapping[str, Any], classifies: bool, folder: Path) -> bool:
    """Refuse weights that are not exactly those of the network; say whether those of its pooling are among them.

    A network without classifier may leave what stands on it in the file: a decoder, another head.
    """
    missing = sorted(told["missing_keys"])
    prefix = f"{network.base_model_prefix}."
    parts = {name.split(".")[0] for name in network.state_dict()}
    left = sorted(name.removeprefix(prefix) for name in told["unexpected_keys"])
    unexpected = left if classifies else [name for name in left if name.split(".")[0] in parts]
    lacking = missing if classifies else [name for name in missing if not _POOLER.search(name)]
    shapes = sorted(str(one) for one in told["mismatched_keys"])
    faults = {"missing": lacking, "unexpected": unexpected, "of another shape": shapes}
    if any(faults.values()):
        raise ModelError(
            f"the weights are not those of a {type(network).__name__} as its {hf_files.CONFIG} describes it: tensors "
            + "; ".join(f"{kind}: {len(names)} ({first(names)})" for kind, names in faults.items() if names),
            file=folder,
            fix="numbers that were never trained would stand for them; save the model again with save_pretrained"
            + ("" if not lacking else ",\nor if it has no trained classifier, save its AutoModel"),
        )
    return not any(_POOLER.search(name) for name in missing)


def _transform(folder: Path, name: str) -> Foreign:
    """Return the model's image processor as a transform."""
    import transformers

    library: Any = transformers  # untyped
    if not any((folder / one).is_file() for one in hf_files.PROCESSORS):
        raise ModelError(
            f"it does not say how its pictures are prepared: there is no {hf_files.PROCESSORS[0]}",
            file=folder,
            fix="save its image processor there (processor.save_pretrained(FOLDER)), or use --transform moodv2",
        )
    try:
        with quiet():
            processor = library.AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # it raises what it likes
        raise ModelError(f"transformers cannot read the image processor: {one_line(error)}", file=folder) from error
    settings = json.loads(json.dumps(processor.to_dict(), default=str))
    scaled = settings.get("do_normalize", True)
    record = {
        "kind": KIND,
        "processor": type(processor).__name__,
        "mean": settings.get("image_mean") if scaled else None,
        "std": (settings.get("image_std") if scaled else None) or [1.0, 1.0, 1.0],
        "settings": {key: value for key, value in sorted(settings.items()) if value is not None},
    }
    return measured(Processor(processor), name, record)


class Processor:
    """An image processor of transformers as a function of one picture."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, image: Any) -> Any:
        """Return (3, side, side) float32, exactly as the processor returns it."""
        found = self.processor(images=image, return_tensors="pt")
        if "pixel_values" not in found:
            raise TypeError(f"it returns {', '.join(found)}, not pixel_values")
        return found["pixel_values"][0]


def _side(config: Any) -> int:
    """Return the side of the pictures that the configuration says, for transforms of moodbench's own."""
    inner = getattr(config, "vision_config", None)
    for one in (config, inner):
        size = getattr(one, "image_size", None)
        if isinstance(size, (list, tuple)) and len(set(size)) == 1:
            size = size[0]
        if isinstance(size, int) and size > 0:
            return size
    return 224


def _class_names(config: Any) -> tuple[str, ...] | None:
    """Return the names of the outputs; None where nobody has given them different ones."""
    known = config.id2label or {}
    names = [str(known[i]) for i in range(len(known)) if i in known]
    if not names or len(names) != len(known) or len(set(names)) != len(names) or all(map(_MADE_UP.fullmatch, names)):
        return None
    return tuple(names)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep reports and progress bars of transformers off stderr."""
    from transformers.utils import logging as theirs

    logging: Any = theirs  # untyped
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        with hub.quiet(progress=False):
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
