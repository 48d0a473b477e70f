"""Where the files of a model of transformers lie: a folder of the user's, or the snapshot of a hub repository.

What has to be fetched is fetched before transformers is asked: it then reads a folder, offline, whichever way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.digest import check_sha256
from moodbench.models.obtained import Weights
from moodbench.models.outside.library import name_in
from moodbench.reading import parse_json, read_bytes
from moodbench.types import Report

CONFIG = "config.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Names under which transformers keeps weights, those first that it prefers."""

_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LARGEST = 20_000_000  # bytes of a description; twenty thousand classes have one


def own_folder(spec: ModelSpec) -> Path | None:
    """Return the folder that is named; None where it is a hub repository.

    As for transformers itself, a name that is a folder here is that folder.

    Raises
    ------
    ModelError
        It can only be a folder, and there is none.
    """
    name = name_in(spec)
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # ~NAME of somebody who is not known here
        folder = Path(name)
    if folder.is_dir():
        return folder
    if _REPOSITORY.fullmatch(name) and not name.startswith(".") and not folder.exists():
        return None
    raise ModelError(
        f"there is no folder '{name}'" + (", it is a file" if folder.exists() else ""),
        fix="name the folder that save_pretrained wrote, with its config.json, or a repository of the hub: hf:ORG/NAME",
    )


def cached_folder(spec: ModelSpec) -> Path | None:
    """Return the folder that holds everything, as far as that is on this disk."""
    own = own_folder(spec)
    if own is not None:
        return own if (own / CONFIG).is_file() and weights_in(own) is not None else None
    file = hub.cached_in_hub(name_in(spec), WEIGHTS)
    if file is None or not (file.parent / CONFIG).is_file():
        return None
    return file.parent if all((file.parent / shard).is_file() for shard in _shards(file)) else None


def weights_in(folder: Path) -> Path | None:
    """Return the file of the weights in a folder, or the index of their shards."""
    return next((file for name in WEIGHTS if (file := folder / name).is_file()), None)


def check_folder(folder: Path) -> None:
    """Refuse a folder that transformers did not write, or not all of.

    Raises
    ------
    ModelError
    """
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"the folder has no {CONFIG}, so it is none that transformers wrote",
            file=folder,
            fix="name the folder that save_pretrained wrote; of other networks: module:FILE.py:FUNCTION, or "
            "timm:NAME with --checkpoint FILE",
        )


def config_of(folder: Path) -> dict[str, Any]:
    """Return what the folder says of the network."""
    file = folder / CONFIG
    try:
        found = parse_json(read_bytes(file, "the model's description", ModelError, most=_LARGEST))
    except ValueError as error:
        raise ModelError(f"the model's description is no JSON: {error}", file=file) from None
    if not isinstance(found, dict) or not isinstance(found.get("model_type"), str):
        raise ModelError("the model's description names no 'model_type'", file=file, fix="it is none of transformers")
    return found


def obtained_folder(spec: ModelSpec, *, weights: bool = True) -> Path:
    """Return the folder with the files of a model; those of the hub are fetched unless they are there.

    `weights`: False: what describes it is enough.
    """
    own = own_folder(spec)
    if own is not None:
        check_folder(own)
        return own
    cached = cached_folder(spec)
    if cached is not None:
        return cached
    fetch(spec, weights=weights)
    described = hub.cached_in_hub(name_in(spec), (CONFIG,))
    assert described is not None  # it was just put there
    return described.parent


def fetch(
    spec: ModelSpec, report: Report = lambda line: None, progress: bool = True, *, weights: bool = True
) -> Weights:
    """Return the weights of a model; what is not on this disk is fetched, and compared with the hub's digest.

    Raises
    ------
    ModelError
        Something cannot be had, or is not what the hub has.
    """
    own = own_folder(spec)
    if own is not None:
        check_folder(own)
        return _known(_needed(own), already=True)
    cached = cached_folder(spec)
    if cached is not None:
        return _known(_needed(cached), already=True)
    name = name_in(spec)
    ready(spec)
    report(f"{spec.name}: fetching {name} from {urlsplit(hub.endpoint()).netloc}")
    _download(spec, (CONFIG,), progress)
    for processor in PROCESSORS:
        _download(spec, (processor,), progress, may_lack=True)
    if not weights:
        return Weights(None, None, None, False)
    _download(spec, WEIGHTS, progress)
    file = hub.cached_in_hub(name, WEIGHTS)
    assert file is not None  # it was just put there
    for shard in _shards(file):
        _download(spec, (shard,), progress)
    return _known(file, already=False)


def ready(spec: ModelSpec) -> None:
    """Raise the `ModelError` for a repository that is neither in the hub cache nor to be had."""
    if cached_folder(spec) is None:
        hub.ready_hub(spec.name, name_in(spec), ("no file has this name",), instead=_instead(spec))


def _instead(spec: ModelSpec) -> str:
    return (
        "or copy the repository's files (config.json, preprocessor_config.json, model.safetensors) into a folder and "
        f"name that: --model hf:./FOLDER (from {hub.endpoint()}/{name_in(spec)})"
    )


def _download(spec: ModelSpec, files: Sequence[str], progress: bool, *, may_lack: bool = False) -> None:
    """Bring the first of `files` that the repository holds into the hub cache."""
    from huggingface_hub import errors, hf_hub_download

    name = name_in(spec)
    for file in files:
        try:
            with hub.quiet(progress):
                hf_hub_download(name, file)
            return
        except errors.LocalEntryNotFoundError as error:  # of the same family, but it means a broken line
            raise hub.explained(spec.name, name, error, instead=_instead(spec)) from error
        except errors.EntryNotFoundError as error:
            if file == files[-1] and not may_lack:
                raise ModelError(
                    f"'{name}' of the hub has no {file if len(files) == 1 else 'weights for torch'}",
                    fix=f"look at {hub.endpoint()}/{name}: it must be a model of transformers",
                ) from error
        except (OSError, errors.HfHubHTTPError, errors.HFValidationError) as error:
            raise hub.explained(spec.name, name, error, instead=_instead(spec)) from error


def _shards(file: Path) -> list[str]:
    """Return the files that an index names; none for a file of weights."""
    if not file.name.endswith(".index.json"):
        return []
    try:
        found = parse_json(read_bytes(file, "the index of the weights", ModelError, most=_LARGEST))
        return sorted({str(shard) for shard in dict(found["weight_map"]).values()})
    except (ValueError, KeyError, TypeError):
        raise ModelError("the index of the weights has no 'weight_map'", file=file) from None


def _needed(folder: Path) -> Path:
    file = weights_in(folder)
    if file is None:
        raise ModelError(
            "the folder has no weights for torch",
            file=folder,
            fix=f"it needs one of {', '.join(WEIGHTS)}: let save_pretrained write it",
        )
    return file


def _known(file: Path, *, already: bool) -> Weights:
    stored = file.resolve().name  # in the hub cache, large files lie under their SHA-256
    expected = stored if re.fullmatch("[0-9a-f]{64}", stored) else ""
    return Weights(file, file.stat().st_size, check_sha256(file, expected), already)


def revision_of(folder: Path) -> str | None:
    """Return the commit of a snapshot in the hub cache; None for a folder of the user's."""
    return folder.name if folder.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", folder.name) else None
