"""Why a number of ours cannot agree with a published one: what the catalogue and the provenance know of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moodbench.catalog import Catalog, ModelSpec, seen_by
from moodbench.workspace import ModelName

PUBLISHED_TRANSFORM = "moodv2"
"""The name of the reference's transform: squeezed to the square, bilinear, mean = std = 0.5."""


def reasons(catalog: Catalog, model: str, provenance: Mapping[str, Any]) -> list[str]:
    """Return why numbers of a model need not agree with the published ones of the network that it is a variant of.

    Parameters
    ----------
    catalog : Catalog
    model : str
        As results name it: ``BASE[@VARIANT][+HEAD]``.
    provenance : mapping
        The JSON beside its results.
    """
    name = ModelName.parse(model)
    base = catalog.models.get(name.base)
    found = [*_transform(provenance)]
    if base is not None:
        found += _weights(base, base.variant(name.variant))
    if name.head is not None:
        found.append(f"ours has the head '{name.head}', and the published number that of the checkpoint")
    if base is not None and base.head.kind == "none" and base.reference_note:
        found.append(base.reference_note)
    return found


def _transform(provenance: Mapping[str, Any]) -> Iterator[str]:
    noted = [one.get("provenance", {}) for one in provenance.get("datasets", {}).values()]
    kinds = {(one.get("transform") or {}).get("kind") for one in noted}
    known = sorted(kind for kind in kinds if kind is not None)
    if not known:
        yield "nobody says through which transform our pictures went"
    elif known != [PUBLISHED_TRANSFORM]:
        other = ", ".join(kind for kind in known if kind != PUBLISHED_TRANSFORM)
        yield f"other transform: ours '{other}', theirs squeezed to the square with mean = std = 0.5"


def _weights(theirs: ModelSpec, ours: ModelSpec) -> Iterator[str]:
    if any(getattr(theirs, key) != getattr(ours, key) for key in ("timm", "url", "checkpoint")):
        yield "other weights"
    if theirs.head != ours.head:
        yield "other head"
    if theirs.features != ours.features:
        yield f"other features: ours {ours.features}, theirs {theirs.features}"
    before, now = seen_by(theirs).labels, seen_by(ours).labels
    if before != now:
        yield f"other labels seen: ours {now or 'not said'}, theirs {before or 'not said'}"
