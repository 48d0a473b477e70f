"""Words and prompts → a head: a row for each class, its embedded sentences averaged, at the scale of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.models.clip.text import TextTower
from moodbench.texts.prompts import filled
from moodbench.types import Head


def embed_words(
    tower: TextTower,
    words: Sequence[str],
    prompts: Sequence[str],
    tick: Callable[[float], object] = lambda done: None,
) -> Tensor:
    """Return (n, D) float32 embeddings of unit length: of each word, the mean over prompts, brought to unit length.

    As OpenAI's and open_clip's zero-shot classifiers: every sentence is brought to unit length before the mean, too.
    """
    rows = []
    for word in words:
        rows += [filled(prompt, word) for prompt in prompts]
    found = tower.embed(rows, tick).double().reshape(len(words), len(prompts), -1).mean(dim=1)
    return torch.nn.functional.normalize(found, dim=-1).float()


def as_head(
    tower: TextTower,
    embeddings: Tensor,
    classes: Sequence[str] | None,
    negatives: Tensor | None = None,
    noise: Tensor | None = None,
) -> Head:
    """Return the head whose logits are those of the network: scale · cosine + bias.

    Its rows, and those of negatives, are the embeddings times the scale, so that their length is the scale, and rows of
    unit length give cosines back. Those of `noise` are embeddings of images, and stay of unit length.
    """
    weight = _scaled(tower, embeddings)
    bias = np.full(len(weight), tower.bias, np.float32)
    texts = {} if negatives is None else {"negatives": _scaled(tower, negatives)}
    if noise is not None:
        texts["noise"] = noise.numpy()
    return Head(weight, bias, None if classes is None else tuple(classes), texts)


def _scaled(tower: TextTower, embeddings: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray((tower.scale * embeddings.double()).numpy().astype(np.float32))
