"""From an entry of the catalogue to a network with its weights: strictly, or not at all.

Where weights come from, in this order: a checkpoint named by the caller, the entry's own file, the entry's address,
timm's hub. Whatever the way, every tensor of the network is loaded and every tensor of the file is used, or the
model is refused: a head that was never trained looks like a bad method in a table.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import timm
from timm.models import get_pretrained_cfg, is_model, split_model_name_tag
from torch import Tensor, nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError, UsageError
from moodbench.models import hub
from moodbench.models.backbone import Backbone, timm_compute
from moodbench.models.checkpoint import check_sha256, read_checkpoint, weights_sha256
from moodbench.models.formats.base import FORMATS, State, detect_format
from moodbench.models.head import linear_head
from moodbench.models.transforms import TRANSFORMS, build_transform
from moodbench.types import Head

_SHOWN = 5  # how many tensor names a message lists before it only counts


@dataclass(frozen=True)
class _Loaded:
    """A network with its weights, and in words where they are from."""

    network: nn.Module
    source: str
    format: str | None = None
    adapted: bool = False


def load_model(
    spec: ModelSpec,
    *,
    checkpoint: Path | None = None,
    format: str | None = None,
    transform: str | None = None,
    with_head: bool = True,
) -> Backbone:
    """Return the network of a catalogue entry, on the CPU, in evaluation mode, without gradients.

    Parameters
    ----------
    spec : ModelSpec
    checkpoint : Path, optional
        A file to load instead of the entry's own weights.
    format : str, optional
        Name of the checkpoint's format; found out from the names of its tensors when not given.
    transform : str, optional
        Name of the transform to use instead of the entry's.
    with_head : bool
        False: features only, whatever classifier the weights have.

    Raises
    ------
    UnknownNameError, UsageError
        There is no such timm model, tag, format or transform.
    ModelError
        The weights cannot be had, are not the expected ones or do not fit; or the head is not linear.
    """
    kind = transform or spec.transform
    TRANSFORMS.get(kind)  # a misspelt name should not wait for the weights
    if format is not None:
        FORMATS.get(format)
    _check_name(spec.timm)
    headed = spec.head.kind != "none" and with_head
    with hub.quiet():
        loaded = _load(spec, checkpoint, format, headed)
    network = loaded.network.eval().requires_grad_(False)
    if headed:
        _check_trained_head(loaded, spec)
    head = linear_head(network, spec.name) if headed else None
    size = _image_size(spec, network)
    record = _record(spec, loaded, head, size)
    return Backbone(network, head, build_transform(kind, network, size), size, record, timm_compute)


def _load(spec: ModelSpec, checkpoint: Path | None, format: str | None, headed: bool) -> _Loaded:
    if checkpoint is not None:
        return _from_file(spec, checkpoint, format, headed)
    if spec.checkpoint is not None:
        if not spec.checkpoint.is_file():
            raise ModelError(f"the checkpoint of '{spec.name}' does not exist", file=spec.checkpoint)
        if spec.sha256 is not None:
            check_sha256(spec.checkpoint, spec.sha256)
        return _from_file(spec, spec.checkpoint, spec.format, headed)
    if spec.url is not None:
        file = hub.fetch_url(spec.name, spec.url)
        digest = spec.sha256 or hub.digest_in_name(file)
        if digest is not None:
            check_sha256(file, digest)
        loaded = _from_file(spec, file, spec.format, headed)
        return _Loaded(loaded.network, f"{loaded.source} of {urlsplit(spec.url).netloc}", loaded.format, loaded.adapted)
    return _from_timm(spec, headed)


# -- timm's own weights -------------------------------------------------------------------------------------------


def _from_timm(spec: ModelSpec, headed: bool) -> _Loaded:
    config = get_pretrained_cfg(spec.timm)
    if config is None or not config.has_weights:
        raise ModelError(f"timm has no weights for '{spec.timm}'", fix=_untrained_fix(spec.timm))
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
            raise hub.hub_error(spec.name, hub_id, f"fetching them failed: {type(error).__name__}") from error
        raise hub.url_error(spec.name, url, f"failed: {error}") from error
    return _Loaded(network, f"hub {hub_id}" if hub_id else f"file {Path(urlsplit(url).path).name} of its publisher")


def _pretrained(spec: ModelSpec, headed: bool, classes: int) -> nn.Module:
    if headed:
        return _create(spec, headed, pretrained=True)
    # Asked for fewer classes than the weights have, timm would load without checking that the rest fits. So they are
    # loaded with their classifier, strictly, and it is taken off afterwards.
    network: Any = _create(spec, True, pretrained=True, num_classes=classes)
    if classes > 0:
        network.reset_classifier(0)
    whole: nn.Module = network
    return whole


def _create(spec: ModelSpec, headed: bool, *, pretrained: bool, **more: Any) -> nn.Module:
    """Build the network with the entry's arguments; `more` wins over them, except that overlays are merged."""
    args = dict(spec.args) if headed else {**spec.args, "num_classes": 0}
    overlay = {**args.get("pretrained_cfg_overlay", {}), **more.get("pretrained_cfg_overlay", {})}
    if overlay:
        more["pretrained_cfg_overlay"] = overlay
    try:
        network: nn.Module = timm.create_model(spec.timm, pretrained, **{**args, **more})
    except OSError:
        raise
    except Exception as error:  # architectures assert, or raise what they like, on arguments they cannot use
        raise ModelError(
            f"timm cannot build '{spec.timm}'{f' with {dict(spec.args)}' if spec.args else ''}: {error}",
            fix="check 'timm' and 'args' of the entry" if spec.args else None,
        ) from error
    return network


# -- weights from a file ------------------------------------------------------------------------------------------


def _from_file(spec: ModelSpec, file: Path, format: str | None, headed: bool) -> _Loaded:
    raw, part = read_checkpoint(file)
    if format is None:
        format = detect_format(raw.keys())
    network = _create(spec, headed, pretrained=False)
    state = FORMATS.get(format).convert(raw, network)
    _agree_on_classes(network, state, spec, headed)
    faults = _faults(network, state)
    if not faults:
        network.load_state_dict(state, strict=True)
        return _Loaded(network, f"file {part}", format)
    try:
        network = _adapted(spec, network, state, headed)
    except ModelError as error:
        raise _does_not_fit(spec, file, format, faults, network) from error
    return _Loaded(network, f"file {part}", format, adapted=True)


def _agree_on_classes(network: nn.Module, state: State, spec: ModelSpec, headed: bool) -> None:
    """Drop the file's classifier when none is wanted; else give the network as many classes as the file has."""
    net: Any = network
    for name in _classifiers(network):
        if not headed:
            for key in [key for key in state if key.startswith(f"{name}.")]:
                del state[key]
        elif "num_classes" not in spec.args and f"{name}.weight" in state:
            classes = len(state[f"{name}.weight"])
            if classes != net.num_classes:
                net.reset_classifier(classes)


def _classifiers(network: nn.Module) -> tuple[str, ...]:
    config: dict[str, Any] = getattr(network, "pretrained_cfg", {})
    names = config.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _adapted(spec: ModelSpec, network: nn.Module, state: State, headed: bool) -> nn.Module:
    """Return a network loaded through timm's own conversion for the architecture, still strictly.

    It knows the publishers' names and resamples position embeddings. Only tried where the tensors do not fit as they
    are, so that a file which fits is never touched.
    """
    net: Any = network
    # With the true number of classes in the overlay timm neither drops the classifier nor relaxes the check.
    overlay = {"state_dict": state, "num_classes": net.num_classes}
    net = _create(spec, headed, pretrained=True, num_classes=net.num_classes, pretrained_cfg_overlay=overlay)
    net.pretrained_cfg.pop("state_dict", None)  # a second copy of all weights
    adapted: nn.Module = net
    return adapted


def _faults(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Return which tensors are missing, unexpected or of another shape; empty if `state` fits exactly."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state]
    unexpected = [name for name in state if name not in wanted]
    shapes = [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return {kind: names for kind, names in found.items() if names}


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _does_not_fit(
    spec: ModelSpec, file: Path, format: str, faults: dict[str, list[str]], network: nn.Module
) -> ModelError:
    classifier = tuple(f"{name}." for name in _classifiers(network))
    headless = set(faults) == {"missing"} and all(name.startswith(classifier) for name in faults["missing"])
    fix = (
        "the file has no classifier: load it without head (--no-head)"
        if headless
        else "use weights of this architecture, correct 'timm', 'args' or 'format' of the entry"
        f"\n(formats: {', '.join(sorted(FORMATS))})"
    )
    return ModelError(
        f"the checkpoint does not fit '{spec.timm}' (read as format '{format}'): tensors "
        + "; ".join(f"{kind}: {len(names)} ({_first(names)})" for kind, names in faults.items()),
        file=file,
        fix=fix,
    )


# -- names, heads, records ----------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    """Raise a `UsageError` with the nearest names unless timm has the architecture and, where given, the tag."""
    if name.startswith("timm/") or "/" in name or ":" in name:
        bare = name.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        raise UsageError(f"'{name}' is a hub address, not the name of a timm model", fix=f"write '{bare}'")
    architecture, tag = split_model_name_tag(name)
    if not is_model(architecture):
        near = difflib.get_close_matches(name, [*timm.list_models(), *timm.list_pretrained()], n=5, cutoff=0.6)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(
            f"timm {timm.__version__} has no model '{name}'.{hint}",
            fix='python -c \'import timm; print(*timm.list_pretrained("*vit*"), sep="\\n")\' lists names',
        )
    if tag and name not in timm.list_pretrained(f"{architecture}.*"):
        tags = _pretrained_names(architecture)
        raise UsageError(
            f"timm has the architecture '{architecture}', but not with the tag '{tag}'",
            fix=f"known: {', '.join(tags)}" if tags else f"write '{architecture}' and give the weights as a file",
        )


def _pretrained_names(architecture: str) -> list[str]:
    names: list[str] = timm.list_pretrained(f"{architecture}.*")
    return names


def _untrained_fix(name: str) -> str:
    known = _pretrained_names(split_model_name_tag(name)[0])
    return "give a file with --checkpoint FILE" + (f", or use one of {', '.join(known)}" if known else "")


def _check_trained_head(loaded: _Loaded, spec: ModelSpec) -> None:
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
            fix="load it without head (--no-head, or 'head: false' in the entry): features only",
        )


def _image_size(spec: ModelSpec, network: nn.Module) -> int:
    """Return the side of the square that the network was built for."""
    net: Any = network
    # timm's record of the weights does not follow `img_size`, so the argument comes first.
    size = spec.args.get("img_size") or net.pretrained_cfg["input_size"][1:]
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ModelError(f"'{spec.timm}' takes pictures of {height} × {width} pixels; only squares are supported")
    return int(height)


def _record(spec: ModelSpec, loaded: _Loaded, head: Head | None, image_size: int) -> dict[str, Any]:
    net: Any = loaded.network
    architecture, tag = net.pretrained_cfg["architecture"], net.pretrained_cfg.get("tag")
    own = loaded.format is None  # the tag says which of timm's weights were loaded, and nothing about a file
    record = {
        "name": spec.name,
        "timm": f"{architecture}.{tag}" if own and tag else architecture,
        "args": dict(spec.args),
        "weights": loaded.source,
        "weights_sha256": weights_sha256(loaded.network),
        "classes": None if head is None else head.classes,
        "dim": int(net.head_hidden_size if head is None else head.dim),
        "image_size": image_size,
        "pretext": spec.pretext,
    }
    if not own:
        record |= {"format": loaded.format, "adapted": loaded.adapted}
    return record
