"""Networks that a function in a file of Python returns: ``module:FILE.py:build``. The file's code is run.

The function takes nothing, and returns the network and the function that prepares its pictures, and names of classes
where it has them. The digest of the file goes into the provenance: other code is another network.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

from moodbench.catalog import ModelSpec
from moodbench.digests import file_sha256
from moodbench.errors import ModelError, MoodbenchError
from moodbench.models.obtained import Weights
from moodbench.models.outside.library import DataConfig, Opened, name_in, named_file
from moodbench.prefixes import split_module
from moodbench.types import Report

KIND = "module"
"""What caches note as the kind of the transform."""

_RETURNS = (
    "return the network (a torch.nn.Module), the transform (a function: PIL image → tensor (3, side, side)), and "
)
_RETURNS += "names of classes if you like; see docs/any_model.md"


def check(spec: ModelSpec, *, weights: bool) -> None:
    """Refuse what no network can be had from; see `moodbench.models.outside.library.Library`."""
    _file(spec)


def weights_on_disk(spec: ModelSpec) -> Path | None:
    """Return the file itself: it alone knows where its weights are."""
    try:
        return _file(spec)
    except ModelError:
        return None


def fetch(spec: ModelSpec, report: Report, progress: bool) -> Weights:
    """Return the file, which is on this disk or cannot be had."""
    file = _file(spec)
    return Weights(file, file.stat().st_size, file_sha256(file), True)


def data_config(spec: ModelSpec) -> DataConfig | None:
    """The function alone knows."""
    return None


def open(spec: ModelSpec, checkpoint: Path | None, key: str | None) -> Opened:
    """Return what the function returns; see `moodbench.models.outside.library.Library`."""
    from moodbench.models.backbone import Backbone
    from moodbench.models.outside.filling import filled

    file = _file(spec)
    function = split_module(name_in(spec))[1]
    digest = file_sha256(file)
    made = _called(file, function)
    if isinstance(made, Backbone):
        return _of_backbone(made, spec, digest, checkpoint)
    network, transform, names = _parts(made, spec, file, function)
    source = f"made by {file.name}:{function}"
    if checkpoint is not None:
        network, source = filled(lambda classes: network, checkpoint, key, spec.name)
    record = {"weights": source, "code_sha256": digest, "architecture": type(network).__name__}
    config = {} if transform is None else {"input_size": (3, transform.record["size"], transform.record["size"])}
    return Opened(network, transform, config, record, names)


def _of_backbone(made: Any, spec: ModelSpec, digest: str, checkpoint: Path | None) -> Opened:
    """Return a backbone that the function made itself, with features and head of its own."""
    if checkpoint is not None:
        raise ModelError(
            f"'{spec.name}' returns a Backbone, which has its weights already", fix="leave --checkpoint out"
        )
    record = {
        "weights": "made by its function",
        "code_sha256": digest,
        "architecture": type(made.network).__name__,
    }
    size = made.transform.record["size"]
    config = {"input_size": (3, size, size)}
    return Opened(made.network, made.transform, config, record, compute=made.compute, head=made.head)


def _file(spec: ModelSpec) -> Path:
    return named_file(split_module(name_in(spec))[0], fix="module:FILE.py:FUNCTION names a file of Python that is here")


def _called(file: Path, function: str) -> Any:
    """Run the file and call its function."""
    with _beside(file):
        found = importlib.util.spec_from_file_location(_module_name(file), file)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[found.name] = module  # where pickles, as those of transforms for workers, look for its classes
        try:
            found.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise _failed(file, "the file fails as it is run", error) from error
        build = getattr(module, function, None)
        if not callable(build):
            names = sorted(
                one for one, value in vars(module).items() if isinstance(value, FunctionType) and one[0] != "_"
            )
            raise ModelError(
                f"the file has no function '{function}'",
                file=file,
                fix=f"it has: {_some(names)}" if names else "write one, and name it behind the file",
            )
        try:
            return build()
        except MoodbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise _failed(file, f"{function}() fails", error) from error


def _some(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _module_name(file: Path) -> str:
    return f"_moodbench_module_{file.stem}"


@contextmanager
def _beside(file: Path) -> Iterator[None]:
    """Let the file import what lies beside it, as it can when Python runs it."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _failed(file: Path, what: str, error: BaseException) -> ModelError:
    if isinstance(error, SyntaxError) and error.lineno is not None:
        where = f" (line {error.lineno})"
    else:
        lines = [
            one.lineno for one in traceback.extract_tb(error.__traceback__) if Path(one.filename) == file.resolve()
        ]
        lines = lines or [
            one.lineno for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).name == file.name
        ]
        where = f" (line {lines[-1]})" if lines and lines[-1] is not None else ""
    said = " ".join(str(error).split())[:300]
    return ModelError(f"{what}{where}: {type(error).__name__}{f': {said}' if said else ''}", file=file)


def _parts(made: Any, spec: ModelSpec, file: Path, function: str) -> tuple[Any, Any, tuple[str, ...] | None]:
    """Return network, transform and names of classes, checked; no transform where it returns None."""
    from torch import nn

    def wrong(what: str) -> ModelError:
        return ModelError(f"{function}() returns {what}", file=file, fix=_RETURNS)

    if not isinstance(made, (tuple, list)) or len(made) not in (2, 3):
        count = f" of {len(made)}" if isinstance(made, (tuple, list)) else ""
        raise wrong(f"an object of type {type(made).__name__}{count}, not network and transform")
    network, transform, *more = made
    if not isinstance(network, nn.Module):
        hint = " (a class, not a network made of it)" if isinstance(network, type) else ""
        raise wrong(f"an object of type {type(network).__name__} as network{hint}")
    if transform is not None and not callable(transform):
        raise wrong(f"an object of type {type(transform).__name__} as transform, which cannot be called")
    names = _names(more[0], wrong) if more and more[0] is not None else None
    return network, None if transform is None else _transform(transform, spec, file), names


def _names(given: Any, wrong: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(one, str) for one in given):
        raise wrong(f"an object of type {type(given).__name__} as names of classes, not a list of texts")
    if len(set(given)) != len(given):
        raise wrong("names of classes of which some are equal")
    return tuple(given)


def _transform(transform: Any, spec: ModelSpec, file: Path) -> Any:
    from moodbench.models.outside.pictures import measured
    from moodbench.models.transforms import Transform

    if isinstance(transform, Transform):
        return transform
    told = getattr(transform, "record", None)
    record = dict(told) if isinstance(told, dict) else _normalised(transform)
    said = " ".join(repr(transform).split())
    record = {"kind": KIND, "code_sha256": file_sha256(file), **record}
    if " at 0x" not in said and len(said) < 2000:  # what only says where in memory it is differs each time
        record["said"] = said
    return measured(transform, spec.name, record)


def _normalised(transform: Any) -> dict[str, Any]:
    """Return mean and standard deviation of colours where a transform of torchvision shows them: some views ask."""
    parts = list(getattr(transform, "transforms", [transform]))
    last = next((one for one in reversed(parts) if hasattr(one, "mean") and hasattr(one, "std")), None)
    try:
        mean, std = ([float(value) for value in getattr(last, key)] for key in ("mean", "std"))
    except (AttributeError, TypeError, ValueError):
        return {}
    return {"mean": mean, "std": std} if len(mean) == len(std) == 3 else {}
