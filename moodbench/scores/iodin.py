"""i-ODIN: ODIN with a step at one number of the picture alone."""

from __future__ import annotations

from dataclasses import dataclass

from moodbench.scores.base import SCORES
from moodbench.scores.odin import ODIN


@SCORES.register("iodin")
@dataclass
class IODIN(ODIN):
    """``max_k softmax(l' / T)_k``, given as its logit, with l' the logits of the images that ``--view iodin`` changes.

    Parameters
    ----------
    view : str, default="iodin"
        The cached view of changed images, with its numbers (``iodin-0.0014``) where there are several.
    temperature : float, default=1000
        T. That of the view's own gradient is a parameter of the view.

    Notes
    -----
    The step changes one number of a picture by eps / std: what it changes of the score is little.

    References
    ----------
    Regmi, Going Beyond Conventional OOD Detection, arXiv 2411.10794. Reference code: Jingkang50/OpenOOD,
    openood/postprocessors/iodin_postprocessor.py.
    """

    title = "i-ODIN"
    paper = "Regmi, 2024, arXiv 2411.10794"
    year = 2024

    view: str = "iodin"
