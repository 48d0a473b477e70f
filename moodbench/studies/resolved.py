"""What the names in a study stood for when it was run: weights, images, scores with all their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from moodbench.datasets.request import ImageSet
from moodbench.errors import MoodbenchError
from moodbench.studies.known import Chosen, Known
from moodbench.studies.schema import OWN
from moodbench.workspace import Workspace

_OF_MODEL = ("weights_sha256", "head_sha256", "format", "features", "image_size", "args")


def resolved(
    known: Known, space: Workspace, sets: Mapping[str, ImageSet], layers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return it in JSON types; nothing of it says when, or on which machine.

    Parameters
    ----------
    known : Known
    space : Workspace
    sets : mapping of dataset to ImageSet
        Of what is on this disk.
    layers : mapping of model to names
        Layers that were extracted.
    """
    from moodbench.scores.base import SCORES, display_order
    from moodbench.scores.machinery.variants import make_variants, score_of

    names = display_order(known.scores or SCORES)
    scores: dict[str, list[str]] = {}
    for label, one in make_variants(names, known.params).items():
        scores.setdefault(score_of(label), []).append(one.describe(known.study["score"]["seeds"]))
    return {
        "title": known.study["title"],
        "models": {str(one.name): _model(one, space, known.datasets, layers) for one in known.models},
        "benchmarks": {
            spec.name: {
                "title": spec.title,
                "id_train": spec.id_train,
                "id_val": spec.id_val,
                "id_test": list(spec.id_test),
                "ood": {group: list(names) for group, names in spec.ood.items()},
            }
            for spec in known.benchmarks
        },
        "datasets": {
            name: {"images": len(one.images), "fingerprint": one.images.fingerprint} for name, one in sets.items()
        },
        "heads": [head or OWN for head in known.heads],
        "scores": scores,
    }


def _model(
    model: Chosen, space: Workspace, datasets: Sequence[str], layers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the entry of a model, with what its cache says of weights and transform."""
    from moodbench.features.cache import FeatureCache

    said: dict[str, Any] = {"title": model.spec.title, "pretext": model.spec.pretext}
    if model.spec.timm:
        said["timm"] = model.spec.timm
    file = next((f for name in datasets if (f := space.cache_file(model.name, name)).exists()), None)
    if file is not None:
        with suppress(MoodbenchError), FeatureCache(file) as cache:
            noted = cache.provenance
            record = noted.get("model") or {}
            said |= {key: record[key] for key in _OF_MODEL if record.get(key)}
            said |= {key: noted[key] for key in ("transform", "precision") if noted.get(key)}
    its = layers.get(str(model.name))
    return said | ({"layers": list(its)} if its else {})
