"""Networks by timm's names: the name is checked first, and what timm cannot build is one message."""

from __future__ import annotations

import difflib
import warnings
from typing import Any

import timm
from timm.models import is_model, split_model_name_tag
from torch import nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError, UsageError
from moodbench.models import small_resnet  # noqa: F401 (imported for the architecture that it registers)
from moodbench.models.clip.library import known
from moodbench.models.outside.library import library_of


def create(spec: ModelSpec, headed: bool, *, pretrained: bool, **more: Any) -> nn.Module:
    """Build the network with the entry's arguments; `more` wins over them, except that overlays are merged.

    Raises
    ------
    ModelError
        timm cannot build it with these arguments. An OSError (the hub, the network) is let through.
    """
    args = dict(spec.args) if headed else {**spec.args, "num_classes": 0}
    overlay = {**args.get("pretrained_cfg_overlay", {}), **more.get("pretrained_cfg_overlay", {})}
    if overlay:
        more["pretrained_cfg_overlay"] = overlay
    try:
        with warnings.catch_warnings():
            # such as that an old name stands for a new one
            warnings.filterwarnings("ignore", category=UserWarning, module=r"timm\.")
            network: nn.Module = timm.create_model(spec.timm, pretrained, **{**args, **more})
    except OSError:
        raise
    except Exception as error:  # architectures assert, or raise what they like, on arguments they cannot use
        raise ModelError(
            f"timm cannot build '{spec.timm}'{f' with {dict(spec.args)}' if spec.args else ''}: {error}",
            fix="check 'timm' and 'args' of the entry" if spec.args else None,
        ) from error
    return network


def classifier_names(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that timm counts as classifier."""
    config: dict[str, Any] = getattr(network, "pretrained_cfg", {})
    names = config.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def check_name(spec: ModelSpec) -> None:
    """Raise a `UsageError` with the nearest names unless the library has the architecture and, where given, the tag."""
    if spec.clip is not None:
        known(spec.clip)
    elif spec.network is not None:
        library_of(spec).check(spec, weights=False)
    else:
        _check_timm(spec.timm)


def _check_timm(name: str) -> None:
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
        tags = pretrained_names(architecture)
        raise UsageError(
            f"timm has the architecture '{architecture}', but not with the tag '{tag}'",
            fix=f"known: {', '.join(tags)}" if tags else f"write '{architecture}' and give the weights as a file",
        )


def pretrained_names(architecture: str) -> list[str]:
    """Return the names, with tag, of the weights that timm has for an architecture."""
    names: list[str] = timm.list_pretrained(f"{architecture}.*")
    return names


def untrained_fix(name: str) -> str:
    """Return what to do about an architecture without weights."""
    known = pretrained_names(split_model_name_tag(name)[0])
    return "give a file with --checkpoint FILE" + (f", or use one of {', '.join(known)}" if known else "")
