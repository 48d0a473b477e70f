"""Small random networks of timm, to be renamed as checkpoint formats do."""

from __future__ import annotations

import numpy as np
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


def drawn_network(name: str, **args):
    """Return a network of timm with five classes, whose weights numpy draws: layers keep the size of what they get."""
    network = timm.create_model(name, num_classes=5, **args).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if not tensor.is_floating_point():
                continue
            if tensor.ndim > 1 and "embed" not in key.split(".")[0]:
                values = rng.normal(size=tensor.shape) * np.sqrt(2 / tensor[0].numel())
            elif key.endswith(("weight", "running_var")):
                values = rng.uniform(0.5, 1.5, tensor.shape)
            else:
                values = rng.normal(size=tensor.shape) * 0.2
            tensor.copy_(torch.from_numpy(values))
    return network


def drawn_pictures(count: int, size: int) -> torch.Tensor:
    """Return pictures (count, 3, size, size) float32 of smooth noise, each a little brighter than the one before."""
    coarse = (
        np.random.default_rng(1).normal(size=(count, 3, size // 4, size // 4))
        + np.linspace(0, 1, count)[:, None, None, None]
    )
    return torch.from_numpy(coarse.repeat(4, axis=2).repeat(4, axis=3).astype(np.float32))
