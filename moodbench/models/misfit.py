"""What to do about tensors that are not those of a network: by what is missing, left over, or called otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from moodbench.models.advice import from_python, steps
from moodbench.models.checkpoint import Checkpoint
from moodbench.models.formats.base import FORMATS
from moodbench.models.stored import INDEX

Faults = Mapping[str, list[str]]
"""``missing``, ``unexpected`` and ``of another shape`` → names, where there are any."""

_NORMS = ("norm.", "fc_norm.")
_SHOWN = 5  # how many tensor names a message lists before it only counts

# Names that only networks have which timm does not: what they are, and how Python makes one.
_STRANGERS = (
    (
        r"^layer1\.\d+\.shortcut\.|^layer2\.0\.shortcut\.",
        "a ResNet for small pictures, as OpenOOD's ResNet18_32x32",
        "ResNet18_32x32",
    ),
    (r"^block1\.layer\.0\.", "a network for CIFAR, as OpenOOD's WideResNet or DenseNet3", "WideResNet"),
)


def first(names: list[str]) -> str:
    """Return the first names, for a message."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def fix_for(faults: Faults, network: nn.Module, checkpoint: Checkpoint, file: Path) -> str:
    """Return what to do about the faults of `checkpoint`, as it was read for `network`."""
    missing, unexpected = faults.get("missing", []), faults.get("unexpected", [])
    if missing and all(map(_is_layer_scale, missing)):
        return (
            "the network needs LayerScale and the file has none: it belongs to another network, or lost it when it was "
            "converted\n(without it every number would be wrong); use the publisher's file"
        )
    if all(name.startswith(_NORMS) or _is_layer_scale(name) for name in (*missing, *unexpected)):
        if any(name.startswith("fc_norm.") for name in unexpected):
            return "the file belongs to a network that norms the mean of its tokens: add args: {global_pool: avg}"
        if any(name.startswith("fc_norm.") for name in missing):
            return "the file belongs to a network that norms its class token: add args: {global_pool: token}"
        if any(map(_is_layer_scale, unexpected)):
            return "the file has LayerScale, the network as built has none: add args: {init_values: 1.0e-5}"
    return (
        _stranger(checkpoint, file)
        or _more_than_it(faults, network, checkpoint, file)
        or _general(faults, network, checkpoint, file)
    )


def shard_fix(file: Path) -> str | None:
    """Return what to do about one of several files of a checkpoint, by its name."""
    shard = re.fullmatch(r"(.+)-\d+-of-\d+(\.\w+)", file.name)
    if shard is None:
        return None
    return f"this is one file of several: name the one that lists them, --checkpoint {shard[1]}{shard[2]}{INDEX}"


def _general(faults: Faults, network: nn.Module, checkpoint: Checkpoint, file: Path) -> str:
    advice = (
        "use weights of this architecture, correct 'timm', 'args' or 'format' of the entry"
        f"\n(formats: {', '.join(sorted(FORMATS))})"
    )
    if len(faults.get("missing", ())) < len(network.state_dict()) / 2:
        return advice
    made = "network = MODULE  # made by the code that trained it"
    return f"{advice};\n{from_python([made, *_loading(checkpoint, file)])}"


def _stranger(checkpoint: Checkpoint, file: Path) -> str | None:
    """Return how to use a network of another project, if its names give it away."""
    for pattern, what, network in _STRANGERS:
        if any(re.search(pattern, name) for name in checkpoint.tensors):
            if network == "ResNet18_32x32" and _has_18_layers(checkpoint.tensors):
                return (
                    f"the names are those of {what}: --model timm:resnet18_32x32 --checkpoint {file}, or "
                    "'timm: resnet18_32x32' in an entry"
                )
            classes = _classes(checkpoint.tensors)
            return f"the names are those of {what}; timm has none of that kind, so that no entry can load it;\n" + (
                from_python(
                    [
                        f"from openood.networks import {network}  # or the class that it was trained as",
                        f"network = {network}(num_classes={classes})",
                        *_loading(checkpoint, file),
                    ]
                )
            )
    return None


def _has_18_layers(tensors: Mapping[str, Tensor]) -> bool:
    """Say whether this is the network that `moodbench.models.small_resnet` has: four stages of two plain blocks."""
    others = ("layer1.2.conv1.weight", "layer1.0.conv3.weight", "layer4.2.conv1.weight")
    return {"layer4.1.conv2.weight", "fc.weight"} <= tensors.keys() and not tensors.keys() & {*others}


def _classes(tensors: Mapping[str, Tensor]) -> int | str:
    weight = tensors.get("fc.weight", tensors.get("linear.weight"))
    return "CLASSES" if weight is None else len(weight)


def _more_than_it(faults: Faults, network: nn.Module, checkpoint: Checkpoint, file: Path) -> str | None:
    """Return how to leave out what lies beside a network that is there as a whole: layers of other names."""
    own = {name.split(".")[0] for name in network.state_dict()}
    rest = faults.get("unexpected", [])
    begin = tuple(dict.fromkeys(name.split(".")[0] + "." * ("." in name) for name in rest))
    if set(faults) != {"unexpected"} or any(name.split(".")[0] in own for name in rest) or file.name.endswith(INDEX):
        return None
    left = ", ".join(repr(checkpoint.taken_off() + name) for name in begin)
    kept = f"{{name: t for name, t in state.items() if not name.startswith(({left},))}}"
    save = f"safetensors.torch.save_file({kept}, NEW)" if _is_safe(file) else f"torch.save({kept}, NEW)"
    lines = ["import torch", *_state(checkpoint, file), save]
    return (
        f"the network is there as a whole, and beside it {first(rest)}: if only the training needed these, leave them "
        "out of a new file:\n" + "\n".join(f"  {line}" for line in lines)
    )


def _is_safe(file: Path) -> bool:
    return file.suffix == ".safetensors"


def _state(checkpoint: Checkpoint, file: Path) -> list[str]:
    """Return the lines that read the tensors, as they are called in the file."""
    if _is_safe(file):
        return ["import safetensors.torch", "state = safetensors.torch.load_file(FILE)"]
    return [f"state = torch.load(FILE, map_location='cpu', weights_only=True){steps(checkpoint.path)}"]


def _loading(checkpoint: Checkpoint, file: Path) -> list[str]:
    """Return the lines that load the tensors into ``network``."""
    if file.name.endswith(INDEX):
        return ["# and has the weights of all files"]
    prefix = checkpoint.taken_off()
    bare = f"{{name.removeprefix({prefix!r}): t for name, t in state.items() if name.startswith({prefix!r})}}"
    plain = [f"state = {bare}"] if prefix else []
    return [*_state(checkpoint, file), *plain, "network.load_state_dict(state)"]


def _is_layer_scale(name: str) -> bool:
    return re.search(r"\.(ls[12]\.gamma|gamma_[12])$", name) is not None
