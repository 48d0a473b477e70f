"""Random weights, empty caches, and a server that the hub client takes for the hub."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.server import Server, server_fixture  # noqa: F401


@pytest.fixture(scope="module")
def body(tmp_path_factory) -> bytes:
    """Return random weights of test_vit as a safetensors file."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "x.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), file)
    return file.read_bytes()


@pytest.fixture
def digest(body) -> str:
    """The SHA-256 of the weights."""
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(autouse=True)
def caches(monkeypatch, tmp_path) -> Path:
    """Empty caches of torch and the hub, and no proxy."""
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path


@pytest.fixture
def hub_server(server, monkeypatch) -> Server:
    """Return a server that the hub client takes for the hub."""
    from huggingface_hub import constants

    # the client reads its environment when it is imported
    monkeypatch.setattr(constants, "ENDPOINT", server.url(""))
    template = server.url("/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    return server
