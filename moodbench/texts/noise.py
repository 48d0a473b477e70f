"""Noise images: pictures of nothing, which stand for OOD ones before any is known (TANL)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodbench.models.clip.text import TextTower

SEED = 0
"""Of the noise that is drawn for every head."""

EACH = 3
"""Images of each kind."""


def noise_images(height: int, width: int, seed: int = SEED) -> NDArray[np.float32]:
    """Return what a network sees, (15, 3, height, width) float32 between 0 and 1: each channel of each pixel by itself.

    Three each are Gaussian, uniform, Poisson (mean 5), Gamma (shape 2) and black or white; Gaussian, Poisson and Gamma
    ones are stretched to 0 to 1, three together. As in the program of TANL (YBZh/OpenOOD-VLM,
    openood/networks/clip_fixed_ood_prompt.py, where no seed is set).
    """
    rng = np.random.default_rng(seed)
    shape = (EACH, 3, height, width)
    kinds = [
        _stretched(rng.standard_normal(shape)),
        rng.random(shape),
        _stretched(rng.poisson(5.0, shape).astype(np.float64)),
        _stretched(rng.standard_gamma(2.0, shape)),
        (rng.random(shape) >= 0.5).astype(np.float64),
    ]
    return np.concatenate(kinds).astype(np.float32)


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    stretched: NDArray[np.float64] = (values - low) / (high - low)
    return stretched


def noise_features(tower: TextTower) -> Tensor:
    """Return the embeddings of noise images, (15, D) float32 of unit length, on the CPU.

    Values between 0 and 1 go into the network as they are, as in the program: the transform of pictures, with its mean
    and standard deviation, has no part.
    """
    network: Any = tower.network
    size = network.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    with torch.inference_mode():
        images = torch.from_numpy(noise_images(height, width)).to(tower.device)
        return torch.nn.functional.normalize(network.encode_image(images).float(), dim=-1).cpu()
