"""What to do about a file that cannot be used as it is: pieces of Python, to be run as they stand.

In them FILE is the file, NEW another one, and FOLDER and NAME are pictures and what they are to be called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

TRUSTED = "torch.load(FILE, map_location='cpu', weights_only=False)"
"""Reads a torch file and runs whatever is in it."""


def steps(path: Iterable[str]) -> str:
    """Return how Python goes down into dicts: ``['a']['b']``."""
    return "".join(f"[{key!r}]" for key in path)


def rewrite(lines: Sequence[str]) -> str:
    """Return the advice to write the tensors alone to a new file, by these lines."""
    return _block("if you trust the file, write its tensors to a new one and use that:", ["import torch", *lines])


def from_python(lines: Sequence[str], *, returns_features: bool = False) -> str:
    """Return how to use a network without timm, made by these lines as ``network``.

    `returns_features`: it has no layers that could be looked into, and is what returns the features.
    """
    features = ", features=lambda network, images: network(images)" if returns_features else ""
    remark = " (the network has to return features then)" if returns_features else ""
    return _block(
        f"or use it from Python, where timm has no such network{remark}; MEAN and STD are those of its pictures:",
        [
            "import moodbench, torch",
            *lines,
            "config = {'input_size': (3, SIDE, SIDE), 'mean': MEAN, 'std': STD, 'crop_pct': 1.0}",
            "transform = moodbench.build_transform('model', config)",
            f"backbone = moodbench.Backbone.from_module(network, transform{features})",
            "moodbench.extract(backbone, name=NAME, dataset=[NAME], images=FOLDER)",
        ],
    )


def _block(opening: str, lines: Sequence[str]) -> str:
    return "\n".join((opening, *(f"  {line}" for line in lines)))
