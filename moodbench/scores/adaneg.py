"""AdaNeg: NegLabel with texts that move towards the test pictures that were taken for theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import TINY, Block, log_sum_exp
from moodbench.scores.machinery.streaming import Batch, OverStream
from moodbench.scores.machinery.texts import HeadTexts, group_mean
from moodbench.scores.machinery.unit import unit_features, unit_rows
from moodbench.scores.neglabel import NegLabel

TOGETHER = 1000
"""Texts whose proxies for every row of a batch are worked out at once."""


@SCORES.register("adaneg")
@dataclass
class AdaNeg(OverStream):
    """``NegLabel with proxies + weight · NegLabel``, where the proxy of a text is the mean of it and of test pictures.

    A picture that NegLabel is sure of (above t + gap (1 - t), or below t - gap t) joins the memory of the class, or of
    the negative label, that it is most like, which keeps the pictures of the least entropy. Proxies are those means,
    scaled to length 1, after the batch has joined. Transductive: the number of a row depends on the rows before it in
    the stream, and beside it in its batch.

    Parameters
    ----------
    batch : int, default=256
        Test rows that come together, as in the code.
    seed : int, default=0
        Of the order of the stream, and of the groups of negatives.
    temperature : float, default=0.01
        Divides cosines.
    groups : int, default=5
        Of negatives, as those of `neglabel`.
    threshold : float, default=0.5
        t.
    gap : float, default=0.5
    memory : int, default=10
        A text and ``memory - 1`` pictures have room, as in the code.
    weight : float, default=0.1
    adapt : str, default="task"
        ``task``: the mean. ``sample``: for each row a mean of its own, weighted by ``exp(-sharpness (1 - cos))``.
    sharpness : float, default=5.5
        beta, of ``adapt=sample``.

    Attributes
    ----------
    neglabel_ : NegLabel
        What a row has by itself.
    negatives_ : (M, D) float32
        Unit rows of all negatives, in the order of the head.
    texts_ : (C, D) float32
        Unit rows of the head.

    Notes
    -----
    Numbers are those of ``scripts/ood/adaneg/imagenet.sh``, whose first run, the one with the better results, takes
    ``task`` proxies; its other run takes ``sample``. A memory that is full gives up the picture of the largest entropy,
    that of the softmax over the classes, or over the negatives. Negatives that the groups leave over have a memory too.
    The program computes CLIP in float16; its later version adapts the gap to how many pictures of either side were met.

    References
    ----------
    Zhang and Zhang, AdaNeg: Adaptive Negative Proxy Guided OOD Detection with Vision-Language Models, NeurIPS 2024,
    arXiv 2410.20149. Reference code: YBZh/OpenOOD-VLM, openood/postprocessors/ttaprompt_postprocessor.py
    (TTAPromptPostprocessor_noadagap, in_score combine).
    """

    title = "AdaNeg"
    family = "feature+logit"
    needs = frozenset({"logits", "head", "negatives", "stream"})
    paper = "Zhang and Zhang, NeurIPS 2024, arXiv 2410.20149"
    year = 2024
    cost = "many directions"

    batch: int = 256
    seed: int = 0
    temperature: float = 0.01
    groups: int = 5
    threshold: float = 0.5
    gap: float = 0.5
    memory: int = 10
    weight: float = 0.1
    adapt: str = "task"
    sharpness: float = 5.5

    def __post_init__(self) -> None:
        if self.temperature <= 0 or min(self.groups, self.batch) < 1 or self.memory < 2:
            raise UsageError(
                f"'adaneg' needs temperature > 0, groups and batch >= 1 and memory >= 2, got temperature="
                f"{self.temperature:g}, groups={self.groups}, batch={self.batch} and memory={self.memory}"
            )
        if not (0 < self.threshold < 1 and 0 <= self.gap <= 1):
            raise UsageError(f"'adaneg' needs threshold in (0, 1) and gap in [0, 1], got {self.threshold}, {self.gap}")
        if self.adapt not in ("task", "sample"):
            raise UsageError(f"'adaneg' adapts to the task or to each sample, got adapt={self.adapt!r:.40}")

    def fit(self, train: Train) -> Fit:
        assert train.weight is not None
        negatives: Tensor = yield HeadTexts("negatives", train)
        self.neglabel_ = NegLabel(self.temperature, self.groups, self.seed)
        yield from self.neglabel_.fit(train)
        self.negatives_, self.texts_ = unit_rows(negatives), unit_rows(train.weight)
        if self.neglabel_.note_:
            self.note_ = self.neglabel_.note_

    def score(self, block: Block) -> Tensor:
        """Return NegLabel's number of a row, (B,) float64."""
        return self.neglabel_.score(block)

    def stream(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        memory = _Memory(torch.cat([self.texts_, self.negatives_]), self.memory - 1)
        classes = len(self.texts_)
        for batch in batches:
            z = unit_features(batch.block)
            cosines = z @ memory.texts.T
            sure_id = batch.alone > self.threshold + self.gap * (1 - self.threshold)
            sure_ood = batch.alone < self.threshold - self.gap * self.threshold
            for sure, some in ((sure_id, slice(0, classes)), (sure_ood, slice(classes, None))):
                memory.join(z[sure], cosines[sure, some] / self.temperature, some.start)
            proxies = memory.cosines(z) if self.adapt == "task" else memory.own_cosines(z, self.sharpness)
            yield self._ratio(proxies / self.temperature) + self.weight * batch.alone

    def _ratio(self, logits: Tensor) -> Tensor:
        classes = len(self.texts_)
        positive = log_sum_exp(logits[:, :classes].clone()).double()
        return group_mean(positive, logits[:, classes:][:, self.neglabel_.order_], self.neglabel_.groups_)


class _Memory:
    """Texts, (T, D) unit rows, and of each up to `room` pictures, those of the least entropy."""

    def __init__(self, texts: Tensor, room: int) -> None:
        self.texts = texts
        self._sums = texts.clone()
        self._held: dict[int, Tensor] = {}  # (1 + room, D) of the texts that have pictures; what is empty is 0
        self._entropies: dict[int, list[float]] = {}
        self._room = room

    def join(self, z: Tensor, logits: Tensor, first: int) -> None:
        """Take in pictures (n, D), one after the other; of their logits (n, K) the largest says with which text."""
        p = torch.softmax(logits, dim=1)
        entropies = -(p * (p + 1e-8).log()).sum(dim=1)
        for row, (best, entropy) in enumerate(zip(logits.argmax(dim=1).tolist(), entropies.tolist(), strict=True)):
            text = first + best
            place = self._place(self._entropies.setdefault(text, []), entropy)
            if place is not None:
                if text not in self._held:
                    empty = z.new_zeros(self._room, z.shape[1])
                    self._held[text] = torch.cat([self.texts[text : text + 1], empty])
                self._held[text][place] = z[row]
                self._sums[text] = self._held[text].sum(dim=0)

    def _place(self, known: list[float], entropy: float) -> int | None:
        """Return where a picture of this entropy goes, and note it there; None where those that are there have less."""
        if len(known) < self._room:
            known.append(entropy)
            return len(known)
        largest = max(known)
        if entropy >= largest:
            return None
        place = known.index(largest)
        known[place] = entropy
        return place + 1

    def cosines(self, z: Tensor) -> Tensor:
        """Return cosines of rows (B, D) with the mean of each memory, (B, T)."""
        return z @ unit_rows(self._sums).T

    def own_cosines(self, z: Tensor, sharpness: float) -> Tensor:
        """Return cosines of rows with means of their own: pictures and texts weigh more the more they are like the row.

        With w the weights of what a memory m holds, (m^T w) · z = w · (m z), and ||m^T w||^2 = w^T (m m^T) w. A text
        without pictures is its own mean.
        """
        found = z @ self.texts.T
        some = list(self._held)
        for start in range(0, len(some), TOGETHER):
            texts = some[start : start + TOGETHER]
            held = torch.stack([self._held[text] for text in texts])
            cosines = held @ z.T  # (texts, held, rows)
            weights = torch.exp(-sharpness * (1 - cosines))
            squares = ((held @ held.transpose(1, 2)) @ weights).mul_(weights).sum(dim=1)
            found[:, texts] = (weights.mul_(cosines).sum(dim=1) / squares.clamp_min(TINY).sqrt()).T
        return found
