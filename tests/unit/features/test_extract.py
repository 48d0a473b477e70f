"""Images → cache: what is stored and noted, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import moodbench
from moodbench.commands.extract import extract
from moodbench.datasets.images import folder_images
from moodbench.errors import DataError, ModelError, UsageError
from moodbench.features.cache import DONE, FeatureCache
from moodbench.features.heads import read_head
from moodbench.features.network import Network
from moodbench.workspace import ModelName
from tests.extracting import arrays, run

TINY = ModelName.parse("tiny")


def test_stores_what_the_network_gives(space, pictures):
    (done,) = run(space)
    source = folder_images(pictures / "train")
    stored = arrays(done.file)
    head = read_head(space.head_file(TINY))
    assert (done.rows, done.undecodable, done.begun_at) == (42, (), 0)
    assert [i.decode() for i in stored["ids"]] == list(source.ids)
    np.testing.assert_array_equal(stored["labels"], np.repeat([0, 1, 2], 14))
    assert stored["classes"].tolist() == [b"amber", b"blue", b"green"]
    assert (stored["status"] == DONE).all()
    np.testing.assert_allclose(stored["logits"], stored["features"] @ head.weight.T + head.bias, rtol=1e-4, atol=1e-5)
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    pixels = torch.stack([backbone.transform(source.load(i)) for i in (0, 20)])
    features, logits = backbone.forward(pixels)
    np.testing.assert_allclose(stored["features"][[0, 20]], features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored["logits"][[0, 20]], logits, rtol=1e-4, atol=1e-5)


def test_provenance_tells_what_was_done(space):
    (done,) = run(space)
    with FeatureCache(done.file) as cache:
        p = cache.provenance
    assert len(p["model"]["weights_sha256"]) == 64
    assert p["model"]["timm"] == "test_vit"
    assert p["transform"]["size"] == 32
    assert p["precision"] == "fp32"
    assert p["images"]["count"] == 42
    assert {"moodbench", "torch", "timm", "numpy"} <= set(p["versions"])
    assert str(space.cache_dir.parent) not in json.dumps(p)  # no path of this machine


def test_a_complete_cache_is_skipped(space, monkeypatch):
    run(space)
    monkeypatch.setattr(Network, "__call__", lambda *_: pytest.fail("computed again"))
    lines = []
    (done,) = run(space, report=lines.append)
    assert done.already
    assert lines == ["skip tiny on tiny_train: complete (42 images)"]


def test_settings_make_variants(space):
    files = [run(space, **o)[0].file.parent.name for o in ({}, {"transform": "moodv2"}, {"precision": "bf16"})]
    assert files == ["tiny", "tiny@moodv2", "tiny@bf16"]


def test_a_trial_is_marked_and_spread_over_the_dataset(space):
    (done,) = run(space, limit=6)
    with FeatureCache(done.file) as cache:
        assert cache.provenance["limit"] == 6
        assert cache.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_half_precision_keeps_the_invariant(space):
    (full,), (half,) = run(space), run(space, precision="bf16")
    head = read_head(space.head_file(TINY))
    stored = arrays(half.file)
    np.testing.assert_allclose(stored["logits"], stored["features"] @ head.weight.T + head.bias, rtol=1e-4, atol=1e-5)
    difference = np.abs(stored["features"] - arrays(full.file)["features"]).max()
    assert 0 < difference < 0.1


class Twisted(nn.Module):
    """A classifier whose logits are not linear in its features."""

    def __init__(self) -> None:
        super().__init__()
        self.num_classes = 3
        self.fc = nn.Linear(4, 3)

    def forward_features(self, x):
        return x.mean(dim=(2, 3)) @ torch.ones(3, 4)

    def forward_head(self, x, pre_logits=False):
        return x if pre_logits else self.fc(x).sin()

    def get_classifier(self):
        return self.fc


def test_a_head_that_is_not_linear_is_refused(space, pictures):
    backbone = moodbench.Backbone.from_module(
        Twisted(),
        moodbench.build_transform(
            "moodv2", {"input_size": (3, 32, 32), "mean": (0,) * 3, "std": (1,) * 3, "crop_pct": 1}
        ),
    )
    with pytest.raises(ModelError, match="not features @ weight") as error:
        extract(backbone, name="twisted", dataset=["mine"], images=pictures / "ood", workspace=space)
    assert "--no-head" in str(error.value)
    assert space.cached_models() == []


def test_any_module_works_from_python(space, pictures):
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 10), nn.ReLU(), nn.Linear(10, 3))
    transform = moodbench.build_transform("moodv2", {"input_size": (3, 32, 32)}, 32)
    backbone = moodbench.Backbone.from_module(network, transform, name="mlp")
    (done,) = extract(backbone, name="mlp", dataset=["mine"], images=pictures / "ood", workspace=space)
    stored = arrays(done.file)
    assert stored["features"].shape == (11, 10)
    np.testing.assert_allclose(
        stored["logits"], stored["features"] @ network[4].weight.detach().numpy().T + network[4].bias.detach().numpy(),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_without_head_there_are_no_logits(space):
    (done,) = run(space, with_head=False, variant="bare")
    assert "logits" not in arrays(done.file)
    assert not space.head_file(ModelName.parse("tiny@bare")).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"limit": 0},
        {"workers": -1},
        {"max_pixels": 0},
        {"device": "gpu"},
        {"device": "cuda:99"},
        {"dataset": ["a/b"]},
        {"precision": "fp8"},
        {"on_error": "ignore"},
        {"head_file": "head.npz", "with_head": False},
    ],
)
def test_senseless_options_are_usage_errors(space, options, pictures):
    with pytest.raises(UsageError):
        run(space, images=pictures / "ood", **options)


def test_nothing_on_this_disk_is_an_error_that_says_what_to_do(space, tmp_path, monkeypatch):
    monkeypatch.setattr("moodbench.datasets.chosen.is_on_disk", lambda *_: False)
    with pytest.raises(DataError, match="none of the catalogue's datasets is on this disk"):
        extract("tiny", workspace=space)


def test_a_wrong_number_of_images_is_noted(space, catalog):
    catalog.write_text(catalog.read_text().replace("title: Tiny train", "images: 50\n    title: Tiny train"))
    lines = []
    run(space, report=lines.append)
    assert lines[0] == "note: tiny_train has 42 images here, the catalogue expects 50"
