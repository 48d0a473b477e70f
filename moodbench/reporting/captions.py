"""What stands below each kind of picture on the page, and how it is laid out."""

from __future__ import annotations

from collections.abc import Callable

CAPTIONS = {
    "grid": "Mean AUROC of every score on every model, by pretext task; bars are 95 % intervals, a star the mean of a "
    "family.",
    "distributions": "How the scores of ID and OOD images are distributed, an OOD dataset a panel; right of the dashed "
    "line lie 95 % of the ID images.",
    "roc": "ROC: the share of ID images that are kept, against the share of OOD images that pass with them; the dot is "
    "FPR95.",
    "pr": "Precision and recall with ID as positive.",
    "precision_recall": "Precision and recall with ID as positive.",
    "bars": "AUROC on each OOD dataset, with 95 % intervals.",
    "heatmap": "AUROC of each pair on each OOD dataset.",
    "correlation": "How far scores order the same images alike: rank correlations.",
    "ranks": "Average ranks over OOD datasets; what a bar joins is not told apart (Nemenyi's critical difference).",
    "depth": "Mean AUROC at each layer of the models, from the input to their own features.",
    "sweep": "Mean AUROC over the values of a parameter.",
    "accuracy": "ID accuracy of the models against how well OOD is detected.",
    "cost": "Mean AUROC against the time that a score takes for an image.",
    "embedding": "ID and OOD images by the two main directions of their features.",
}

FIRST = ("grid", "bars", "heatmap", "ranks", "distributions", "roc")
"""In this order; others follow by name."""

AS_ON_PAPER = ("heatmap", "correlation")
"""Pictures in which colours are numbers: on dark screens too they stand on white, in the colours of their scale."""


ZOOM = 1.65
"""How much larger than on paper a picture is shown whose letters have the size of those of a caption."""

HALF = 620
"""Pixels: what is wider has a line of the page for itself."""


def in_order(kinds: list[str]) -> list[str]:
    """Return kinds of pictures in the order in which the page shows them."""
    return sorted(kinds, key=lambda kind: (FIRST.index(kind) if kind in FIRST else len(FIRST), kind))


def caption_of(kind: str, draw: Callable[..., object]) -> str:
    """Return what a picture shows; of a kind that is not known here, what the docstring of its function begins with."""
    if kind in CAPTIONS:
        return CAPTIONS[kind]
    first = (draw.__doc__ or kind).strip().partition("\n\n")[0]
    words = " ".join(first.split()).removeprefix("Draw ").removeprefix("Return ")
    return words[:1].upper() + words[1:]
