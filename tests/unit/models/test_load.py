"""Loading backbones: strictly, from any of their sources, under names that are known."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from moodbench.catalog import HeadSpec, load_catalog
from moodbench.errors import ModelError, UnknownNameError, UsageError
from moodbench.models import hub
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.load import load_model
from tests.backbones import SPEC, assert_identity

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
