"""A model entry to load, and what must hold of every backbone with a head."""

from __future__ import annotations

import numpy as np
import torch

from moodbench.catalog import ModelSpec
from moodbench.models.backbone import Backbone

SPEC = ModelSpec("mine", "Mine", "unspecified", timm="test_vit")


def assert_identity(backbone: Backbone, images: torch.Tensor) -> None:
    """Check that features times head plus bias are the logits, and no trifle."""
    features, logits = backbone.forward(images)
    product = features.numpy() @ backbone.head.weight.T + backbone.head.bias
    assert features.shape == (len(images), backbone.head.dim)
    np.testing.assert_allclose(product, logits.numpy(), rtol=1e-4, atol=1e-5)
    assert np.abs(product).max() > 0.1
