"""Whether the names of a classifier's outputs are those of ImageNet-1k, in whatever words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

CLASSES = 1000
ENOUGH = 990
"""So many of the thousand have the expected first word: publishers differ in the crane, the maillot and some others."""


def are_imagenet(names: Sequence[str]) -> bool:
    """Say whether these are the classes of ImageNet-1k in their usual order: as WordNet ids, or as their words."""
    if len(names) != CLASSES:
        return False
    from timm.data.imagenet_info import ImageNetInfo

    made: Any = ImageNetInfo  # untyped
    info = made("imagenet-1k")
    ids = info.label_names()
    if list(names) == list(ids):
        return True
    words = [_word(info.label_name_to_description(one, detailed=False)) for one in ids]
    return sum(map(str.__eq__, map(_word, names), words)) >= ENOUGH


def _word(name: str) -> str:
    return name.split(",")[0].strip().replace("_", " ").casefold()
