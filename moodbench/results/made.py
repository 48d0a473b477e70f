"""What single rows of results were made from and with, as the provenance of their file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moodbench.types import MEAN, Result

ITS_HEAD = "its head"
"""Stands for the head among the names of datasets that numbers were made from."""


ViewContents = Mapping[str, Mapping[str, str]]
"""View of a model (``layer-blocks.3``) → dataset → fingerprint of its cache."""


def row_name(row: Result) -> str:
    """Return what `made_with` calls the rows of a score with its parameters."""
    return f"{row.score} {row.params}".strip()


def versions_of(noted: Mapping[str, Any]) -> str:
    """Return the versions of packages that a provenance names, in one line."""
    packages = {"moodbench": noted.get("moodbench", "of an unknown version"), **noted.get("versions", {})}
    return ", ".join(f"{package} {number}" for package, number in packages.items())


def made_with_of(noted: Mapping[str, Any], row: Result) -> list[str]:
    """Return the versions that a row was made with, in one line; several where merged rows of a score differ in them.

    They may be older than those of the file.
    """
    name = row_name(row)
    return [made for made, rows in noted.get("made_with", {}).items() if name in rows] or [versions_of(noted)]


def used_by(inputs: Mapping[str, Any], row: Result) -> set[str]:
    """Return the datasets that a row depends on: those that it is fitted on, ID test, and its OOD datasets."""
    groups = inputs.get("benchmark", {}).get("ood", {})
    ood = {name for of in groups.values() for name in of}
    own = {row.ood} if row.ood != MEAN else set(groups.get(row.group, ood))
    return {*inputs.get("contents", {})} - (ood - own)


def views_read(noted: Mapping[str, Any], row: Result) -> ViewContents:
    """Return the caches besides the model's own that a row was made from: of layers, or of changed images."""
    its: ViewContents = noted.get("views", {}).get(row_name(row), {})
    return its


def is_part_of(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Say whether these inputs are those, but for datasets that only the whole was made from too, as after a merge."""
    contents = whole.get("contents", {})
    shared = {name: digest for name, digest in contents.items() if name in part.get("contents", {})}
    return part == {**whole, **({"contents": shared} if "contents" in whole else {})}


def roles_of(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return what each dataset was: ``ID train``, ``ID val``, ``ID test`` or its OOD group, in this order."""
    roles = inputs.get("benchmark", {})
    found: dict[str, list[str]] = {}
    for called, names in (
        ("ID train", [roles.get("id_train")]),
        ("ID val", [roles.get("id_val")]),
        ("ID test", roles.get("id_test", [])),
        *((f"{group} OOD", names) for group, names in roles.get("ood", {}).items()),
    ):
        for name in names:
            if name is not None:
                found.setdefault(str(name), []).append(called)
    named = {name: ", ".join(called) for name, called in found.items()}
    return named | {name: "other" for name in inputs.get("contents", {}) if name not in named}
