"""ODIN: the softmax at a high temperature, of images that went one step towards what the network predicts."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from moodbench.errors import UsageError
from moodbench.scores.base import SCORES
from moodbench.scores.block import Block
from moodbench.scores.machinery.tempered import log_rest
from moodbench.scores.machinery.viewing import OnView


@SCORES.register("odin")
@dataclass
class ODIN(OnView):
    """``max_k softmax(l' / T)_k``, given as its logit, with l' the logits of the images that ``--view odin`` changes.

    Parameters
    ----------
    view : str, default="odin"
        The cached view of changed images, with its numbers (``odin-0.0014``) where there are several.
    temperature : float, default=1000
        T. That of the view's own gradient is a parameter of the view.

    Notes
    -----
    As in `odin0`, the logit of the largest probability, which orders rows in the same way and does not round to that of
    1/C. The step eps and how it is made are the view's: see `moodbench.models.recipes.odin` and docs/views.md.

    References
    ----------
    Liang et al., Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks, ICLR 2018,
    arXiv 1706.02690. Reference code: Jingkang50/OpenOOD, openood/postprocessors/odin_postprocessor.py.
    """

    title = "ODIN"
    family = "logit"
    needs = frozenset({"logits", "views"})
    paper = "Liang et al., ICLR 2018, arXiv 1706.02690"
    year = 2018
    sweep = {"temperature": (1.0, 10.0, 100.0, 1000.0)}

    view: str = "odin"
    temperature: float = 1000.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise UsageError(f"the temperature of '{self.view}' must be positive, got {self.temperature}")

    def score(self, block: Block) -> Tensor:
        return -log_rest(block.views[self.view_read(list(block.views))], self.temperature)
