"""Lists of words, embedded and mined: the negatives of a head, by the rule of NegLabel.

Of each candidate the similarity to the ID classes is the 0.95 quantile of its cosines to them; the 15 % of a list with
the smallest are kept. Nouns and adjectives are lists of their own.

Reference: Jiang et al., Negative Label Guided OOD Detection with Pretrained Vision-Language Models, ICLR 2024,
arXiv 2403.20078; tmlr-group/NegLabel, mmcls/models/classifiers/multi_modal.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.models.clip.text import TextTower
from moodbench.sizes import many
from moodbench.texts.candidates import QUANTILE, SHARE, Candidates, id_classes
from moodbench.texts.encode import embed_words

_TOGETHER = 10_000_000  # cosines that are taken at once: torch's quantile has a limit


@dataclass(frozen=True)
class Mined:
    """The negatives of a head.

    Attributes
    ----------
    embeddings : (M, D) float32
        Of unit length; list by list, the farthest of each first.
    words : tuple of str
    remarks : tuple of str
    """

    embeddings: Tensor
    words: tuple[str, ...]
    remarks: tuple[str, ...]


def mine(
    tower: TextTower,
    lists: Sequence[Candidates],
    classes: Tensor,
    share: float,
    quantile: float,
    tick: Callable[[float], object] = lambda done: None,
) -> Mined:
    """Return the words of each list that are farthest from the embedded classes (C, D).

    Raises
    ------
    UsageError
        The share of a list is not one word.
    """
    parts, words, remarks = [], [], []
    for one in lists:
        if one.left_out:
            remarks.append(f"{one.file.name}: left out {id_classes(one.left_out)}")
        embedded = embed_words(tower, one.words, one.prompts, tick)
        kept = farthest(embedded, classes, share, quantile)
        if not kept:
            raise UsageError(
                f"{share:g} of {many(len(one.words), 'word')} is none",
                file=one.file,
                fix="keep more of them with --negative-share, or give a longer list",
            )
        parts.append(embedded[kept])
        words += [one.words[i] for i in kept]
        remarks.append(f"{one.file.name}: kept {len(kept)} of {many(len(one.words), 'word')}")
    return Mined(torch.cat(parts), tuple(words), tuple(remarks))


def farthest(candidates: Tensor, classes: Tensor, share: float = SHARE, quantile: float = QUANTILE) -> list[int]:
    """Return which candidates are kept, the farthest first; of equally far ones those that come first.

    Parameters
    ----------
    candidates, classes : (n, D) and (C, D) float32, of unit length
    share : float
        Of the candidates; rounded down.
    quantile : float
        Of the cosines to the classes, interpolated linearly.
    """
    rows = max(1, _TOGETHER // len(classes))
    near = torch.cat([torch.quantile(some @ classes.T, quantile, dim=1) for some in torch.split(candidates, rows)])
    order: list[int] = torch.argsort(near, stable=True)[: int(len(near) * share)].tolist()
    return order
