"""From an entry of the catalogue to a network with its weights: strictly, or not at all.

Where weights come from, in this order: a checkpoint named by the caller, the entry's own file, the entry's address,
timm's hub. Whatever the way, every tensor of the network is loaded and every tensor of the file is used, or the
model is refused: a head that was never trained looks like a bad method in a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from timm.models import get_pretrained_cfg
from torch import nn

from moodbench.catalog import HeadSpec, ModelSpec
from moodbench.digests import file_sha256
from moodbench.errors import ModelError, UsageError
from moodbench.models import hub
from moodbench.models.backbone import Backbone, Compute, CustomPass, TimmCompute
from moodbench.models.build import check_name, create, untrained_fix
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.clip.image import OPEN_CLIP, load_clip
from moodbench.models.features import PRE_LOGITS, RECIPES, check_width, read_head
from moodbench.models.fitting import POSITION_TABLES, LoadedModel, load_file
from moodbench.models.formats.base import FORMATS
from moodbench.models.head import NO_HEAD, read_classifier
from moodbench.models.outside.load import load_outside
from moodbench.models.sources import fetched, head_file, own_file
from moodbench.models.transforms import TRANSFORMS, build_transform, image_of, sized
from moodbench.models.weights import by_hand
from moodbench.types import Head

# Names of networks trained on pairs of pictures and texts; unless fine-tuned to classes, what timm files as their
# classifier is a projection into the space that both share.
_PAIRED = re.compile(r"clip|_mci|vitamin|pe_core")
_PROJECTIONS = (384, 512, 640, 768, 1024, 1152, 1280)
_FINE_TUNED = re.compile(r"_ft_in\d")


@dataclass(frozen=True)
class _Read:
    """How features and logits are read, with what of it belongs into the record."""

    head: Head | None
    compute: Compute
    dim: int
    record: dict[str, Any]


def load_model(
    spec: ModelSpec,
    *,
    checkpoint: Path | None = None,
    checkpoint_key: str | None = None,
    format: str | None = None,
    transform: str | None = None,
    with_head: bool = True,
) -> Backbone:
    """Return the network of a catalogue entry, on the CPU, in evaluation mode, without gradients.

    Parameters
    ----------
    spec : ModelSpec
        Of a variant: already resolved to it.
    checkpoint : Path, optional
        A file to load instead of the entry's own weights.
    checkpoint_key : str, optional
        Which part of that file; see `moodbench.models.checkpoint.read_checkpoint`.
    format : str, optional
        Name of the checkpoint's format; found out from the names of its tensors when not given.
    transform : str, optional
        Name of the transform to use instead of the entry's.
    with_head : bool
        False: features only, whatever classifier the weights have.

    Raises
    ------
    UnknownNameError, UsageError
        There is no such model in its library, tag, format, features recipe or transform; or a key without a
        checkpoint.
    ModelError
        The weights cannot be had, are not the expected ones or do not fit; or the head is not linear.
    """
    kind = transform or spec.transform
    TRANSFORMS.get(kind)  # a misspelt name should not wait for the weights
    if spec.network is None:
        RECIPES.get(spec.features)
    if format is not None and spec.clip is None and spec.network is None:
        FORMATS.get(format)
    if checkpoint_key is not None and checkpoint is None:
        raise UsageError("a checkpoint key says which part of a file to take, and no file is given with --checkpoint")
    if format is not None and checkpoint is None:
        raise UsageError("a format says how to read a file of weights, and no file is given with --checkpoint")
    if not with_head:
        spec = replace(spec, head=HeadSpec("none"))
    if spec.clip is not None:
        if format not in (None, OPEN_CLIP):
            raise UsageError("a format says how to read weights for timm, and this is a network of open_clip")
        return load_clip(spec, checkpoint=checkpoint, checkpoint_key=checkpoint_key, transform=transform)
    if spec.network is not None:
        if format is not None:
            raise UsageError(f"a format says how to read weights for timm, and this is '{spec.network}'")
        return load_outside(spec, checkpoint=checkpoint, checkpoint_key=checkpoint_key, transform=transform)
    check_name(spec)
    spec = sized(spec)
    _check_recipe(spec)
    headed = spec.head.kind == "own"
    with hub.quiet():
        loaded = _load(spec, checkpoint, checkpoint_key, format, headed)
    network = loaded.network.eval().requires_grad_(False)
    if headed:
        _check_trained_head(loaded, spec)
    read = _read(spec, network)
    pictures = build_transform(kind, network, _image_size(spec, network), image=image_of(spec, kind))
    size = pictures.record["size"]
    record = _record(spec, loaded, read, size)
    return Backbone(network, read.head, pictures, size, record, read.compute)


def _load(spec: ModelSpec, checkpoint: Path | None, key: str | None, format: str | None, headed: bool) -> LoadedModel:
    if checkpoint is not None:
        return load_file(spec, checkpoint, format, headed, key)
    if spec.checkpoint is not None:
        file = own_file(f"checkpoint of '{spec.name}'", spec.checkpoint, spec.sha256)
        return load_file(spec, file, spec.format, headed, spec.checkpoint_key)
    if spec.url is not None:
        file = fetched(spec.name, spec.url, spec.sha256)
        loaded = load_file(spec, file, spec.format, headed, spec.checkpoint_key)
        return replace(loaded, source=f"{loaded.source} of {urlsplit(spec.url).netloc}")
    if spec.by_hand is not None:
        raise by_hand(spec)
    return _from_timm(spec, headed)


# -- timm's own weights -------------------------------------------------------------------------------------------


def _from_timm(spec: ModelSpec, headed: bool) -> LoadedModel:
    config = get_pretrained_cfg(spec.timm)
    if config is None or not config.has_weights:
        raise ModelError(f"timm has no weights for '{spec.timm}'", fix=untrained_fix(spec.timm))
    if headed:
        _refuse_projection(spec, config)
    hub_id = config.hf_hub_id
    url = config.url if isinstance(config.url, str) else (config.url or ("",))[0]  # or (address, file name)
    if hub_id:
        files = (config.hf_hub_filename,) if config.hf_hub_filename else hub.WEIGHT_FILES
        cached = hub.ready_hub(spec.name, hub_id, files)
    else:
        cached = False
        hub.ready_url(spec.name, url)
    try:
        with hub.hub_offline(cached):
            network = _pretrained(spec, headed, config.num_classes)
    except OSError as error:  # the hub client's failures and urllib's are all OSErrors
        if hub_id:
            raise hub.explained(spec.name, hub_id, error) from error
        raise hub.url_error(spec.name, url, f"failed: {error}") from error
    source = f"hub {hub_id}" if hub_id else f"file {Path(urlsplit(url).path).name} of its publisher"
    return LoadedModel(network, source, resampled=_resampled_by_timm(spec, network))


def _pretrained(spec: ModelSpec, headed: bool, classes: int) -> nn.Module:
    if headed:
        return create(spec, headed, pretrained=True)
    # Asked for fewer classes than the weights have, timm would load without checking that the rest fits. So they are
    # loaded with their classifier, strictly, and it is taken off afterwards.
    network: Any = create(spec, True, pretrained=True, num_classes=classes)
    if classes > 0:
        network.reset_classifier(0)
    whole: nn.Module = network
    return whole


def _resampled_by_timm(spec: ModelSpec, network: nn.Module) -> str | None:
    """Return how timm brought position tables to the entry's image size, or None if there was nothing to do."""
    config: dict[str, Any] = getattr(network, "pretrained_cfg", {})
    size = spec.args.get("img_size", config["input_size"][-1])
    same = tuple(config["input_size"][1:]) == ((size, size) if isinstance(size, int) else tuple(size))
    tables = any(name.rpartition(".")[2] in POSITION_TABLES for name in network.state_dict())
    return FORMATS.get("timm").resampling(network) if tables and not same else None


def _refuse_projection(spec: ModelSpec, config: Any) -> None:
    """Refuse weights whose last layer timm files as classifier though it has never met a class."""
    full = f"{config.architecture}.{config.tag}"
    paired = _PAIRED.search(full) and not _FINE_TUNED.search(full)
    if paired and config.num_classes in _PROJECTIONS:
        raise ModelError(
            f"the {config.num_classes} outputs of '{spec.timm}' are not classes: its last layer is a projection "
            "into the space that pictures share with texts",
            fix=NO_HEAD,
        )


def _check_trained_head(loaded: LoadedModel, spec: ModelSpec) -> None:
    """Refuse a classifier that the weights did not bring along: timm makes up a random one without a warning."""
    net: Any = loaded.network
    # A file was loaded strictly, so its classes are the network's; timm drops what does not match its record.
    trained = net.num_classes if loaded.format is not None else net.pretrained_cfg.get("num_classes", 0)
    if net.num_classes == 0 and "num_classes" not in spec.args and spec.name.startswith("timm:"):
        return  # nobody claimed that it has a head; it is a backbone, and nothing is made up
    if not trained == net.num_classes > 0:
        has = f"{trained} classes" if trained else "no classifier"
        raise ModelError(
            f"the weights of '{spec.timm}' have {has}, but '{spec.name}' asks for {net.num_classes or 'one'}: "
            "such a head would be random numbers",
            fix="load it without head (--no-head, or 'head: none' in the entry): features only",
        )


# -- features and head --------------------------------------------------------------------------------------------


def _check_recipe(spec: ModelSpec) -> None:
    if spec.head.kind == "own" and spec.features != PRE_LOGITS:
        raise ModelError(
            f"'{spec.name}' asks for the features '{spec.features}', which no classifier of the network itself reads",
            fix="say in the entry where the head is (head: {url: …} or {path: …}), or head: none; or load it with "
            "--no-head",
        )


def _read(spec: ModelSpec, network: nn.Module) -> _Read:
    """Return features, head and how both are computed."""
    if spec.head.kind == "own":
        reading = read_classifier(network, spec.name)
        dim = RECIPES.get(PRE_LOGITS).width(network) if reading.head is None else reading.head.dim
        noted = {} if reading.how == "plain" else {"classifier": reading.how}
        return _Read(reading.head, TimmCompute(reading.features), dim, noted)
    recipe = RECIPES.get(spec.features)
    reader = recipe.reader(network, spec.name)
    record = {} if spec.features == PRE_LOGITS else {"features": spec.features}
    head = None
    if spec.head.kind == "file":
        file, source = head_file(spec)
        head = read_head(file)
        check_width(head, file, spec.features, network, spec.name)
        record |= {"head": source, "head_sha256": file_sha256(file)}
    return _Read(head, CustomPass(reader, head), recipe.width(network), record)


# -- records ------------------------------------------------------------------------------------------------------


def _image_size(spec: ModelSpec, network: nn.Module) -> int:
    """Return the side of the square that the network was built for."""
    net: Any = network
    # timm's record of the weights does not follow `img_size`, so the argument comes first.
    size = spec.args.get("img_size") or net.pretrained_cfg["input_size"][1:]
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ModelError(f"'{spec.timm}' takes pictures of {height} × {width} pixels; only squares are supported")
    return int(height)


def _record(spec: ModelSpec, loaded: LoadedModel, read: _Read, image_size: int) -> dict[str, Any]:
    net: Any = loaded.network
    architecture, tag = net.pretrained_cfg["architecture"], net.pretrained_cfg.get("tag")
    own = loaded.format is None  # the tag says which of timm's weights were loaded, and nothing about a file
    record = {
        "name": spec.name,
        "timm": f"{architecture}.{tag}" if own and tag else architecture,
        "args": dict(spec.args),
        "weights": loaded.source,
        "weights_sha256": weights_sha256(loaded.network),
        "classes": None if read.head is None else read.head.classes,
        "dim": read.dim,
        "image_size": image_size,
        "pretext": spec.pretext,
    }
    if not own:
        record |= {"format": loaded.format, "adapted": loaded.adapted}
    if loaded.resampled is not None:
        record["positions"] = loaded.resampled
    # weights with an ImageNet-1k accuracy, and those whose tag says so: their 1000 outputs are its classes
    if record["classes"] == 1000 and (spec.top1 is not None or (own and "in1k" in (tag or ""))):
        record["head_names"] = "imagenet"
    return record | read.record
