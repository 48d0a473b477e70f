"""Models that are named by where they are from: ``timm:NAME``, ``hf:ORG/NAME``, ``module:FILE.py:build`` and others,
and the folders that their caches lie in.

The folder of ``timm:NAME`` is ``timm-NAME``; a slash becomes two hyphens, as in ``clip-ARCH--TAG``, ``hf-ORG--NAME``.
In paths, what would then be ambiguous is written as in addresses (``%2D``): every folder leads back to one name.
Somebody's own model that is called ``timm-NAME`` has the folder ``timm--NAME``.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from moodbench.names import name_fault

TIMM = "timm"
CLIP = "clip"
HF = "hf"
TORCHVISION = "torchvision"
MODULE = "module"
TORCHSCRIPT = "torchscript"
ONNX = "onnx"

LIBRARIES = (TIMM, CLIP, HF, TORCHVISION, MODULE, TORCHSCRIPT, ONNX)
"""What stands before a colon in the name of a model."""

OUTSIDE = (HF, TORCHVISION, MODULE, TORCHSCRIPT, ONNX)
"""Those whose networks `moodbench.models.outside` opens."""

PATHS = (HF, MODULE, TORCHSCRIPT, ONNX)
"""Those whose names are, or may be, paths of files or folders."""

HOW_WRITTEN = (
    "timm:NAME, hf:ORG/NAME, hf:FOLDER, torchvision:NAME.WEIGHTS, clip:ARCH/TAG, module:FILE.py:FUNCTION, "
    "torchscript:FILE or onnx:FILE"
)
"""For messages."""

_SLASH = "--"
_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_]\w*)")


def split(base: str) -> tuple[str | None, str]:
    """Return the library of a model's name and the name there; None and the whole for a model of no library.

    >>> split("clip:ViT-B-16/openai")
    ('clip', 'ViT-B-16/openai')
    """
    library, colon, rest = base.partition(":")
    return (library, rest) if colon and library in LIBRARIES else (None, base)


def split_module(rest: str) -> tuple[str, str]:
    """Return file and function of what stands behind ``module:``.

    >>> split_module("nets/resnet.py:build")
    ('nets/resnet.py', 'build')
    """
    file, _, function = rest.rpartition(":")
    return file, function


def exported(base: str | None) -> bool:
    """Say whether this names an exported network, which says neither its features nor its pictures."""
    return split(base or "")[0] in (TORCHSCRIPT, ONNX)


def tidied(base: str) -> str:
    """Return a model's name without the slashes that a shell puts behind the name of a folder."""
    return base.rstrip("/") if split(base)[0] in PATHS and base.rstrip("/")[-1:] != ":" else base


def base_fault(base: str) -> str | None:
    """Say why this cannot be a model's name without variant, view and head."""
    library, rest = split(base)
    if library in PATHS:
        return _path_fault(str(library), rest)
    parts = rest.split("/", 1) if library == CLIP else [rest]
    fault = next((fault for part in parts if (fault := name_fault(part)) is not None), None)
    if fault is None and library is not None and rest.startswith("-"):
        fault = f"begins with '-', as no name of {library} does"
    if fault is None and library == CLIP and _SLASH in rest:
        fault = f"has '{_SLASH}', as no name of open_clip does"
    return fault


def _path_fault(library: str, rest: str) -> str | None:
    if library == MODULE:
        found = _FUNCTION.fullmatch(rest)
        if found is None:
            return "is not FILE.py:FUNCTION"
        rest = found["file"]
    if not rest:
        return "is empty"
    if rest.startswith("-"):
        return "begins with '-': write ./ before it"
    if rest.endswith("/"):
        return "ends with '/'"
    for part in rest.split("/"):
        # dots are what paths are made of, and folders that begin with one are hidden, not forbidden
        fault = name_fault(part.lstrip(".")) if part.strip(".") else None
        if fault is not None:
            return f"{fault}: rename it, or make a link to it"
    return None


def folder_of(base: str) -> str:
    """Return the name of the folder of such a model's caches."""
    library, rest = split(base)
    if library in PATHS:
        return f"{library}-{_as_folder(rest)}"
    if library is not None:
        return f"{library}-{rest.replace('/', _SLASH)}"
    for one in LIBRARIES:
        if base.startswith(f"{one}-"):  # not to be taken for one of the library's
            return base.replace("-", "--", 1)
    return base


def base_of(folder: str) -> str:
    """Return the name of the model whose caches lie in a folder of this name."""
    for one in LIBRARIES:
        if folder.startswith(f"{one}--"):
            return folder.replace("--", "-", 1)
        if folder.startswith(f"{one}-"):
            rest = folder.removeprefix(f"{one}-")
            if one in PATHS:
                return f"{one}:{_as_path(rest, function=one == MODULE)}"
            return f"{one}:{rest.replace(_SLASH, '/', 1) if one == CLIP else rest}"
    return folder


def _as_folder(path: str) -> str:
    """Return a path as part of a folder's name; the colon before a function is written like a slash."""
    escaped = path.replace("%", "%25").replace(":", "/")
    # hyphens that would run together with those of a slash, or pass for one
    escaped = re.sub(r"(?<=/)-|-(?=/)|(?<=-)-", "%2D", escaped)
    if escaped.startswith("/"):
        escaped = "%2F" + escaped[1:]
    return escaped.replace("/", _SLASH)


def _as_path(name: str, *, function: bool) -> str:
    path = name.replace(_SLASH, "/")
    if function:
        file, _, last = path.rpartition("/")
        path = f"{file}:{last}"
    return unquote(path)
