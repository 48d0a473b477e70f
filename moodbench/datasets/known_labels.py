"""Lists of labels that models are pretrained on, by the names that catalogues call them: WordNet ids.

That of ImageNet-1k comes with moodbench, larger ones with timm, which is not imported for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from moodbench.datasets.labels import imagenet_wnids

NOTHING = "none"
"""What a catalogue says of a model that met no labels besides those of its head."""

OF_TIMM = {
    "ImageNet-12k": "imagenet12k_synsets.txt",
    "ImageNet-21k": "imagenet21k_goog_synsets.txt",
    "ImageNet-22k": "imagenet22k_synsets.txt",
}

_WNID = re.compile(r"n\d{8}")


@cache
def known_labels(name: str) -> frozenset[str] | None:
    """Return the WordNet ids of a set of labels; None where there is no list of it."""
    if name == "ImageNet-1k":
        return frozenset(imagenet_wnids())
    found = find_spec("timm") if name in OF_TIMM else None
    if found is None or found.origin is None:
        return None
    try:
        text = (Path(found.origin).parent / "data" / "_info" / OF_TIMM[name]).read_text(encoding="utf-8")
    except OSError:  # another version of timm
        return None
    return frozenset(text.split())


def seen_labels(name: str | None) -> Callable[[str], bool | None] | None:
    """Return what says of a class whether it is among the labels called `name`.

    It knows WordNet ids alone, wherever they stand in the name of a class, and says None of other names. Without a list
    there is nothing that could say it, and None is returned.
    """
    labels = None if name in (None, NOTHING) else known_labels(str(name))
    if labels is None:
        return None

    def seen(title: str) -> bool | None:
        wnid = _WNID.search(title)
        return None if wnid is None else wnid[0] in labels

    return seen
