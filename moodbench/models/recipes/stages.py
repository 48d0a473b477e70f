"""Where the last stages of a network are, for recipes that read their maps."""

from __future__ import annotations

from torch import Tensor, nn

from moodbench.errors import ModelError
from moodbench.models.layers import layer_names

_OF_TORCHVISION = ("layer3", "layer4")
"""The last stages of torchvision's ResNets, which offer no names of layers."""


def last_stages(network: nn.Module, view: str) -> tuple[str, str]:
    """Return the names of the last two stages of a network (blocks, of a transformer): the last but one, the last.

    Parameters
    ----------
    network : Module
    view : str
        Name of the recipe that asks, for the message.

    Raises
    ------
    ModelError
        It does not offer two.
    """
    try:
        names = layer_names(network)
    except ModelError:
        children = {name for name, _ in network.named_children()}
        names = list(_OF_TORCHVISION) if children.issuperset(_OF_TORCHVISION) else []
    if len(names) < 2:
        raise ModelError(
            f"the view '{view}' reads the last two stages of a network, and {type(network).__name__} does not name "
            "them",
            fix="leave --view out, or use a network of timm that offers its layers (feature_info)",
        )
    return names[-2], names[-1]


def matrix_of(values: Tensor, network: nn.Module) -> Tensor:
    """Return a map (B, C, H, W) as (B, C, H W), (B, H, W, C) as (B, H W, C); tokens (B, N, C) stay."""
    if values.ndim == 3:
        return values
    return values.flatten(1, 2) if channels_last(network) else values.flatten(2)


def channels_last(network: nn.Module) -> bool:
    """Say whether maps of a network are (B, H, W, C), as those of Swin in timm are."""
    return getattr(network, "output_fmt", "NCHW") == "NHWC"
