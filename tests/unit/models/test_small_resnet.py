"""ResNet-18 for small pictures: equal to its definition layer by layer, and read from files as OpenOOD writes them."""

from __future__ import annotations

import pytest
import timm
import torch
from torch.nn import functional

from moodbench.catalog import ModelSpec, load_catalog
from moodbench.errors import ModelError
from moodbench.models.load import load_model
from moodbench.models.weights import check_obtainable, fetch_weights

WIDTHS = (64, 128, 256, 512)


def published(classes, seed=0):
    """Return the tensors of a network of random numbers under the names that OpenOOD gives them."""
    draw = torch.Generator().manual_seed(seed)
    state = {}

    def convolution(name, out, inside, size):
        state[f"{name}.weight"] = torch.randn(out, inside, size, size, generator=draw) / (inside * size * size) ** 0.5

    def norm(name, width):
        state[f"{name}.weight"] = 0.5 + torch.rand(width, generator=draw)
        state[f"{name}.bias"] = torch.randn(width, generator=draw)
        state[f"{name}.running_mean"] = torch.randn(width, generator=draw)
        state[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=draw)
        state[f"{name}.num_batches_tracked"] = torch.tensor(9)

    convolution("conv1", 64, 3, 3)
    norm("bn1", 64)
    inside = 64
    for stage, width in enumerate(WIDTHS, 1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            convolution(f"{name}.conv1", width, inside, 3)
            norm(f"{name}.bn1", width)
            convolution(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if inside != width:
                convolution(f"{name}.shortcut.0", width, inside, 1)
                norm(f"{name}.shortcut.1", width)
            inside = width
    state["fc.weight"] = torch.randn(classes, 512, generator=draw)
    state["fc.bias"] = torch.randn(classes, generator=draw)
    return state


def defined(state, x):
    """Return features (N, 512) and logits (N, C) as the paper's ResNet has them, with a stem of 3 × 3."""

    def norm(name, x):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return functional.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"])

    x = norm("bn1", functional.conv2d(x, state["conv1.weight"], padding=1)).relu()
    for stage in range(1, 5):
        for block in range(2):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = norm(f"{name}.bn1", functional.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1))
            y = norm(f"{name}.bn2", functional.conv2d(y.relu(), state[f"{name}.conv2.weight"], padding=1))
            around = state.get(f"{name}.shortcut.0.weight")
            if around is not None:
                x = norm(f"{name}.shortcut.1", functional.conv2d(x, around, stride=stride))
            x = (x + y).relu()
    features = x.mean((2, 3))
    return features, features @ state["fc.weight"].T + state["fc.bias"]


@pytest.mark.parametrize("classes", [10, 100])
def test_a_file_of_openood_is_the_network_that_it_was_trained_as(tmp_path, classes):
    state = published(classes)
    torch.save(state, tmp_path / "best.ckpt")
    name = f"openood_cifar{classes}_s1"
    backbone = load_model(load_catalog(()).models[name], checkpoint=tmp_path / "best.ckpt")
    x = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = backbone.forward(x)
    for made, wanted in zip(found, defined(state, x), strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-3)
    assert backbone.record["format"] == "openood"
    assert (backbone.transform.record["size"], backbone.transform.record["resize"]) == (32, 32)


def test_what_timm_says_of_it():
    network = timm.create_model("resnet18_32x32")
    assert [one["reduction"] for one in network.feature_info] == [1, 1, 2, 4, 8]
    maps = network.forward_intermediates(torch.zeros(1, 3, 32, 32), intermediates_only=True)
    assert [one.shape[-1] for one in maps] == [32, 32, 16, 8, 4]
    assert sum(p.numel() for p in network.parameters()) == 11_173_962


def test_in_another_network_it_is_refused_with_its_name(tmp_path):
    torch.save(published(10), tmp_path / "best.ckpt")
    with pytest.raises(ModelError, match=r"conv1.weight is \(64, 3, 3, 3\)") as caught:
        load_model(ModelSpec("m", "M", "classification", timm="resnet18"), checkpoint=tmp_path / "best.ckpt")
    assert "timm:resnet18_32x32" in caught.value.fix


@pytest.mark.parametrize("ask", [check_obtainable, fetch_weights, load_model])
@pytest.mark.parametrize("name", ["openood_cifar10_s0", "openood_imagenet200_s2"])
def test_what_a_person_has_to_fetch_is_said(ask, name):
    spec = load_catalog(()).models[name]
    with pytest.raises(ModelError, match="no program can fetch the weights") as caught:
        ask(spec)
    assert "Google Drive" in caught.value.fix
    assert f"/s{name[-1]}/best.ckpt; then name it with --checkpoint FILE" in caught.value.fix


def test_runs_belong_together():
    groups = {}
    for spec in load_catalog(()).models.values():
        if spec.runs:
            groups.setdefault(spec.runs, []).append(spec.name)
    assert groups == {
        f"openood_{data}": [f"openood_{data}_s{run}" for run in range(3)]
        for data in ("cifar10", "cifar100", "imagenet200")
    }
