"""Networks of transformers, built from configurations, saved and loaded back: the same numbers, and clear refusals."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from moodbench.catalog import load_catalog
from moodbench.errors import ModelError, UsageError
from moodbench.models.load import load_model
from moodbench.models.outside.hf_open import quiet
from tests import outside

transformers = pytest.importorskip("transformers")


def pictures(count=3):
    rng = np.random.default_rng(1)
    sizes = [(50, 40), (31, 64), (32, 32)]
    return [Image.fromarray(rng.integers(0, 256, (*sizes[i % 3], 3), dtype=np.uint8)) for i in range(count)]


def opened(folder, **options):
    return load_model(load_catalog().model(f"hf:{folder}"), **options)


def test_a_saved_vit_gives_what_transformers_gives(tmp_path):
    folder = outside.vit(tmp_path / "vit")
    backbone = opened(folder)
    with quiet():
        network = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
    theirs = processor(images=pictures(), return_tensors="pt")["pixel_values"]
    ours = torch.stack([backbone.transform(image) for image in pictures()])
    assert torch.equal(ours, theirs)
    features, logits = backbone.forward(ours)
    with torch.inference_mode():
        whole = network(theirs, output_hidden_states=True)
        token = network.vit.layernorm(whole.hidden_states[-1])[:, 0]
    assert torch.equal(features, token)
    assert torch.equal(logits, whole.logits)
    product = features.numpy() @ backbone.head.weight.T + backbone.head.bias
    np.testing.assert_allclose(product, logits.numpy(), atol=1e-5)
    assert backbone.head.class_names == outside.NAMES


def test_provenance(tmp_path):
    record = opened(outside.vit(tmp_path / "vit")).record
    assert record["weights"] == "folder vit"
    assert record["transformers"] == transformers.__version__
    assert len(record["weights_sha256"]) == 64
    other = opened(outside.vit(tmp_path / "other", num_hidden_layers=2)).record
    assert other["weights_sha256"] != record["weights_sha256"]


def test_the_transform_goes_to_other_processes(tmp_path):
    transform = opened(outside.vit(tmp_path / "vit")).transform
    copy = pickle.loads(pickle.dumps(transform))
    assert copy.record == transform.record == json.loads(json.dumps(transform.record))
    assert copy.record["std"] == [0.2, 0.3, 0.25]
    assert torch.equal(copy(pictures()[0]), transform(pictures()[0]))


def test_moodv2_replaces_the_processor(tmp_path):
    transform = opened(outside.vit(tmp_path / "vit"), transform="moodv2").transform
    assert (transform.record["kind"], transform.record["size"]) == ("moodv2", outside.SIDE)


def test_layers_are_hidden_states(tmp_path):
    from moodbench.models.layers import Taps, choose_layers
    from moodbench.views import LayerChoice

    backbone = opened(outside.vit(tmp_path / "vit"))
    layers = choose_layers(backbone.network, LayerChoice.parse("all"))
    assert [layer.pool for layer in layers] == ["cls"] * 3
    images = torch.randn(2, 3, outside.SIDE, outside.SIDE)
    taps = Taps(backbone.network, layers)
    assert taps.check(images) == [24] * 3
    with torch.inference_mode(), taps.reading() as read:
        states = backbone.network(images, output_hidden_states=True).hidden_states
    for own, state in zip(read, states[1:], strict=True):
        assert torch.equal(own, state[:, 0])


def test_a_network_without_head_gives_the_class_token(tmp_path):
    network = outside.redrawn(transformers.ViTModel(outside.vit_config(), add_pooling_layer=False))
    backbone = opened(outside.saved(tmp_path / "vit", network))
    assert (backbone.head, backbone.record["read"]) == (None, "class token")
    images = torch.randn(2, 3, outside.SIDE, outside.SIDE)
    with torch.inference_mode():
        assert torch.equal(backbone.forward(images)[0], network(images).last_hidden_state[:, 0])


def test_a_masked_autoencoder_sees_whole_pictures(tmp_path):
    config = transformers.ViTMAEConfig(**{**outside.vit_config().to_dict(), "model_type": "vit_mae"})
    network = outside.redrawn(transformers.ViTMAEForPreTraining(config))
    backbone = opened(outside.saved(tmp_path / "mae", network))
    images = torch.randn(2, 3, outside.SIDE, outside.SIDE)
    once, again = backbone.forward(images)[0], backbone.forward(images)[0]
    assert torch.equal(once, again)
    assert backbone.record["read"] == "class token"


def without(folder, *names):
    file = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(file).items() if name not in names}
    save_file(kept, file, {"format": "pt"})


def describe(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "is no JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "names no 'model_type'"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "how its pictures are prepared"),
        (lambda f: (f / "preprocessor_config.json").write_text("{"), "cannot read the image processor"),
        (lambda f: (f / "model.safetensors").unlink(), "it needs one of model.safetensors"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "transformers cannot load"),
        (lambda f: without(f, "classifier.weight"), "missing: 1 (classifier.weight)"),
        (lambda f: describe(f, num_hidden_layers=2), "unexpected: 16"),
        (lambda f: describe(f, hidden_size=48), "transformers cannot load"),
        (lambda f: describe(f, model_type="gone"), "no networks of the type 'gone'"),
        (lambda f: describe(f, model_type="gone", auto_map={}), "no networks of the type"),
        (lambda f: describe(f, model_type="bert", architectures=["BertModel"]), "are not those of a BertModel"),
    ],
)
def test_what_cannot_be_opened_is_said(tmp_path, spoil, why):
    folder = outside.vit(tmp_path / "vit")
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        opened(folder)
    assert why in str(caught.value)


def test_pictures_of_a_processor_cannot_be_changed_one_by_one(tmp_path):
    from dataclasses import replace

    spec = load_catalog().model(f"hf:{outside.vit(tmp_path / 'vit')}")
    with pytest.raises(UsageError, match="prepared by its own transform"):
        load_model(replace(spec, image={"crop": 0.9}))


def test_features_of_other_names_are_refused(tmp_path):
    from dataclasses import replace

    spec = load_catalog().model(f"hf:{outside.vit(tmp_path / 'vit')}")
    with pytest.raises(ModelError, match="leave --features out"):
        load_model(replace(spec, features="cls_mean"))


def test_without_the_extra_there_is_one_message(tmp_path, monkeypatch):
    import importlib.util

    folder = outside.vit(tmp_path / "vit")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "transformers" else find(name))
    with pytest.raises(ModelError, match=r"pip install 'moodbench-ood\[transformers\]'"):
        opened(folder)
