"""What is done to pictures: single values over a transform, sizes that reach the network, names for settings."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

import moodbench
from moodbench.catalog import ModelSpec, load_catalog
from moodbench.cli import app
from moodbench.errors import CacheMismatchError, ModelError, UsageError
from moodbench.features.cache import FeatureCache
from moodbench.models.load import load_model
from moodbench.models.transforms import build_transform, image_of, record_of, sized
from moodbench.models.variants import resolve

CONFIG = {"input_size": (3, 64, 64), "crop_pct": 0.9, "crop_mode": "center", "interpolation": "bicubic"}
CONFIG |= {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
VIT = ModelSpec("mine", "Mine", "unspecified", timm="test_vit")
CNN = ModelSpec("mine", "Mine", "unspecified", timm="resnet18")


@pytest.fixture(scope="module")
def builtin():
    return load_catalog()


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).resize((480, 360), Image.Resampling.BICUBIC)


# -- single values ------------------------------------------------------------------------------------------------


def test_single_values_are_what_torchvision_does_with_them(photo):
    from torchvision import transforms as tv

    image = {"size": 48, "crop": 0.75, "crop_mode": "center", "interpolation": "bilinear"}
    image |= {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 4]}
    made = build_transform("model", CONFIG, 64, image=image)
    reference = tv.Compose(
        [tv.Resize(64), tv.CenterCrop(48), tv.ToTensor(), tv.Normalize([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])]
    )
    torch.testing.assert_close(made(photo), reference(photo), rtol=0, atol=1e-6)
    assert made.record == {
        "kind": "model",
        "size": 48,
        "resize": 64,
        "crop_pct": 0.75,
        "crop_mode": "center",
        "interpolation": "bilinear",
        "antialias": True,
        "mean": [0.1, 0.2, 0.3],
        "std": [1.0, 2.0, 4.0],
    }


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
def test_every_crop_mode_gives_the_size(photo, crop_mode):
    made = build_transform("moodv2", CONFIG, image={"crop_mode": crop_mode, "crop": 0.8})
    assert made(photo).shape == (3, 64, 64)
    assert (made.record["kind"], made.record["resize"]) == ("moodv2", 80)


def test_without_single_values_nothing_changes(photo):
    for kind in ("model", "moodv2"):
        assert build_transform(kind, CONFIG, image={}) == build_transform(kind, CONFIG)
    assert record_of(dataclasses.replace(VIT, timm="test_vit.r160_in1k"))["size"] == 160
    assert record_of(dataclasses.replace(VIT, args={"img_size": 96}, transform="moodv2"))["size"] == 96


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"crop": 1.5}, "crop: 1.5, which should be a share"),
        ({"crop": float("nan")}, "crop: nan"),
        ({"size": 0}, "size: 0, which should be a number of pixels"),
        ({"size": True}, "size: True"),
        ({"mean": [0.5, 0.5]}, "three numbers"),
        ({"std": [0.5, 0.0, 0.5]}, "above zero"),
        ({"interpolation": "sinc"}, "one of bilinear, bicubic"),
        ({"crop_mode": "centre"}, "one of center, squash, border"),
        ({"zoom": 2}, "unknown key 'zoom'; known: size, crop,"),
    ],
)
def test_values_that_make_no_sense(image, message):
    with pytest.raises(UsageError, match=message):
        build_transform("model", CONFIG, image=image)


def test_values_of_an_entry_belong_to_its_own_transform():
    spec = dataclasses.replace(VIT, image={"mean": [0.1, 0.2, 0.3], "size": 96})
    assert image_of(spec, "model") == spec.image
    assert image_of(spec, "moodv2") == {"size": 96}


# -- sizes --------------------------------------------------------------------------------------------------------


def test_a_size_reaches_the_network_where_it_must():
    assert sized(dataclasses.replace(VIT, image={"size": 96})).args == {"img_size": 96}
    assert sized(dataclasses.replace(VIT, image={"size": 160})).args == {}  # it is built for that by itself
    assert sized(dataclasses.replace(VIT, image={"size": 64}, args={"img_size": 32})).args == {"img_size": 64}
    assert sized(dataclasses.replace(CNN, image={"size": 96})).args == {}
    assert sized(VIT) == VIT


@pytest.mark.parametrize("name", ["beit_base_patch16_224", "swin_tiny_patch4_window7_224", "vit_base_patch14_dinov2"])
def test_vits_of_all_kinds_are_built_for_a_size(name):
    assert "img_size" in sized(dataclasses.replace(VIT, timm=name, image={"size": 112})).args


def test_the_size_of_an_entry_is_loaded(space):
    spec = dataclasses.replace(space.catalog.model("tiny"), image={"size": 64, "mean": [0.1, 0.2, 0.3]})
    backbone = load_model(spec)
    assert backbone.transform.record["size"] == backbone.image_size == backbone.record["image_size"] == 64
    assert backbone.transform.record["mean"] == [0.1, 0.2, 0.3]
    features, _ = backbone.forward(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, 64)


# -- names for settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "options", "name"),
    [
        ("beit", {}, "beit"),
        ("beit", {"transform": "model"}, "beit"),
        ("beit", {"transform": "moodv2"}, "beit@moodv2"),
        ("beit", {"variant": "moodv2"}, "beit@moodv2"),
        ("beit@moodv2", {"transform": "moodv2"}, "beit@moodv2"),
        ("beit", {"image": {"size": 384}, "precision": "bf16"}, "beit@384-bf16"),
        ("beit", {"image": {"size": 224, "crop": 0.9}}, "beit"),  # that is what it does anyway
        ("beit@moodv2", {"image": {"size": 384}}, "beit@moodv2-384"),
        ("beit@fair", {"transform": "moodv2"}, "beit@fair-moodv2"),
        ("beit@fair-bf16", {"precision": "bf16"}, "beit@fair-bf16"),
        ("beit@mine", {"image": {"size": 384}}, "beit@mine"),
        ("beit", {"image": {"mean": [0.5, 0.5, 0.5]}}, "beit"),
        ("vit", {"image": {"mean": [0.5, 0.5, 0.5]}}, "vit@mean0.5"),
        ("vit", {"image": {"std": [0.1, 0.2, 0.3]}}, "vit@std0.1_0.2_0.3"),
        (
            "vit",
            {"image": {"crop": 1, "crop_mode": "squash", "interpolation": "bilinear"}},
            "vit@crop1-squash-bilinear",
        ),
        ("resnet50_tv2", {"image": {"size": 224, "crop": 0.965}}, "resnet50_tv2@224-crop0.965"),
        ("timm:resnet18.a1_in1k", {"image": {"size": 96}}, "timm:resnet18.a1_in1k@96"),
        ("beit_large", {"transform": "moodv2"}, "beit_large@moodv2"),
        ("beit_large@moodv2", {}, "beit_large@moodv2"),
        ("digits_mim@moodv2", {}, "digits_mim@moodv2"),  # its own
    ],
)
def test_settings_have_a_name_of_their_own(builtin, model, options, name):
    target, spec = resolve(builtin, model, **options)
    assert str(target) == name
    for key, value in options.get("image", {}).items():
        assert spec.image[key] == value


def test_a_declared_variant_brings_its_settings(builtin):
    _, fair = resolve(builtin, "beit@fair", transform="moodv2")
    assert fair.url.endswith("0ca393e9.pth")
    assert (fair.transform, fair.image, fair.labels_seen) == ("moodv2", {}, "none")
    _, squeezed = resolve(builtin, "vit@moodv2", image={"size": 384})
    assert (squeezed.transform, squeezed.args) == ("moodv2", {"img_size": 384})
    assert record_of(squeezed)["mean"] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("model", ["swin", "timm:resnet18.a1_in1k"])
def test_the_name_of_a_transform_is_that_transform_for_every_model(builtin, model):
    for target, spec in (resolve(builtin, f"{model}@moodv2"), resolve(builtin, model, transform="moodv2")):
        assert (str(target), spec.transform) == (f"{model}@moodv2", "moodv2")
        assert record_of(spec)["crop_mode"] == "squash"
    larger, spec = resolve(builtin, f"{model}@moodv2", precision="bf16")
    assert (str(larger), spec.transform) == (f"{model}@moodv2-bf16", "moodv2")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("beit@moodv2", {"transform": "model"}, r"'beit@moodv2' has other settings than those given \(model\)"),
        ("beit", {"variant": "moodv2", "image": {"size": 384}}, r"has other settings than those given \(384\)"),
        ("beit@x", {"variant": "y"}, "name two variants"),
        ("swin@moodv2", {"transform": "model"}, r"'swin@moodv2' has other settings than those given \(model\)"),
        ("swin@fair", {}, "'swin' has no variant 'fair'"),
        ("beit", {"variant": "linear4-bf16"}, "'beit' has no variant 'linear4-bf16'"),
        ("beit+probe", {}, "names a head"),
        ("beit", {"transform": "zoom"}, "no transform 'zoom'"),
        ("beit", {"image": {"crop": 7}}, "crop: 7"),
        ("timm:resnet1", {}, "has no model 'resnet1'"),
    ],
)
def test_contradictions_are_named(builtin, model, options, message):
    with pytest.raises(UsageError, match=message):
        resolve(builtin, model, **options)


def test_settings_do_not_take_the_name_of_a_declared_variant(tmp_path):
    entry = {"title": "A", "pretext": "hybrid", "timm": "test_vit.r160_in1k", "variants": {"96": {"title": "B"}}}
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump({"models": {"a": entry}}))
    with pytest.raises(UsageError, match="'a@96', which the catalogue declares as something else"):
        resolve(load_catalog([file]), "a", image={"size": 96})


# -- extraction ---------------------------------------------------------------------------------------------------


def extract(space, **options):
    (done,) = moodbench.extract(
        options.pop("model", "tiny"), dataset=["tiny_ood"], device="cpu", workers=0, workspace=space, **options
    )
    return done


def test_sizes_and_values_are_recorded_and_kept_apart(space):
    done = extract(space, image={"size": 64, "mean": [0.1, 0.2, 0.3]})
    assert done.file.parent.name == "tiny@64-mean0.1_0.2_0.3"
    with FeatureCache(done.file) as cache:
        provenance = cache.provenance
    assert provenance["transform"]["size"] == provenance["model"]["args"]["img_size"] == 64
    assert provenance["transform"]["mean"] == [0.1, 0.2, 0.3]
    assert extract(space).file.parent.name == "tiny"
    with pytest.raises(CacheMismatchError, match=r"transform\.crop_pct"):
        extract(space, image={"size": 64, "crop": 0.5}, variant="64-mean0.1_0.2_0.3")


def test_declared_variants_are_extracted_with_their_settings(space):
    content = yaml.safe_load(space.catalogs[0].read_text())
    content["models"]["tiny"]["variants"] = {"half": {"image": {"size": 16}}, "bare": {"head": "none"}}
    space.catalogs[0].write_text(yaml.safe_dump(content))
    with FeatureCache(extract(space, model="tiny@half").file) as cache:
        assert cache.provenance["transform"]["size"] == 16
    with FeatureCache(extract(space, model="tiny@bare").file) as cache:
        assert cache.provenance["model"]["classes"] is None


def test_a_size_that_the_network_does_not_take_is_said_before_a_cache_is_begun(space, tmp_path):
    save_file(timm.create_model("test_convnext", num_classes=3).state_dict(), tmp_path / "x.safetensors")
    model = {"title": "C", "pretext": "hybrid", "timm": "test_convnext", "checkpoint": str(tmp_path / "x.safetensors")}
    content = yaml.safe_load(space.catalogs[0].read_text())
    content["models"]["conv"] = model
    space.catalogs[0].write_text(yaml.safe_dump(content))
    with pytest.raises(ModelError, match=r"'conv@2' does not take pictures of 2 × 2 pixels: .*Kernel size"):
        extract(space, model="conv", image={"size": 2})
    assert not list(space.cache_dir.rglob("*.h5"))
    assert extract(space, model="conv", image={"size": 64}).rows == 11


def test_a_network_of_ones_own_brings_its_transform(space):
    backbone = load_model(space.catalog.model("tiny"))
    with pytest.raises(UsageError, match="brings its transform along"):
        extract(space, model=backbone, name="own", image={"size": 64})


def test_the_command_line_takes_them(space, monkeypatch):
    where = ["--cache-dir", str(space.cache_dir), "--catalog", str(space.catalogs[0])]

    def call(*options):
        return CliRunner().invoke(
            app, ["extract", "--model", "tiny", "--dataset", "tiny_ood", "--device", "cpu", *options, *where]
        )

    done = call("--image-size", "48", "--crop", "0.5", "--crop-mode", "squash", "--std", "1,1,1")
    assert (done.exit_code, done.stdout) == (0, "")
    assert (space.cache_dir / "tiny@48-crop0.5-squash-std1" / "tiny_ood.h5").exists()
    for options, message in (
        (["--mean", "0.5,0.5"], "--mean takes three numbers, not '0.5,0.5'"),
        (["--std", "a,b,c"], "--std takes three numbers"),
        (["--std", "1,1,0"], "above zero"),
        (["--crop", "87.5"], "crop: 87.5, which should be a share"),
        (["--interpolation", "sharp"], "--interpolation cannot be 'sharp'"),
        (["--image-size", "-3"], "size: -3"),
    ):
        wrong = call(*options)
        assert (wrong.exit_code, wrong.stdout) == (2, "")
        assert message in wrong.stderr
    assert len(io.StringIO(wrong.stderr).readlines()) < 4
