"""Small random networks of timm, to be renamed as checkpoint formats do."""

from __future__ import annotations

import timm
import torch


def random_network(name: str, **args):
    """Return a network of timm in which every floating-point tensor is random."""
    torch.manual_seed(0)
    network = timm.create_model(name, **args).eval()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.normal_()
    return network


SMALL_VIT = {"img_size": 32, "depth": 2, "num_classes": 5}
