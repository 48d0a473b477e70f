"""GL-MCM: how well the patch of a picture that fits a text best does so."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from moodbench.errors import ModelError
from moodbench.models.recipes.base import COLDEST, MOST, VIEWS, Recipe
from moodbench.models.recipes.seen import Pass
from moodbench.types import Head


@VIEWS.register("gl_mcm")
@dataclass(frozen=True)
class GLMCM(Recipe):
    """``max_i max_k softmax_k(cos(z_i, w_k) / temperature)`` over patches i and rows w_k of a text head: one number.

    z_i is what the last block makes of patch i when each token attends to itself alone: with x the tokens before that
    block and V, O its value and output projections, ``v = x + O(V(ln_1(x)))``, ``z = proj(ln_post(v + mlp(ln_2(v))))``.

    Parameters
    ----------
    temperature : float, default=1
        It divides cosines.

    Notes
    -----
    Of vision transformers of open_clip with the class token pooled, which CLIP's are. The authors also read CLIP's
    ResNets, at their last pooling by attention; those are refused. Cosines are taken in float32 and the softmax in
    float64: its numbers lie near 1 / C.

    References
    ----------
    Miyai et al., GL-MCM: Global and Local Maximum Concept Matching for Zero-Shot Out-of-Distribution Detection,
    IJCV 2025, arXiv 2304.04521. Reference code: AtsuMiyai/GL-MCM, clip/model.py, and utils/detection_util.py
    (score L-MCM), with the sign turned.
    """

    head = True
    gradients = False
    numbers = True
    paper = "Miyai et al., IJCV 2025, arXiv 2304.04521"

    temperature: float = 1.0

    def __post_init__(self) -> None:
        self.refuse_outside("temperature", COLDEST, MOST)

    def check(self, network: nn.Module, head: Head | None) -> None:
        """Refuse networks that are no such transformer."""
        _tower(network)

    def compute(self, seen: Pass) -> Tensor:
        """Return the number of each picture, (B, 1) float32."""
        assert seen.head is not None
        tower = _tower(seen.network)
        *before, last = tower.transformer.resblocks
        source = f"transformer.resblocks.{len(before) - 1}" if before else "ln_pre"
        with seen.maps([source]) as found:
            seen.forward()
        tokens = found[source].float()
        if before and not tower.transformer.batch_first:
            tokens = tokens.transpose(0, 1)
        local = normalize(tower.ln_post(_by_themselves(last, tokens)[:, 1:]) @ tower.proj, dim=-1)
        cosines = (local @ normalize(seen.head[0], dim=1).T).double() / self.temperature
        return torch.softmax(cosines, dim=2).amax((1, 2)).float()[:, None]


def _by_themselves(block: Any, tokens: Tensor) -> Tensor:
    """Return what a block makes of tokens (B, N, D) if each attends to itself alone: (B, N, D)."""
    attention, width = block.attn, tokens.shape[-1]
    bias = attention.in_proj_bias
    values = linear(block.ln_1(tokens), attention.in_proj_weight[-width:], None if bias is None else bias[-width:])
    seen = tokens + block.ls_1(attention.out_proj(values))
    made: Tensor = seen + block.ls_2(block.mlp(block.ln_2(seen)))
    return made


def _tower(network: nn.Module) -> Any:
    """Return the network, a vision transformer of open_clip; refuse any other."""
    library = sys.modules.get("open_clip.transformer")  # there, where a network of it is
    if (
        library is not None
        and isinstance(network, library.VisionTransformer)
        and network.attn_pool is None
        and network.pool_type == "tok"
        and network.proj is not None
        and type(network.transformer.resblocks[-1]) is library.ResidualAttentionBlock
        and network.transformer.resblocks[-1].attn.in_proj_weight is not None
    ):
        return network
    raise ModelError(
        "the view 'gl_mcm' reads the patches of a vision transformer of open_clip that pools its class token, and "
        f"{type(network).__name__} is none",
        fix="leave it out; it is for models as clip_b16 and clip:ViT-B-32/openai",
    )
