"""GL-MCM: maximum concept matching of the whole picture and of the patch that fits a text best."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES, Fit, Train
from moodbench.scores.block import Block
from moodbench.scores.machinery.viewing import OnView
from moodbench.scores.mcm import MCM


@SCORES.register("gl_mcm")
@dataclass
class GLMCM(OnView):
    """``max_k softmax_k(cos(x, w_k) / tau) + lambda * L(x)``, L the number of ``--view gl_mcm``: the same of a patch.

    Parameters
    ----------
    view : str, default="gl_mcm"
        The cached view. The temperature of L is its own.
    temperature : float, default=1.0
        tau, which divides the cosines of the whole picture; 1 as in the paper and its code.
    weight : float, default=1.0
        lambda, at least 0.

    Attributes
    ----------
    mcm_ : MCM
        The first term.

    Notes
    -----
    L is the largest probability of any class at any patch; how a patch is read is the view's: see
    `moodbench.models.recipes.gl_mcm` and docs/text.md. It was made with all classes of the head, also where a benchmark
    has some of them alone.

    References
    ----------
    Miyai et al., GL-MCM: Global and Local Maximum Concept Matching for Zero-Shot Out-of-Distribution Detection,
    IJCV 2025, arXiv 2304.04521. Reference code: AtsuMiyai/GL-MCM, utils/detection_util.py (score GL-MCM), in float32
    and with the sign turned.
    """

    title = "GL-MCM"
    family = "feature+logit"
    needs = frozenset({"logits", "head", "views"})
    paper = "Miyai et al., IJCV 2025, arXiv 2304.04521"
    year = 2025

    view: str = "gl_mcm"
    temperature: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name, fine, wanted in (
            ("temperature", self.temperature > 0, "> 0"),
            ("weight", self.weight >= 0, ">= 0"),
        ):
            if not fine:
                raise UsageError(f"'gl_mcm' needs {name} {wanted}, got {name}={getattr(self, name)}")

    @property
    def made_by(self) -> str:
        """The option of ``moodbench extract`` that makes what it reads."""
        return f"{super().made_by} --view-head zeroshot"

    def fit(self, train: Train) -> Fit:
        self.mcm_ = MCM(self.temperature)
        yield from self.mcm_.fit(train)

    def score(self, block: Block) -> Tensor:
        local = block.views[self.view_read(list(block.views))].features[:, 0].double()
        return self.mcm_.score(block) + self.weight * local
