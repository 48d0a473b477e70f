"""SHE's noise: ODIN's step without a temperature."""

from __future__ import annotations

from dataclasses import dataclass

from moodbench.models.recipes.base import VIEWS
from moodbench.models.recipes.odin import ODIN


@VIEWS.register("she")
@dataclass(frozen=True)
class SHENoise(ODIN):
    """`odin` with T = 1: ``x' = x - eps * sign(d/dx -log max_k softmax(l(x))_k) / std``.

    Parameters
    ----------
    eps : float, default=0.0014
        The step, in pixels on a scale from 0 to 1.
    temperature : float, default=1
        T.

    References
    ----------
    Zhang et al., Out-of-Distribution Detection based on In-Distribution Data Patterns Memorization with Modern Hopfield
    Energy, ICLR 2023. Reference code: zjs975584714/SHE_ood_detection, Utils/score_calculation.py, Add_perturbation.
    """

    paper = "Zhang et al., ICLR 2023"

    temperature: float = 1.0
