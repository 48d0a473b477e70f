"""Networks of torchvision: ``torchvision:resnet50.IMAGENET1K_V2``, by its architectures and its weights enumerations.

Pictures are prepared as the weights' own transform does it, to the bit. Without weights (``torchvision:resnet50``) the
default ones of the architecture are meant; a file stands for the weights that are named, or for those of a training of
one's own.
"""

from __future__ import annotations

import difflib
import math
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError, UsageError
from moodbench.models import hub
from moodbench.models.digest import check_sha256
from moodbench.models.obtained import Weights
from moodbench.models.outside.library import DataConfig, Opened, name_in
from moodbench.models.outside.pictures import one_line
from moodbench.types import Report


def check(spec: ModelSpec, *, weights: bool) -> None:
    """Refuse what no network can be had from; see `moodbench.models.outside.library.Library`."""
    architecture, chosen = _known(name_in(spec))
    if not weights:
        return
    if chosen is None:
        raise ModelError(f"torchvision has no weights for '{architecture}'", fix="give a file with --checkpoint FILE")
    if not chosen.meta.get("categories"):
        raise ModelError(f"the weights {chosen} have no trained classifier", fix=_fix_weights(architecture))
    hub.ready_url(spec.name, chosen.url)


def weights_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file of the weights in torch's cache."""
    _, chosen = _known(name_in(spec))
    file = None if chosen is None else hub.url_file(chosen.url)
    return file if file is not None and hub.is_there(file) else None


def fetch(spec: ModelSpec, report: Report, progress: bool) -> Weights:
    """Return the weights; what is not on this disk is fetched into torch's cache, where torchvision looks for it."""
    check(spec, weights=True)
    _, chosen = _known(name_in(spec))
    file = hub.url_file(chosen.url)
    already = hub.is_there(file)
    if not already:
        report(f"{spec.name}: fetching {file.name} from {urlsplit(chosen.url).netloc}")
        hub.fetch_url(spec.name, chosen.url, report=report, progress=progress)
    return Weights(file, file.stat().st_size, check_sha256(file, hub.digest_in_name(file) or ""), already)


def data_config(spec: ModelSpec) -> DataConfig | None:
    """Return what the weights' own transform does, in timm's words."""
    _, chosen = _known(name_in(spec))
    return {} if chosen is None else _pictures(chosen, spec.name)


def open(spec: ModelSpec, checkpoint: Path | None, key: str | None) -> Opened:
    """Return the network; see `moodbench.models.outside.library.Library`."""
    from torchvision import models

    from moodbench.models.outside.filling import filled

    architecture, chosen = _known(name_in(spec))
    named = chosen if "." in name_in(spec) else None
    names: list[str] | None = None if chosen is None else chosen.meta.get("categories")
    if checkpoint is not None:
        # networks with weights of their own may prepare pictures once more (GoogLeNet), those trained from new do not
        network, source = filled(lambda classes: _empty(architecture, named, classes), checkpoint, key, spec.name)
        names = names if named is not None else None
    else:
        file = fetch(spec, lambda line: None, True).file
        assert chosen is not None
        assert file is not None
        try:
            network = models.get_model(architecture, weights=chosen)
        except Exception as error:  # a damaged file, a network that does not fit
            raise ModelError(f"torchvision cannot load the weights: {one_line(error)}", file=file) from error
        source = f"file {file.name} of torchvision"
    record = {
        "weights": source,
        "architecture": architecture,
        "enumeration": None if chosen is None or (checkpoint is not None and named is None) else str(chosen),
        "torchvision": version("torchvision"),
    }
    pictures = {} if chosen is None else _pictures(chosen, spec.name)
    return Opened(network, None, pictures, record, None if names is None else tuple(names))


def _empty(architecture: str, weights: Any, classes: int | None) -> Any:
    """Build the network without numbers of use, as its builder does it for those weights."""
    from torchvision import models

    if weights is not None and classes is not None:
        raise ModelError(
            f"the file has {classes} classes, and the weights {weights} that are named "
            f"{len(weights.meta.get('categories') or ())}: it is another training",
            fix=f"torchvision:{architecture} names the architecture alone",
        )
    more: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if weights is not None and architecture in ("googlenet", "inception_v3"):
        more["transform_input"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on how long the two take to begin with
        try:
            return models.get_model(architecture, weights=None, aux_logits=False, **more)
        except TypeError:  # most have no classifiers besides the last
            return models.get_model(architecture, weights=None, **more)


def _known(name: str) -> tuple[str, Any]:
    """Return architecture and member of its weights enumeration; None where torchvision has no weights for it.

    Raises
    ------
    UsageError
        There is no such architecture or member.
    """
    import torchvision
    from torchvision import models

    architecture, dot, tag = name.partition(".")
    classifiers = models.list_models(module=models)
    if architecture not in classifiers:
        elsewhere = architecture in models.list_models()
        near = difflib.get_close_matches(architecture.lower(), classifiers, n=5, cutoff=0.6)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        why = "has it, but it does not classify pictures" if elsewhere else "has no such classifier of pictures"
        raise UsageError(
            f"'{architecture}': torchvision {torchvision.__version__.partition('+')[0]} {why}.{hint}",
            fix="python -c 'from torchvision import models as m; print(*m.list_models(m), sep=\"\\n\")' lists them",
        )
    known = models.get_model_weights(architecture)
    members = {member.name: member for member in known}
    if not dot:
        return architecture, next((member for member in [getattr(known, "DEFAULT", None)] if member), None)
    if tag == "DEFAULT" and members:
        return architecture, known.DEFAULT
    if tag not in members:
        near = difflib.get_close_matches(tag.upper(), members, n=3, cutoff=0.6)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(
            f"torchvision has the architecture '{architecture}', but no weights '{tag}' for it.{hint}",
            fix=_fix_weights(architecture),
        )
    return architecture, members[tag]


def _fix_weights(architecture: str) -> str:
    from torchvision import models

    names = [member.name for member in models.get_model_weights(architecture) if member.meta.get("categories")]
    return (
        f"known: {', '.join(f'torchvision:{architecture}.{name}' for name in names)}; or give a file with --checkpoint"
    )


def _pictures(weights: Any, name: str) -> dict[str, Any]:
    """Return what the transform of some weights does, in timm's words."""
    own = weights.transforms()
    (side,), (edge,) = own.crop_size, own.resize_size
    return {
        "input_size": (3, side, side),
        "crop_pct": _share(side, edge),
        "crop_mode": "center",
        "interpolation": str(own.interpolation.value),
        "mean": tuple(map(float, own.mean)),
        "std": tuple(map(float, own.std)),
    }


def _share(side: int, edge: int) -> float:
    """Return the share of the resized edge that the crop keeps, so that `edge` comes out of it again."""
    share = side / edge
    while math.floor(side / share) < edge:
        share = math.nextafter(share, 0)
    return share
