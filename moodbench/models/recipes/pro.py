"""PRO: steps down the network's confidence, and the picture on the way where it is least."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from moodbench.models.recipes.base import NORMALISED, STEP, VIEWS, Recipe
from moodbench.models.recipes.seen import Pass, of_predicted

CONFIDENCES = ("msp", "entropy")


@VIEWS.register("pro")
@dataclass(frozen=True)
class PRO(Recipe):
    """``x_(t+1) = x_t - eps * sign(d/dx c(x_t))``; of x_0 to x_steps the picture with the smallest confidence c.

    Parameters
    ----------
    eps : float, default=0.0005
        A step, in pixels as the network sees them: divided by the standard deviation already.
    steps : int, default=3
        Each of them costs a forward and a backward pass.
    confidence : {"msp", "entropy"}, default="msp"
        c: the largest softmax probability, or minus the entropy of the softmax.

    Notes
    -----
    The published eps and steps are chosen for each ID dataset on validation sets, OOD images among them; these are
    those of PRO-MSP on ImageNet. Other scores' confidences (GEN's, at a fitted temperature) are left out.

    References
    ----------
    Chen et al., Leveraging Perturbation Robustness to Enhance Out-of-Distribution Detection, CVPR 2025, arXiv
    2503.18784. Reference code: wenxichen2746/Perturbation-Rectified-OOD-Detection, pro2_msp_postprocessor.py and
    pro2_ent_postprocessor.py.
    """

    head = True
    paper = "Chen et al., CVPR 2025, arXiv 2503.18784"

    eps: float = 0.0005
    steps: int = 3
    confidence: str = "msp"

    def __post_init__(self) -> None:
        self.refuse_outside("eps", 0, STEP, NORMALISED)
        self.refuse_outside("steps", 1, 100)
        self.refuse_unless(self.confidence in CONFIDENCES, "confidence", "must be msp or entropy")

    def compute(self, seen: Pass) -> Tensor:
        """Return the features where the confidence is smallest; of equal ones the first."""
        met: list[tuple[Tensor, Tensor]] = []

        def confidence(features: Tensor) -> Tensor:
            found = self._confidence(seen.logits(features))
            met.append((features.detach(), found.detach()))
            return found

        images = seen.images
        for step in range(self.steps):
            gradient = seen.gradient(confidence, None if step == 0 else images)
            images = images - self.eps * gradient.sign()
        confidence(seen.forward(images))
        least = torch.stack([found for _, found in met]).argmin(0)
        features = torch.stack([features for features, _ in met])
        return features[least, torch.arange(len(least), device=least.device)]

    def _confidence(self, logits: Tensor) -> Tensor:
        logs = torch.log_softmax(logits, dim=1)
        return of_predicted(logs) if self.confidence == "msp" else (logs.exp() * logs).sum(1)
