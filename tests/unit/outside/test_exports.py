"""Exported networks: features and logits by name, the head found among their arrays, and clear refusals."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from moodbench.catalog import load_catalog
from moodbench.errors import ModelError, UsageError
from moodbench.models.load import load_model

SIDE = 16


class Net(nn.Module):
    """Returns features and logits."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 12, 3, 2)
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        z = self.conv(x).relu().mean((2, 3))
        return z, self.fc(z)


class Named(Net):
    """Returns them by name."""

    def forward(self, x):
        z, logits = super().forward(x)
        return {"features": z, "logits": logits}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    images = torch.randn(2, 3, SIDE, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Net().eval(), images).save(str(folder / "tuple.pt"))
        torch.jit.trace(nn.Sequential(Net(), Second()).eval(), images).save(str(folder / "one.pt"))
        torch.jit.trace(Named().eval(), images, strict=False).save(str(folder / "dict.pt"))
        if pytest.importorskip("onnx") and pytest.importorskip("onnxruntime"):
            more = {"input_names": ["pixels"], "dynamo": False}
            free = {name: {0: "n"} for name in ("pixels", "features", "logits")}
            names = ["features", "logits"]
            torch.onnx.export(Net(), (images,), folder / "free.onnx", output_names=names, dynamic_axes=free, **more)
            torch.onnx.export(Net(), (images,), folder / "two.onnx", output_names=names, **more)
            torch.onnx.export(
                nn.Sequential(Net(), Second()), (images,), folder / "one.onnx", output_names=["logits"], **more
            )
    return folder


class Second(nn.Module):
    """Of two, takes the second."""

    def forward(self, both):
        return both[1]


def opened(name, features="pre_logits", image=None, **options):
    spec = replace(load_catalog().model(name), features=features, image={"size": SIDE} if image is None else image)
    return load_model(replace(spec, transform="moodv2"), **options)


@pytest.mark.parametrize(
    ("kind", "file", "features"),
    [("torchscript", "dict.pt", "pre_logits"), ("torchscript", "tuple.pt", "0"), ("onnx", "free.onnx", "pre_logits")],
)
@pytest.mark.parametrize("count", [1, 5])
def test_features_logits_and_head(files, kind, file, features, count):
    backbone = opened(f"{kind}:{files / file}", features)
    images = torch.randn(count, 3, SIDE, SIDE)
    found, logits = backbone.forward(images)
    with torch.inference_mode():
        wanted, own = Net()(images)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-6)
    np.testing.assert_allclose(logits.numpy(), own.numpy(), atol=1e-6)
    assert np.array_equal(backbone.head.weight, Net().fc.weight.detach().numpy())
    assert len(backbone.record["weights_sha256"]) == 64


def test_a_file_of_fixed_batches_and_size(files):
    backbone = opened(f"onnx:{files / 'two.onnx'}", image={})
    images = torch.randn(5, 3, SIDE, SIDE)
    with torch.inference_mode():
        wanted = Net()(images)[0]
    np.testing.assert_allclose(backbone.forward(images)[0].numpy(), wanted.numpy(), atol=1e-6)
    assert backbone.image_size == SIDE


def test_without_head(files):
    backbone = opened(f"torchscript:{files / 'dict.pt'}", with_head=False)
    assert backbone.head is None


@pytest.mark.parametrize(
    ("name", "options", "error", "why"),
    [
        ("torchscript:tuple.pt", {}, ModelError, "--features 0 or 1"),
        ("torchscript:tuple.pt", {"features": "7"}, UsageError, "has no output '7'"),
        ("torchscript:dict.pt", {"image": {}}, ModelError, "how large its pictures are"),
        ("torchscript:tuple.pt", {"features": "1"}, ModelError, "no matrix in"),
        ("onnx:one.onnx", {}, ModelError, "export it again"),
        (
            "torchscript:one.pt",
            {},
            ModelError,
            "if these are logits: export it again.*; if they are features: --features 0",
        ),
        ("onnx:two.onnx", {"image": {"size": 24}}, ModelError, "does not take pictures of 24"),
        ("onnx:dict.pt", {}, ModelError, "onnxruntime cannot read the file"),
        ("torchscript:two.onnx", {}, ModelError, "cannot read the file as TorchScript"),
        ("onnx:gone.onnx", {}, ModelError, "there is no file"),
    ],
)
def test_what_cannot_be_used_is_said(files, monkeypatch, name, options, error, why):
    monkeypatch.chdir(files)
    with pytest.raises(error, match=why):
        opened(name, **options)


def test_how_pictures_are_prepared_is_not_guessed(files):
    spec = replace(load_catalog().model(f"onnx:{files / 'two.onnx'}"), image={"size": SIDE})
    with pytest.raises(ModelError, match="does not say how its pictures are prepared"):
        load_model(spec)
    said = {"size": SIDE, "mean": [0.5] * 3, "std": [0.25] * 3}
    assert load_model(replace(spec, image=said)).transform.record["std"] == [0.25] * 3
