"""What a fit was told → a description in JSON and arrays, and back. No pickle: nothing that is read is run.

Tensors, arrays, numbers, texts, lists, tuples, dicts, and the records of moodbench's own statistics (frozen dataclasses
below `moodbench.scores`) can be packed; anything else is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch

Packed = dict[str, Any]
Array = np.ndarray[Any, Any]

_RECORDS = "moodbench.scores."


class UnpackableError(Exception):
    """A value that cannot be kept; the message says in a few words what it is."""


def pack(value: Any, arrays: list[Array]) -> Packed:
    """Return the description of a value, and add the arrays that it names by their numbers to `arrays`.

    Raises
    ------
    UnpackableError
        It holds something that cannot be kept.
    """
    if value is None or isinstance(value, bool | int | float | str):
        if type(value) in (type(None), bool, int, float, str):
            return {"is": value}
    elif isinstance(value, torch.Tensor):
        try:
            arrays.append(value.detach().cpu().contiguous().numpy())
        except TypeError:
            raise UnpackableError(f"a tensor of type {value.dtype}") from None
        return {"tensor": len(arrays) - 1}
    elif isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            raise UnpackableError(f"an array of type {value.dtype}")
        arrays.append(np.ascontiguousarray(value))
        return {"array": len(arrays) - 1}
    elif type(value) in (list, tuple):
        return {type(value).__name__: [pack(one, arrays) for one in value]}
    elif type(value) is dict:
        return {"dict": [[pack(key, arrays), pack(one, arrays)] for key, one in value.items()]}
    elif dataclasses.is_dataclass(value) and type(value).__module__.startswith(_RECORDS):
        named = {field.name: pack(getattr(value, field.name), arrays) for field in dataclasses.fields(value)}
        return {"record": [f"{type(value).__module__}:{type(value).__qualname__}", named]}
    raise UnpackableError(f"a value of type {type(value).__module__}.{type(value).__qualname__}")


def unpack(packed: Packed, arrays: Sequence[Array], device: torch.device) -> Any:
    """Return the value that was packed, with its tensors on `device`.

    Raises
    ------
    ValueError
        The description makes no sense.
    """
    ((kind, content),) = packed.items()
    if kind == "is":
        return content
    if kind == "tensor":
        return torch.from_numpy(arrays[content]).to(device)
    if kind == "array":
        return arrays[content]
    if kind in ("list", "tuple"):
        values = [unpack(one, arrays, device) for one in content]
        return values if kind == "list" else tuple(values)
    if kind == "dict":
        return {unpack(key, arrays, device): unpack(one, arrays, device) for key, one in content}
    if kind == "record":
        name, fields = content
        return _record(str(name))(**{key: unpack(one, arrays, device) for key, one in fields.items()})
    raise ValueError(f"a value of the kind '{kind}' is not known")


def _record(name: str) -> Any:
    """Return a class of records; nothing else has a name here."""
    module, _, title = name.partition(":")
    found = getattr(import_module(module), title, None) if module.startswith(_RECORDS) else None
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == module):
        raise ValueError(f"there is no record '{name}'")
    return found
