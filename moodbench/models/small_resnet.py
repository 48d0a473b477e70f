"""ResNet-18 for pictures of 32 pixels, which timm lacks: registered with timm as ``resnet18_32x32``.

The stem is one convolution of 3 × 3 without stride, and no pooling follows it; all behind it is timm's ResNet-18.
This module is imported wherever timm is asked for architectures by name.

References
----------
He et al., Deep Residual Learning for Image Recognition, CVPR 2016, in the form that OpenOOD (arXiv 2306.09301) calls
``ResNet18_32x32``; `moodbench.models.formats.openood` reads its weights.
"""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

__all__ = ["resnet18_32x32"]  # timm lists by it what a module registers

default_cfgs = generate_default_cfgs(
    {
        "resnet18_32x32.untrained": {
            "url": "",
            "num_classes": 10,
            "input_size": (3, 32, 32),
            "pool_size": (4, 4),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "mean": (0.4914, 0.4822, 0.4465),
            "std": (0.2470, 0.2435, 0.2616),
            "first_conv": "conv1",
            "classifier": "fc",
        }
    }
)
"""Mean and standard deviation are those of CIFAR-10."""


class SmallResNet(ResNet):
    """timm's ResNet with a stem that keeps all pixels: four times as many as there are behind the usual one."""

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        net: Any = self  # of timm's types nothing is promised
        net.conv1 = nn.Conv2d(net.conv1.in_channels, net.conv1.out_channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
        # the stem had 2, and the stages from 4 on
        net.feature_info = [{**one, "reduction": max(1, one["reduction"] // 4)} for one in net.feature_info]


@register_model
def resnet18_32x32(pretrained: bool = False, **args: Any) -> SmallResNet:
    """Return the network, with random weights: nobody publishes any through timm."""
    made = {"block": BasicBlock, "layers": (2, 2, 2, 2), **args}
    network: SmallResNet = build_model_with_cfg(SmallResNet, "resnet18_32x32", pretrained, **made)
    return network
