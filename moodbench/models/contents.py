"""Which part of a checkpoint's content is the network: the dict of tensors, and the plain names of these.

Training scripts nest the tensors as they like, beside states of optimizers and others. Nothing is guessed between two
networks in one file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from moodbench.errors import ModelError
from moodbench.models.advice import steps

TOP = "."
"""How a key names the content itself, where dicts of tensors lie beside tensors."""

MARKS = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""What torch.compile, FSDP and checkpointed activations put into names, wherever they wrapped something."""

PARALLEL = "module."
"""What parallel training and averaging put before every name."""

AVERAGED = "n_averaged"
"""How many networks were averaged (``torch.optim.swa_utils``): one number beside the tensors, and none of them."""

_DEEPEST = 4  # levels of dicts
_SHOWN = 5
# Dicts of tensors, too: what the training keeps for itself.
_OF_THE_TRAINING = re.compile(r"optim|sched|scaler|criterion|loss|^opt$|^amp$", re.IGNORECASE)


class Part(NamedTuple):
    """A dict of tensors in a file, and the keys that lead to it."""

    path: tuple[str, ...]
    tensors: dict[str, Tensor]

    @property
    def label(self) -> str:
        """How a key names it."""
        return "/".join(self.path) or TOP

    def __str__(self) -> str:
        return f"'{self.label}' ({len(self.tensors)} tensors)"


def find_parts(content: Any) -> list[Part]:
    """Return the dicts in `content` that may be a network: those with names of layers where there are any."""
    if not isinstance(content, dict):
        return []
    found = list(_walk(content, (), set()))
    dotted = [part for part in found if any("." in name for name in part.tensors)]
    # the mean of pictures, say, beside a dict of tensors; or a single layer, which has no names but its own
    found = dotted or [part for part in found if part.path] or found
    if found:
        return found
    tensors = _tensors(content)  # numbers only, but maybe somebody's
    return [Part((), tensors)] if tensors else []


def _walk(content: dict[Any, Any], path: tuple[str, ...], seen: set[int]) -> Iterator[Part]:
    seen.add(id(content))
    tensors = _tensors(content)
    if any(map(_is_weight, tensors.values())):
        yield Part(path, tensors)
    for key, value in content.items():
        inside = isinstance(key, str) and isinstance(value, dict) and id(value) not in seen
        if inside and len(path) < _DEEPEST and _OF_THE_TRAINING.search(key) is None:
            yield from _walk(value, (*path, key), seen)


def _tensors(content: dict[Any, Any]) -> dict[str, Tensor]:
    return {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}


def _is_weight(tensor: Tensor) -> bool:
    """Whether it may be a layer's: not a count, an accuracy or the state of a random generator."""
    return tensor.ndim > 0 and (tensor.is_floating_point() or tensor.is_complex() or tensor.is_quantized)


def choose(parts: list[Part], key: str | None, file: Path, *, selectable: bool = True) -> tuple[Part, str]:
    """Return the part that `key` means, and what the plain names of its tensors have to begin with.

    Without a key the only part, or of a teacher and its student the teacher, which is what such training is for.

    Raises
    ------
    ModelError
        There is no such part, or more than one.
    """
    if key is not None:
        return _by_key(parts, key, file)
    found = _without_students(parts)
    if len(found) == 1:
        return found[0], ""
    label = found[0].label
    by_option = f"say which one, as --checkpoint-key {label} (in an entry: checkpoint_key: {label})"
    by_hand = (
        "write the one that is meant to a new file:\n"
        f"  torch.save(torch.load(FILE, weights_only=True){steps(found[0].path)}, NEW)"
    )
    raise ModelError(
        f"the checkpoint holds {len(found)} dicts of tensors: {_listed(found)}",
        file=file,
        fix=by_option if selectable else by_hand,
    )


def _without_students(parts: list[Part]) -> list[Part]:
    paths = {part.path for part in parts}
    taught = {tuple("student" if step == "teacher" else step for step in path) for path in paths if "teacher" in path}
    return [part for part in parts if part.path not in taught]


def _by_key(parts: list[Part], key: str, file: Path) -> tuple[Part, str]:
    exact = [part for part in parts if part.label == key] or [part for part in parts if part.path[-1:] == (key,)]
    if exact:
        return _single(exact, key, file), ""
    inner = []
    for part in parts:
        rest = key.removeprefix(f"{part.label}/") if key.startswith(f"{part.label}/") else key
        begin = f"{rest.rstrip('.')}."
        if any(name.startswith(begin) for name in plain_names(part.tensors, file)[0]):
            inner.append((part, begin))
    if inner:
        chosen = _single(_without_students([part for part, _ in inner]), key, file)
        return next(one for one in inner if one[0] is chosen)
    raise ModelError(
        f"the checkpoint has no part '{key}': it holds {_listed(parts)}",
        file=file,
        fix="a key is the name of a dict, or what names of tensors begin with: "
        + ", ".join(_beginnings(parts[0].tensors)),
    )


def _single(found: list[Part], key: str, file: Path) -> Part:
    if len(found) > 1:
        whole = found[0].label
        fix = f"put the names of the dicts first, as {whole if whole.endswith(f'/{key}') else f'{whole}/{key}'}"
        raise ModelError(f"the key '{key}' fits more than one part: {_listed(found)}", file=file, fix=fix)
    return found[0]


def _listed(parts: list[Part]) -> str:
    shown = [str(part) for part in parts[:_SHOWN]] + (["…"] if len(parts) > _SHOWN else [])
    return ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(shown) > 1 else shown[0]


def _beginnings(names: Collection[str]) -> list[str]:
    """Return the first parts of the names."""
    found = list(dict.fromkeys(name.split(".")[0] + "." * ("." in name) for name in names))
    return found[:_SHOWN] + ["…"] * (len(found) > _SHOWN)


def plain_names(tensors: dict[str, Tensor], file: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors under names without marks of the training, and the ``module.`` that all of them had.

    Raises
    ------
    ModelError
        Two tensors would have the same name.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        bare = ".".join(step for step in name.split(".") if step not in MARKS)
        if bare in plain:
            raise ModelError(
                f"the checkpoint has the tensor '{bare}' twice: as wrapped for the training too", file=file
            )
        plain[bare] = tensor
    for name in [name for name in plain if name.rpartition(".")[2] == AVERAGED]:
        begin = name.removesuffix(AVERAGED) + PARALLEL
        if plain[name].numel() == 1 and any(other.startswith(begin) for other in plain):
            del plain[name]
    prefix = ""
    while plain and all(name.startswith(PARALLEL) for name in plain):
        plain = {name.removeprefix(PARALLEL): tensor for name, tensor in plain.items()}
        prefix += PARALLEL
    return plain, prefix


def common_prefixes(names: Collection[str]) -> list[str]:
    """Return what all names begin with, whole steps of them, shortest first: ``backbone.``, ``backbone.model.``."""
    split = [name.split(".")[:-1] for name in names]
    together = zip(*split, strict=False)
    shared = [alike[0] for alike in takewhile(lambda alike: len(set(alike)) == 1, together)]
    return [".".join(shared[: count + 1]) + "." for count in range(len(shared))]


def inner_prefixes(names: Collection[str], at_least: int) -> list[str]:
    """Return what at least so many names begin with, but not all, shortest first."""
    counts: dict[str, int] = {}
    for name in names:
        layers = name.split(".")[:-1]
        for count in range(1, min(len(layers), _DEEPEST) + 1):
            begin = ".".join(layers[:count]) + "."
            counts[begin] = counts.get(begin, 0) + 1
    found = [begin for begin, count in counts.items() if at_least <= count < len(names)]
    return sorted(found, key=len)
