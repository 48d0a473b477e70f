"""Networks of open_clip: names, weights, pictures and both towers, against open_clip itself."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from moodbench.catalog import load_catalog
from moodbench.errors import ModelError, UsageError
from moodbench.models.choice import ModelChoice
from moodbench.models.clip import library
from moodbench.models.clip.library import known
from moodbench.models.clip.text import load_text_tower
from moodbench.models.load import load_model
from moodbench.models.transforms import Transform, build_transform
from moodbench.workspace import ModelName
from tests import clips

CATALOG = load_catalog()
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    clips.known_to_open_clip(folder)
    return clips.checkpoint(folder / "tiny.pt")


def tiny(weights, **changes):
    return load_model(replace(CATALOG.model(f"clip:{clips.ARCHITECTURE}"), **changes), checkpoint=weights)


def picture(width=50, height=70):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def test_features_are_open_clips_image_embeddings(weights):
    from open_clip.transform import PreprocessCfg, image_transform_v2

    backbone = tiny(weights)
    pixels = backbone.transform(picture())
    assert torch.equal(pixels, image_transform_v2(PreprocessCfg(size=32), is_train=False)(picture()))
    features, logits = backbone.forward(pixels[None])
    assert torch.allclose(features, clips.network().encode_image(pixels[None], normalize=True), atol=1e-6)
    assert logits is None
    assert backbone.head is None
    record = backbone.record
    assert (record["clip"], record["dim"], record["image_size"]) == (clips.ARCHITECTURE, 24, 32)
    assert record["weights"] == "file tiny.pt, state_dict, below 'module.'"


@pytest.mark.parametrize(
    ("name", "size", "mode"),
    [
        ("ViT-L-14/laion2b_s32b_b82k", 224, "center"),
        ("ViT-B-16-SigLIP/webli", 224, "squash"),
        ("RN50x4", 288, "center"),
    ],
)
@pytest.mark.parametrize("shape", [(300, 401), (400, 300)])
def test_pictures_are_prepared_as_by_open_clip(name, size, mode, shape):
    from open_clip.transform import PreprocessCfg, image_transform_v2

    one = known(name)
    transform = build_transform("model", one.pictures)
    assert (transform.record["size"], transform.record["crop_mode"]) == (size, mode)
    fields = {key: one.of_tag[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in one.of_tag}
    theirs = image_transform_v2(PreprocessCfg(size=size, **fields), is_train=False)
    assert torch.allclose(transform(picture(*shape)), theirs(picture(*shape)), atol=1e-6)


def test_without_a_tag_pictures_are_those_of_the_published_weights_if_they_agree():
    assert known("ViT-B-16-SigLIP").pictures == known("ViT-B-16-SigLIP/webli").pictures
    assert known("ViT-L-14").pictures["mean"] == known("ViT-L-14/openai").pictures["mean"]  # they differ
    assert known("ViT-L-14/laion2b_s32b_b82k").pictures["mean"] == (0.5, 0.5, 0.5)


def test_the_activation_is_that_of_the_weights(weights):
    """By itself open_clip builds ViT-B-16/openai with another one, and only warns."""
    assert known("ViT-B-16/openai").quick_gelu
    assert not known("ViT-B-16/laion2b_s34b_b88k").quick_gelu
    assert known("ViT-B-16-quickgelu").quick_gelu
    pixels = torch.rand(2, 3, 32, 32)
    plain, quick = tiny(weights), tiny(weights, args={"quick_gelu": True})
    assert quick.record["args"] == {"quick_gelu": True}
    assert (plain.forward(pixels)[0] - quick.forward(pixels)[0]).abs().max() > 1e-3


def test_architectures_and_tags_that_open_clip_does_not_have():
    with pytest.raises(UsageError, match=r"no architecture 'ViT-B-15'\. Did you mean 'ViT-B-1"):
        known("ViT-B-15")
    with pytest.raises(UsageError, match="no weights 'nobody' for it") as error:
        known("ViT-B-16/nobody")
    assert error.value.fix.startswith("its weights: openai, laion400m_e31")


def test_without_weights_or_without_open_clip(weights, monkeypatch):
    with pytest.raises(ModelError, match="says no weights") as error:
        load_model(CATALOG.model(f"clip:{clips.ARCHITECTURE}"))
    assert "--checkpoint FILE" in error.value.fix
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    for checkpoint in (None, weights):
        with pytest.raises(ModelError, match="need the package open_clip_torch") as error:
            ModelChoice("clip:ViT-B-16/openai", checkpoint=checkpoint).check(CATALOG)
        assert "pip install 'moodbench-ood[clip]'" in error.value.fix


def test_weights_that_do_not_fit(weights, tmp_path):
    state = clips.network().state_dict()
    image = {name: tensor for name, tensor in state.items() if name.startswith("visual.")}
    for name, tensors, said in (
        ("image.pt", image, "missing: 18"),
        ("more.pt", {**state, "extra": torch.zeros(1)}, r"unexpected: 1 \(extra\)"),
        ("other.pt", {**state, "text_projection": torch.zeros(2, 2)}, r"text_projection is \(2, 2\) instead of"),
    ):
        torch.save(tensors, tmp_path / name)
        with pytest.raises(ModelError, match=said) as error:
            tiny(tmp_path / name)
        assert error.value.file == tmp_path / name


def test_another_size_of_pictures_resamples_positions(weights):
    backbone = tiny(weights, image={"size": 64})
    assert backbone.forward(torch.rand(1, 3, 64, 64))[0].shape == (1, 24)
    assert backbone.record["positions"] == "bicubic, by open_clip"
    assert backbone.transform.record["size"] == 64


def test_recipes_and_formats_are_of_timm(weights):
    with pytest.raises(ModelError, match="image embeddings, not 'cls_mean'"):
        tiny(weights, features="cls_mean")
    with pytest.raises(UsageError, match="a network of open_clip"):
        load_model(CATALOG.model(f"clip:{clips.ARCHITECTURE}"), checkpoint=weights, format="timm")


def test_a_classifier_in_a_file_of_its_own(weights, tmp_path):
    torch.save({"weight": torch.rand(3, 24), "bias": torch.zeros(3)}, tmp_path / "head.pt")
    choice = ModelChoice(f"clip:{clips.ARCHITECTURE}", checkpoint=weights, head_file=tmp_path / "head.pt")
    name, backbone = choice.build(CATALOG, "fp32")
    assert name == ModelName(f"clip:{clips.ARCHITECTURE}")
    assert backbone.forward(torch.rand(2, 3, 32, 32))[1].shape == (2, 3)
    torch.save({"weight": torch.rand(3, 25), "bias": torch.zeros(3)}, tmp_path / "head.pt")
    with pytest.raises(ModelError, match="embeddings of 'clip:moodbench-tiny' are 24 wide"):
        choice.build(CATALOG, "fp32")


def test_texts_are_embedded_as_by_open_clip(weights):
    import open_clip

    spec = CATALOG.model(f"clip:{clips.ARCHITECTURE}")
    tower = load_text_tower(spec, CPU, checkpoint=weights)
    texts = [f"a photo of a {word}" for word in ("cat", "dog", "tench")] * 100  # of more than a batch
    network = clips.network()
    tokens = open_clip.get_tokenizer(clips.ARCHITECTURE)(texts[:3])
    with torch.no_grad():
        theirs = network.encode_text(tokens, normalize=True)
    ours = tower.embed(texts)
    assert torch.allclose(ours[:3], theirs, atol=1e-6)
    assert torch.allclose(ours[297:], theirs, atol=1e-6)
    assert tower.scale == pytest.approx(float(np.exp(3.9)), rel=1e-6)
    assert tower.bias == 0
    assert tower.image_sha256 == tiny(weights).record["weights_sha256"]
    assert tower.text_sha256 != tower.image_sha256


def test_networks_of_timm_have_no_text_tower():
    with pytest.raises(ModelError, match="'timm:resnet18' has no text tower"):
        load_text_tower(CATALOG.model("timm:resnet18"), CPU)


def test_open_clip_logs_nothing_and_leaves_the_root_logger_alone(weights, capfd):
    before = list(logging.root.handlers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny(weights)
    assert logging.root.handlers == before
    assert capfd.readouterr().err == ""


def test_entries_of_the_catalogue_are_open_clips():
    for spec in CATALOG.models.values():
        if spec.clip is not None:
            one = known(spec.clip)
            assert one.hub == (spec.hub, library.WEIGHT_FILES), spec.name
            assert spec.timm == ""
            assert spec.text_supervision
            assert spec.head.kind == "none"
            assert spec.architecture == spec.clip


def test_the_parameters_of_an_entry_are_those_of_the_image_tower():
    import open_clip

    for name in ("clip_b32", "openclip_b16"):
        spec = CATALOG.model(name)
        with torch.device("meta"), library.quiet():
            tower = open_clip.create_model(spec.clip.partition("/")[0], device="meta").visual
        assert sum(p.numel() for p in tower.parameters()) / 1e6 == pytest.approx(spec.params, abs=0.006)


def test_the_transform_is_a_record(weights):
    backbone = tiny(weights, transform="moodv2")
    assert isinstance(backbone.transform, Transform)
    assert backbone.transform.record["mean"] == [0.5, 0.5, 0.5]


def test_the_tower_of_captioners_returns_its_tokens_too():
    from moodbench.models.clip.image import Embeddings

    class Tower(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1), images

    assert torch.linalg.vector_norm(Embeddings()(Tower(), torch.rand(2, 3, 4, 4)), dim=1).tolist() == pytest.approx(
        [1, 1]
    )


@pytest.fixture
def published(weights, monkeypatch):
    """A tag of the architecture whose weights lie at the hub, prepared otherwise than open_clip does by default."""
    import open_clip.pretrained

    tag = {"hf_hub": "me/tiny/", "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic"}
    tags = {"mine": {**tag, "resize_mode": "squash", "quick_gelu": True}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, clips.ARCHITECTURE, tags)
    return CATALOG.model(f"clip:{clips.ARCHITECTURE}/mine")


def test_weights_of_a_tag_come_from_the_hub_cache(published, monkeypatch, tmp_path):
    from huggingface_hub import constants
    from safetensors.torch import save_file

    from moodbench.models import hub
    from moodbench.models.weights import is_complete

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "reachable", lambda url: False)
    with pytest.raises(ModelError, match="does not answer") as error:
        load_model(published)
    assert "--checkpoint FILE" in error.value.fix
    assert not is_complete(published)
    folder = tmp_path / "models--me--tiny"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    state = {name: tensor.contiguous().clone() for name, tensor in clips.network().state_dict().items()}
    save_file(state, folder / "snapshots" / "abc" / "open_clip_model.safetensors")
    monkeypatch.setattr(hub, "reachable", lambda url: pytest.fail("the network was asked"))
    assert is_complete(published)
    backbone = load_model(published)
    assert backbone.record["weights"] == "hub me/tiny"
    assert backbone.record["args"] == {"quick_gelu": True}
    assert backbone.transform.record["crop_mode"] == "squash"
    pixels = torch.rand(2, 3, 32, 32)
    theirs = clips.network(force_quick_gelu=True).encode_image(pixels, normalize=True)
    assert torch.allclose(backbone.forward(pixels)[0], theirs, atol=1e-6)


def test_a_file_in_the_place_of_a_tags_weights_is_prepared_as_the_tag_says(published, weights):
    backbone = load_model(published, checkpoint=weights)
    assert backbone.transform.record["mean"] == [0.5, 0.5, 0.5]
    assert backbone.record["weights"].startswith("file tiny.pt")


def test_a_network_with_a_trunk_of_timm_and_a_logit_bias(tmp_path):
    import json

    import open_clip

    config = {
        "embed_dim": 64,
        "init_logit_bias": -3,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "none"},
        "text_cfg": {**clips.CONFIG["text_cfg"], "pool_type": "last"},
    }
    (tmp_path / "moodbench-sigmoid.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "moodbench-sigmoid.json")
    with library.quiet():
        network = open_clip.create_model("moodbench-sigmoid").eval()
    torch.save(network.state_dict(), tmp_path / "w.pt")
    spec = CATALOG.model("clip:moodbench-sigmoid")
    pixels = torch.rand(2, 3, 32, 32)
    features, _ = load_model(spec, checkpoint=tmp_path / "w.pt").forward(pixels)
    assert torch.allclose(features, network.encode_image(pixels, normalize=True), atol=1e-6)
    tower = load_text_tower(spec, CPU, checkpoint=tmp_path / "w.pt")
    assert tower.bias == -3
    texts = ["a cat", "a dog"]
    with torch.no_grad():
        logits, _ = network.get_logits(pixels, open_clip.get_tokenizer("moodbench-sigmoid")(texts))
    from moodbench.texts.encode import as_head

    head = as_head(tower, tower.embed(texts), None)
    assert torch.allclose(features @ torch.from_numpy(head.weight).T + torch.from_numpy(head.bias), logits, atol=1e-5)
