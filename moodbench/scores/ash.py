"""ASH: prune the small activations of a row, and rescale the others in one of three ways."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.scores.base import SCORES
from moodbench.scores.block import Block
from moodbench.scores.machinery.shaping import ShapedEnergy, check_percentile, gain, kept_count, largest, sum_ratio


@SCORES.register("ash_p")
@dataclass
class ASHP(ShapedEnergy):
    """``log sum_k exp((W x' + b)_k)``, x' = the largest entries of x, the rest zero.

    Parameters
    ----------
    percentile : float, default=60
        Share of the entries that is pruned: k = D - round(D · percentile / 100) of them are kept, at least one.
        60 is what the authors take for a ResNet-50 on ImageNet.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.

    Notes
    -----
    Published for features after a ReLU. On signed ones it runs as written, and the results say so. Of equal entries
    the first are kept.

    References
    ----------
    Djurisic et al., Extremely Simple Activation Shaping for Out-of-Distribution Detection, ICLR 2023,
    arXiv 2209.09858, algorithm ASH-P. Reference code: andrijazz/ash, ash.py, which overwrites its input and leaves the
    choice among equal entries to the device.
    """

    title = "ASH-P"
    paper = "Djurisic et al., ICLR 2023, arXiv 2209.09858"
    year = 2023
    sweep = {"percentile": (65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)}
    post_relu = True

    percentile: float = 60.0

    def __post_init__(self) -> None:
        check_percentile("ash_p", self.percentile)

    def shape(self, block: Block) -> Tensor:
        return largest(block, kept_count(block.features.shape[1], self.percentile)).mul_(block.features)


@SCORES.register("ash_b")
@dataclass
class ASHB(ShapedEnergy):
    """``log sum_k exp((W x' + b)_k)``, x' = s1 / k at the k largest entries of x, zero elsewhere.

    s1 is the sum of all entries before pruning.

    Parameters
    ----------
    percentile : float, default=65
        As in ASH-P. 65 is the reference's default and what the authors take for a ResNet-50 on ImageNet.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.

    Notes
    -----
    Published for features after a ReLU. On signed ones s1 is close to zero and of either sign, so that little but
    noise reaches the head; it runs as written, and the results say so. Where fewer than k entries differ from zero, the
    first zeros are filled too (the reference fills any).

    References
    ----------
    Djurisic et al., ICLR 2023, arXiv 2209.09858, algorithm ASH-B. Reference code: andrijazz/ash, ash.py.
    """

    title = "ASH-B"
    paper = "Djurisic et al., ICLR 2023, arXiv 2209.09858"
    year = 2023
    sweep = {"percentile": (65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)}
    post_relu = True

    percentile: float = 65.0

    def __post_init__(self) -> None:
        check_percentile("ash_b", self.percentile)

    def shape(self, block: Block) -> Tensor:
        k = kept_count(block.features.shape[1], self.percentile)
        return largest(block, k).mul_(block.features.sum(dim=1, keepdim=True) / k)


@SCORES.register("ash_s")
@dataclass
class ASHS(ShapedEnergy):
    """``log sum_k exp((W x' + b)_k)``, x' = exp(s1 / s2) times the k largest entries of x, zero elsewhere.

    s1 is the sum of all entries, s2 that of the k largest.

    Parameters
    ----------
    percentile : float, default=90
        As in ASH-P. 90 is what the authors take for a ResNet-50 on ImageNet.
    relu : bool, default=False
        Count negative entries as zero in s1 and s2 (the entries that reach the head keep their values). Not published:
        it gives the ratio a meaning on signed features.

    Attributes
    ----------
    weight_, bias_ : (C, D) and (C,) float32
        The head.

    Notes
    -----
    Published for features after a ReLU. On signed ones s1 / s2 is close to zero and of either sign; it runs as written,
    and the results say so. s2 = 0 counts as a ratio of 1, and the exponent is cut at 80; the reference gives NaN there.

    References
    ----------
    Djurisic et al., ICLR 2023, arXiv 2209.09858, algorithm ASH-S. Reference code: andrijazz/ash, ash.py.
    """

    title = "ASH-S"
    paper = "Djurisic et al., ICLR 2023, arXiv 2209.09858"
    year = 2023
    sweep = {"percentile": (65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0)}
    post_relu = True

    percentile: float = 90.0
    relu: bool = False

    def __post_init__(self) -> None:
        check_percentile("ash_s", self.percentile)

    def shape(self, block: Block) -> Tensor:
        k = kept_count(block.features.shape[1], self.percentile)
        factor = gain(sum_ratio(block, k, relu=self.relu))
        return largest(block, k).mul_(block.features).mul_(factor[:, None])
