"""A small network, its checkpoint and images for it, and a hub that does not answer."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn


@pytest.fixture(scope="module")
def network():
    """A small random ViT, its head redrawn: timm's is almost zero and would agree with anything."""
    torch.manual_seed(0)
    made = timm.create_model("test_vit").eval()
    nn.init.normal_(made.head.weight, std=0.05)
    nn.init.normal_(made.head.bias)
    return made


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    """The network's weights in a file."""
    file = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(network.state_dict(), file)
    return file


@pytest.fixture(scope="module")
def images():
    """Three random images of the size that the network wants."""
    return torch.randn(3, 3, 160, 160, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def no_network(monkeypatch, tmp_path, nowhere):
    """An empty hub cache, and a hub that does not answer: a port on this machine where nobody listens."""
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{nowhere}")
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{nowhere}")  # read from the environment at import
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return nowhere
