"""What is said of an extraction that has ended, in a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from moodbench.sizes import many
from moodbench.views import CHANGED, split_layer

if TYPE_CHECKING:
    from moodbench.features.extract import Extraction

_NAMED = 5
"""Undecodable images that a line names."""


def described(model: str, dataset: str, outcome: Extraction) -> str:
    """Say what was made of a dataset, or that it was there: images, how many a second, what could not be decoded."""
    shards = [one.shard for one in (outcome, *outcome.views.values()) if one.shard is not None]
    if shards:
        dataset = f"{dataset}, shard {shards[0][0]} of {shards[0][1]}"
        if not any(one.rows for one in (outcome, *outcome.views.values()) if one.shard is not None):
            return f"skip {model} on {dataset}: it has no rows, as there are few images"
    skipped = _undecodable(outcome.undecodable)
    made = [one for one in (outcome, *outcome.views.values()) if not one.already]
    if not made:
        whole = _joined([model, *_counted(outcome.views)])
        return f"skip {whole} on {dataset}: complete ({many(outcome.rows, 'image')}{skipped})"
    views = _counted({name: one for name, one in outcome.views.items() if not one.already})
    what = f"{_joined(views)} of {model}" if outcome.already else _joined([model, *views])
    begun_at, at_once = min(one.begun_at for one in made), min(one.at_once for one in made)
    new, seconds = made[0].rows - begun_at, max(one.seconds for one in made)
    rate = f", {new / seconds:.0f} images/s" if seconds > 0 else ""
    kept = f", {begun_at} were there" if begun_at else ""
    pieces = f", {at_once} at once: memory ran out" if at_once < made[0].batch_size else ""
    return f"extracted {what} on {dataset}: {many(new, 'image')}{kept}{rate}{skipped}{pieces}"


def _counted(views: Mapping[str, Extraction]) -> list[str]:
    """Say how many layers there are among views, of the images and of changed ones, and name the others."""
    changed = [name for name in views if name.startswith(CHANGED)]
    layers = len(views) - len(changed)
    whole = [name for name in changed if split_layer(name)[1] is None]
    inside = Counter(split_layer(name)[0] for name in changed if name not in whole)
    of = [f"{many(count, 'layer')} of {name}" for name, count in inside.items()]
    return [*([many(layers, "layer")] if layers else []), *whole, *of]


def _joined(parts: Sequence[str]) -> str:
    """Join words for a line: commas, and the last with "and"."""
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])


def _undecodable(ids: Sequence[str]) -> str:
    """Name the first of the images that could not be decoded."""
    if not ids:
        return ""
    more = f", and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f", {len(ids)} could not be decoded: {', '.join(ids[:_NAMED])}{more}"
