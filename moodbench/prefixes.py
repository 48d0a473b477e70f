"""Models that a library knows by name: ``timm:NAME`` and ``clip:ARCH/TAG``, and the folders that their caches lie in.

The folder of ``timm:NAME`` is ``timm-NAME``, that of ``clip:ARCH/TAG`` is ``clip-ARCH--TAG``: no name of open_clip has
two hyphens in a row. Somebody's own model that is called ``timm-NAME`` has the folder ``timm--NAME``.
"""

from __future__ import annotations

from moodbench.names import name_fault

TIMM = "timm"
CLIP = "clip"

LIBRARIES = (TIMM, CLIP)
"""What stands before a colon in the name of a model."""

_SLASH = "--"


def split(base: str) -> tuple[str | None, str]:
    """Return the library of a model's name and the name there; None and the whole for a model of no library.

    >>> split("clip:ViT-B-16/openai")
    ('clip', 'ViT-B-16/openai')
    """
    library, colon, rest = base.partition(":")
    return (library, rest) if colon and library in LIBRARIES else (None, base)


def base_fault(base: str) -> str | None:
    """Say why this cannot be a model's name without variant, view and head."""
    library, rest = split(base)
    parts = rest.split("/", 1) if library == CLIP else [rest]
    fault = next((fault for part in parts if (fault := name_fault(part)) is not None), None)
    if fault is None and library is not None and rest.startswith("-"):
        fault = f"begins with '-', as no name of {library} does"
    if fault is None and library == CLIP and _SLASH in rest:
        fault = f"has '{_SLASH}', as no name of open_clip does"
    return fault


def folder_of(base: str) -> str:
    """Return the name of the folder of such a model's caches."""
    library, rest = split(base)
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
            return f"{one}:{rest.replace(_SLASH, '/', 1) if one == CLIP else rest}"
    return folder
