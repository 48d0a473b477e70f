"""How wide a network's outputs are, asked without its weights: what estimates of disk need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from moodbench.catalog import ModelSpec
from moodbench.errors import MoodbenchError
from moodbench.studies.known import Chosen, Known
from moodbench.views import LayerChoice


@dataclass(frozen=True)
class Shape:
    """Of a network.

    Attributes
    ----------
    dim, classes : int or None
        D and C; None: unknown, or without logits.
    layers : sequence of str
        Names of the caches of the layers that a study chooses.
    layer_dims : sequence of int
        Width of each, as far as the network says it.
    """

    dim: int | None = None
    classes: int | None = None
    layers: Sequence[str] = ()
    layer_dims: Sequence[int] = ()


_UNKNOWN = Shape()


def shape_of(model: Chosen, known: Known, *, changed: bool = False) -> Shape:
    """Return the shape of a model of a study; what cannot be built without weights says nothing.

    With `changed`, layers are those of changed images.
    """
    headed = model.choice.with_head and model.spec.head.kind != "none"
    return _shape(_Asked(model.spec, headed, known.inside if changed else known.layers, known.study["pool"]))


@dataclass(frozen=True)
class _Asked:
    """What is asked; equal for the same entry, which is no key of a dict by itself."""

    spec: ModelSpec
    headed: bool
    layers: LayerChoice | None
    pool: str

    def __hash__(self) -> int:
        return hash((self.spec.name, self.headed, self.layers, self.pool))


@lru_cache(maxsize=256)
def _shape(asked: _Asked) -> Shape:
    if not asked.spec.timm:
        return _UNKNOWN
    import torch

    from moodbench.models.build import create
    from moodbench.models.features import RECIPES
    from moodbench.models.layers import choose_layers
    from moodbench.models.transforms import sized

    try:
        with torch.device("meta"):
            network = create(sized(asked.spec), True, pretrained=False)
        dim = RECIPES.get(asked.spec.features).width(network)
        classes = int(getattr(network, "num_classes", 0)) or None
        layers = () if asked.layers is None else choose_layers(network, asked.layers, asked.pool)  # type: ignore[arg-type]
    except (MoodbenchError, OSError, RuntimeError):
        return _UNKNOWN
    info = getattr(network, "feature_info", None)
    rows = getattr(info, "info", info) or []
    widths = {str(row.get("module", "")): int(row["num_chs"]) for row in rows if "num_chs" in row}
    dims = [widths[one.name] for one in layers if one.name in widths]
    known = len(dims) == len(layers)
    return Shape(dim, classes if asked.headed else None, [one.view for one in layers], dims if known else ())
