"""Torch files that hold more than tensors, and files of other frameworks: what they are, and what to do about them.

Nothing in them is run to find out: what they refer to is replaced by stand-ins, which only keep what they are given.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from moodbench.errors import ModelError
from moodbench.models.advice import TRUSTED, from_python, rewrite, steps
from moodbench.models.contents import find_parts

PROTOCOL = 2
"""Of pickles as torch writes them, and the only one that it reads without running what is in it."""

_TORCH_MAGIC = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # how files of torch begin that are no archives
_OLD_NETWORK = "Only persistent_load of storage is allowed"  # in such a file, layers are stored by that way too
_MOST_NAMES = 300  # of foreign classes that get a stand-in
_SHOWN = 5


class Inert:
    """Stands for whatever a training script left in its file: takes every argument and state, and does nothing."""

    def __new__(cls, *_: object) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class _StandIn(Inert):
    """The same, but keeps its state: of a network its layers and tensors."""

    of = ""
    state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    @property
    def is_network(self) -> bool:
        return isinstance(self.state, dict) and {"_parameters", "_modules"} <= self.state.keys()


def other_kind(file: Path, start: bytes) -> ModelError | None:
    """Return what to say of a file that holds no pickle of tensors, or None; `start` is how it begins."""
    if start[:4] == b"\x89HDF":
        return ModelError(
            "the file is HDF5, as Keras writes: its names and axes are not torch's",
            file=file,
            fix="use the weights that their publisher, or timm, converted for torch",
        )
    members = _members(file) if start[:2] == b"PK" else []
    if any(re.fullmatch(r"[^/]+/code/.+", member) for member in members):
        program = "torch.jit.load(FILE, map_location='cpu')"
        return ModelError(
            "the file is a program (TorchScript), not tensors by name",
            file=file,
            fix=rewrite([f"torch.save({program}.state_dict(), NEW)"])
            + "\n"
            + from_python([f"network = {program}"], returns_features=True),
        )
    if members and all(member.endswith(".npy") for member in members):
        return ModelError(
            "the file holds NumPy arrays, as JAX projects publish theirs: names and axes are not torch's",
            file=file,
            fix="timm has many of them converted, such as --model timm:vit_base_patch16_224.augreg_in1k",
        )
    return None


def _members(file: Path) -> list[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except Exception:  # torch has its own words for it
        return []


def refused(file: Path, error: Exception, harmless: list[Any]) -> ModelError:
    """Return what to say of a torch file that would have to be run, and of what is in it.

    Parameters
    ----------
    file : Path
    error : Exception
        What torch said.
    harmless : list
        What may be in a file, for ``torch.serialization.safe_globals``.
    """
    protocol = _protocol(file)
    if protocol > PROTOCOL and "Unsupported operand" in str(error):
        return ModelError(
            f"the checkpoint was pickled by protocol {protocol}; only {PROTOCOL}, torch's own, is read without running "
            "what is in it",
            file=file,
            fix=rewrite(_lines_again(file)),
        )
    names = _names(file, error)
    content, failure = _with_stand_ins(file, names, harmless)
    shown = ", ".join(names[:_SHOWN]) + (f", … ({len(names)})" if len(names) > _SHOWN else "")
    network = next(_networks(content), None)
    if network is not None:
        path, of = network
        where = f" under '{path[0]}'" if path else ""
        return _whole_network(file, where, of, [f"network = {TRUSTED}{steps(path)}"])
    if _OLD_NETWORK in failure and names:
        inside = "isinstance(value, torch.nn.Module)"
        lines = [f"content = {TRUSTED}", "values = [content, *(content.values() if isinstance(content, dict) else ())]"]
        return _whole_network(file, "", names[0], [*lines, f"network = next(value for value in values if {inside})"])
    return ModelError(
        f"the checkpoint holds Python objects other than tensors, which are not loaded: {shown or _reason(error)}",
        file=file,
        fix=rewrite(_lines_for(content)),
    )


def _whole_network(file: Path, where: str, of: str, lines: list[str]) -> ModelError:
    return ModelError(
        f"the checkpoint holds Python objects other than tensors, which are not loaded: a whole network{where}, "
        f"of the class {of}",
        file=file,
        fix=rewrite([*lines, "torch.save(network.state_dict(), NEW)"])
        + f"\n(it needs the package '{of.split('.')[0]}' as it was)\n"
        + from_python(lines),
    )


def _lines_again(file: Path) -> list[str]:
    with file.open("rb") as stream:
        start = stream.read(64)
    if start[:2] == b"PK" or _TORCH_MAGIC in start:
        return [f"torch.save({TRUSTED}, NEW)"]
    return [
        "import pickle",
        "with open(FILE, 'rb') as stream:",
        "    content = pickle.load(stream)",
        "state = content.get('model', content)  # or where else it keeps its arrays",
        "torch.save({name: torch.as_tensor(value) for name, value in state.items()}, NEW)",
    ]


def _lines_for(content: Any) -> list[str]:
    """Return how to keep the tensors alone; by a guess where `content` could not be read."""
    parts = find_parts(content)
    if len(parts) == 1 and parts[0].path:
        return [f"torch.save({TRUSTED}{steps(parts[0].path)}, NEW)"]
    if len(parts) == 1:
        return [
            f"content = {TRUSTED}",
            "torch.save({name: t for name, t in content.items() if isinstance(t, torch.Tensor)}, NEW)",
        ]
    if parts:
        kept = ", ".join(f"{part.label!r}: content{steps(part.path)}" for part in parts if part.path)
        return [f"content = {TRUSTED}", f"torch.save({{{kept}}}, NEW)"]
    return [f"torch.save({TRUSTED}['state_dict'], NEW)  # or where else it keeps its tensors"]


def _protocol(file: Path) -> int:
    """Return the protocol that the pickle in a torch file, or the file itself, declares; 0 if none."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+/data\.pkl", name))
                with archive.open(name) as stream:
                    start = stream.read(2)
        else:
            with file.open("rb") as stream:
                start = stream.read(2)
    except Exception:  # only a nicer message depends on it
        return 0
    return start[1] if start[:1] == pickle.PROTO and len(start) == 2 else 0


def _names(file: Path, error: Exception) -> list[str]:
    """Return what the pickle refers to beside tensors: all of it in an archive, else the first."""
    try:
        return list(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except Exception:  # only a nicer message depends on it
        # of a pickle that is no archive torch says it in a long text, which also recommends to run what is in it
        return list(dict.fromkeys(re.findall(r"GLOBAL ([\w.]+)", str(error))))


def _with_stand_ins(file: Path, names: list[str], harmless: list[Any]) -> tuple[Any, str]:
    """Return the content of a torch file with stand-ins for what `names` says, and what comes up; or why it fails."""
    known = {name: _stand_in(name) for name in names}
    while len(known) <= _MOST_NAMES:
        allowed = [*harmless, *((stand_in, name) for name, stand_in in known.items())]
        try:
            with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.load(file, map_location="cpu", weights_only=True), ""
        except pickle.UnpicklingError as error:
            new = set(re.findall(r"GLOBAL ([\w.]+)", str(error))) - known.keys()
            if not new:
                return None, str(error)
            known |= {name: _stand_in(name) for name in new}
        except Exception as error:  # only a nicer message depends on it
            return None, str(error)
    return None, "too many names"


def _stand_in(name: str) -> type[_StandIn]:
    return type("StandIn", (_StandIn,), {"of": name})


def _networks(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where in `content` whole networks are, and of which class: itself, or in its dict."""
    if isinstance(content, _StandIn) and content.is_network:
        yield path, content.of
    elif isinstance(content, dict) and not path:
        for key, value in content.items():
            if isinstance(key, str):
                yield from _networks(value, (key,))


def _reason(error: Exception) -> str:
    reason = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return reason[1] if reason else first_sentence(error)


def first_sentence(error: Exception) -> str:
    """Return what torch says is wrong, without its advice: that is to trust the file, or speaks to its developers."""
    return str(error).split("\n")[0].split(". ")[0] or type(error).__name__
