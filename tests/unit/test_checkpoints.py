"""Checkpoints as people save and publish them: where in the file the network is, and what the result says of it."""

from __future__ import annotations

import dataclasses
import json

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError, UsageError
from moodbench.models.checkpoint import read_checkpoint, weights_sha256
from moodbench.models.features import read_head
from moodbench.models.load import load_model

SPEC = ModelSpec("mine", "Mine", "unspecified", timm="test_vit")
HEADLESS = {"with_head": False}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = timm.create_model("test_vit", num_classes=7).eval()
    nn.init.normal_(made.head.weight, std=0.05)
    return made


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


@pytest.fixture(scope="module")
def other(state):
    """Another network with the same names."""
    return {name: tensor + 1 for name, tensor in state.items()}


def below(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def load(tmp_path, content, **options):
    torch.save(content, tmp_path / "x.pth")
    return load_model(SPEC, checkpoint=tmp_path / "x.pth", **options)


def refused(tmp_path, content, **options):
    with pytest.raises(ModelError) as caught:
        load(tmp_path, content, **options)
    assert caught.value.file == tmp_path / "x.pth"
    return caught.value


# -- nesting and prefixes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nesting", "prefix", "weights"),
    [
        (["model_state_dict"], "", "file x.pth, model_state_dict"),
        (["net"], "module.", "file x.pth, net, below 'module.'"),
        (["weights", "params"], "", "file x.pth, weights, params"),
        (["state_dict"], "model.", "file x.pth, state_dict, below 'model.'"),  # Lightning
        (["state_dict"], "model._orig_mod.", "file x.pth, state_dict, below 'model.'"),
        (["state_dict"], "module.encoder.", "file x.pth, state_dict, below 'module.encoder.'"),
        ([], "visual.trunk.", "file x.pth, below 'visual.trunk.'"),
        ([], "backbone.model.", "file x.pth, below 'backbone.model.'"),
        ([], "_orig_mod.module.", "file x.pth, below 'module.'"),
        ([], "module._orig_mod.", "file x.pth, below 'module.'"),
        ([], "_fsdp_wrapped_module.", "file x.pth"),
    ],
)
def test_what_lies_around_the_tensors_is_taken_off_and_named(tmp_path, network, state, nesting, prefix, weights):
    content = below(prefix, state)
    for key in reversed(nesting):
        content = {key: content, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
    backbone = load(tmp_path, content)
    assert backbone.record["weights"] == weights
    assert backbone.record["weights_sha256"] == weights_sha256(network)
    assert (backbone.record["adapted"], backbone.record["classes"]) == (False, 7)


def test_the_marks_of_compiled_and_checkpointed_blocks(tmp_path, network, state):
    marked = {
        name.replace("blocks.0.", "blocks.0._orig_mod.").replace("attn.", "attn._checkpoint_wrapped_module."): t
        for name, t in state.items()
    }
    assert set(marked) != set(state)
    assert load(tmp_path, marked).record["weights_sha256"] == weights_sha256(network)
    twice = refused(tmp_path, {**state, **below("_orig_mod.", state)})
    assert "twice" in twice.what


def test_averaged_weights(tmp_path, network):
    """As torch.optim.swa_utils writes them."""
    averaged = torch.optim.swa_utils.AveragedModel(network)
    averaged.update_parameters(network)
    assert "n_averaged" in averaged.state_dict()
    for content in (averaged.state_dict(), {"state_dict": below("ema.", averaged.state_dict())}):
        assert load(tmp_path, content).record["weights_sha256"] == weights_sha256(network)
    alone = refused(tmp_path, {**network.state_dict(), "n_averaged": torch.tensor(3)})  # then it is somebody's
    assert "unexpected: 1 (n_averaged)" in alone.what


def test_a_prefix_before_the_names_of_a_format(tmp_path):
    made = timm.create_model("vit_tiny_patch16_224", depth=1, img_size=32, num_classes=0)
    spec = dataclasses.replace(SPEC, timm="vit_tiny_patch16_224", args={"depth": 1, "img_size": 32})
    decoder = {"decoder_pos_embed": torch.zeros(1, 2), "mask_token": torch.zeros(1, 1, 2)}
    torch.save({"state_dict": below("net.", {**made.state_dict(), **decoder})}, tmp_path / "x.pth")
    backbone = load_model(spec, checkpoint=tmp_path / "x.pth", with_head=False)
    assert (backbone.record["format"], backbone.record["weights"]) == ("mae", "file x.pth, state_dict, below 'net.'")
    assert backbone.record["weights_sha256"] == weights_sha256(made)


def test_another_image_size_below_a_prefix(tmp_path, state):
    backbone = load_model(
        dataclasses.replace(SPEC, args={"img_size": 96}), checkpoint=write(tmp_path, {"net": below("model.", state)})
    )
    assert (backbone.record["adapted"], backbone.image_size) == (True, 96)
    assert backbone.record["positions"] == "bicubic, antialias (timm)"
    assert backbone.record["weights"] == "file x.pth, net, below 'model.'"


def write(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    return tmp_path / "x.pth"


def test_a_tensor_below_a_prefix_that_does_not_fit_is_refused(tmp_path, state):
    lacking = {name: tensor for name, tensor in state.items() if name != "norm.weight"}
    error = refused(tmp_path, {"net": below("model.", lacking)})
    assert "(read as format 'timm', net, below 'model.'): tensors missing: 1 (norm.weight)" in error.what
    more = refused(tmp_path, {"net": below("model.", {**state, "extra.weight": torch.ones(2)})})
    assert "unexpected: 1 (extra.weight)" in more.what


# -- several networks in one file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("model", "model_ema"), ("state_dict", "state_dict_ema"), ("encoder", "target")])
def test_between_two_networks_nothing_is_guessed(tmp_path, network, state, other, names):
    first, second = names
    content = {first: other, second: state, "optimizer": {"a.b": torch.ones(3)}, "epoch": 1}
    error = refused(tmp_path, content)
    count = len(state)
    assert f"2 dicts of tensors: '{first}' ({count} tensors) and '{second}' ({count} tensors)" in error.what
    assert f"--checkpoint-key {first} " in error.fix
    assert f"checkpoint_key: {first}" in error.fix
    chosen = load(tmp_path, content, checkpoint_key=second)
    assert chosen.record["weights"] == f"file x.pth, {second}"
    assert chosen.record["weights_sha256"] == weights_sha256(network)
    of_entry = dataclasses.replace(SPEC, checkpoint=tmp_path / "x.pth", checkpoint_key=second)
    assert load_model(of_entry).record["weights_sha256"] == weights_sha256(network)
    wrong = refused(tmp_path, content, checkpoint_key="ema2")
    assert f"no part 'ema2': it holds '{first}'" in wrong.what


def test_keys_of_nested_dicts_and_of_the_top(tmp_path, network, state, other):
    content = {"run": {"model": other, "averaged": state}, "swa": {"model": dict(other)}}
    for key in ("averaged", "run/averaged"):
        assert load(tmp_path, content, checkpoint_key=key).record["weights"] == "file x.pth, run, averaged"
    error = refused(tmp_path, content, checkpoint_key="model")
    assert "more than one part: 'run/model'" in error.what
    assert "run/model" in error.fix
    assert load(tmp_path, content, checkpoint_key="swa/model").record["weights"] == "file x.pth, swa, model"
    mixed = {**state, "ema": other}
    assert "2 dicts of tensors: '.' (" in refused(tmp_path, mixed).what
    assert load(tmp_path, mixed, checkpoint_key=".").record["weights_sha256"] == weights_sha256(network)


def test_the_teacher_is_what_was_to_be_trained(tmp_path, network, state, other):
    for content in (
        {"student": below("module.", other), "teacher": state},
        {"model": {"teacher": state, "student": other}},
    ):
        assert load(tmp_path, content).record["weights_sha256"] == weights_sha256(network)
    student = load(tmp_path, {"student": state, "teacher": other}, checkpoint_key="student")
    assert student.record["weights"] == "file x.pth, student"


def test_a_key_without_a_file(tmp_path):
    with pytest.raises(UsageError, match="--checkpoint"):
        load_model(SPEC, checkpoint_key="model")


def test_a_head_among_others(tmp_path):
    head = {"weight": torch.ones(3, 4), "bias": torch.zeros(3)}
    torch.save({"a": head, "b": head | {"bias": torch.ones(3)}}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match="2 dicts of tensors") as caught:
        read_head(tmp_path / "x.pth")
    assert "--checkpoint-key" not in caught.value.fix  # which is not for heads
    code = caught.value.fix.partition("\n")[2].strip()
    exec(code, {"torch": torch, "FILE": tmp_path / "x.pth", "NEW": tmp_path / "new.pth"})
    assert read_head(tmp_path / "new.pth").bias.tolist() == [0, 0, 0]


# -- a network beside something else ------------------------------------------------------------------------------

PROJECTION = {"head.mlp.0.weight": torch.ones(4, 64), "head.last_layer.weight_v": torch.ones(9, 4)}
QUEUE = {"queue": torch.ones(4, 9), "queue_ptr": torch.zeros(1, dtype=torch.int64)}


def test_what_is_left_over_is_named_with_what_takes_the_rest(tmp_path, state):
    content = {"state_dict": {**below("net.", state), "criterion.weight": torch.ones(7), "queue": torch.ones(2, 2)}}
    error = refused(tmp_path, content)
    assert "2 others would be left out (criterion.weight, queue)" in error.fix
    assert "--checkpoint-key net. (in an entry: checkpoint_key: net.)" in error.fix
    for key in ("net.", "net", "state_dict/net."):
        taken = load(tmp_path, content, checkpoint_key=key)
        assert taken.record["weights"] == "file x.pth, state_dict, below 'net.' (2 others left out)"
        assert taken.record["classes"] == 7


def test_a_backbone_beside_a_classifier_of_its_own(tmp_path, state):
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    content = {**below("module.trunk.", backbone), "module.linear.weight": torch.ones(7, 64)}
    error = refused(tmp_path, content)
    assert "--checkpoint-key trunk. --no-head" in error.fix
    assert "(linear.weight)" in error.fix
    assert "--no-head" not in refused(tmp_path, content, **HEADLESS).fix
    taken = load(tmp_path, content, checkpoint_key="trunk.", **HEADLESS)
    assert taken.record["weights"] == "file x.pth, below 'module.trunk.' (1 other left out)"


def test_two_networks_below_two_prefixes(tmp_path, network, state, other):
    content = {**below("online.", state), **below("target.", other)}
    assert "below 'online.' (or 'target.')" in refused(tmp_path, content).fix
    assert load(tmp_path, content, checkpoint_key="online.").record["weights_sha256"] == weights_sha256(network)


def test_the_training_files_of_moco_give_the_encoder_without_its_projection(tmp_path):
    torch.manual_seed(0)
    made = timm.create_model("resnet18", num_classes=0)
    spec = dataclasses.replace(SPEC, timm="resnet18")
    for projection in ({"fc.weight": torch.ones(8, 512), "fc.bias": torch.ones(8)}, {"fc.0.weight": torch.ones(2, 2)}):
        query = {**made.state_dict(), **projection}
        key = {name: tensor * 2 for name, tensor in query.items()}
        content = {**below("encoder_q.", query), **below("encoder_k.", key), **QUEUE}
        for kept in (content, below("encoder_q.", query)):  # as trained, and as some are published
            file = write(tmp_path, {"arch": "resnet18", "state_dict": below("module.", kept), "optimizer": {}})
            backbone = load_model(spec, checkpoint=file, with_head=False)
            assert backbone.record["format"] == "moco"
            assert backbone.record["weights_sha256"] == weights_sha256(made)
            with pytest.raises(ModelError) as caught:  # a projection is no classifier
                load_model(spec, checkpoint=file)
            assert "--no-head" in caught.value.fix
            with pytest.raises(ModelError, match=r"missing: 2 \(fc\.weight, fc\.bias\)"):
                load_model(spec, checkpoint=file, checkpoint_key="encoder_q.")


def test_the_training_files_of_dino(tmp_path, state):
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    teacher = {**below("backbone.", backbone), **PROJECTION}
    content = {"student": below("module.", teacher), "teacher": teacher, "dino_loss": {"center": torch.ones(1, 9)}}
    for key, weights in ((None, "file x.pth, teacher"), ("student", "file x.pth, student, below 'module.'")):
        taken = load(tmp_path, content, checkpoint_key=key, **HEADLESS)
        assert (taken.record["format"], taken.record["weights"]) == ("dino", weights)
    second = {"teacher": {**below("backbone.", backbone), **below("dino_", PROJECTION)}}  # DINOv2's training
    assert "--checkpoint-key backbone." in refused(tmp_path, second, **HEADLESS).fix
    assert load(tmp_path, second, checkpoint_key="backbone.", **HEADLESS).head is None


# -- shards -------------------------------------------------------------------------------------------------------


def shards(tmp_path, state, suffix):
    names = list(state)
    files = {name: f"w-0000{1 + (name in names[9:])}-of-00002.{suffix}" for name in names}
    for file in set(files.values()):
        part = {name: tensor.clone() for name, tensor in state.items() if files[name] == file}
        (save_file if suffix == "safetensors" else torch.save)(part, tmp_path / file)
    index = tmp_path / f"w.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": files}))
    return index


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards_are_read_by_their_index(tmp_path, network, state, suffix):
    index = shards(tmp_path, below("model.", state), suffix)
    backbone = load_model(SPEC, checkpoint=index)
    assert backbone.record["weights"] == f"file {index.name}, below 'model.'"
    assert backbone.record["weights_sha256"] == weights_sha256(network)


def test_an_index_that_is_wrong(tmp_path, state):
    index = shards(tmp_path, state, "bin")
    good = json.loads(index.read_text())["weight_map"]
    for bad, message in (
        ({**good, "more": "w-00001-of-00002.bin"}, "holds the tensor 'more', which it does not"),
        ({**good, "more": "../w.bin"}, "names the file '../w.bin'"),
        ({**good, "more": "w-00003-of-00003.bin"}, "does not exist"),
        ({**good, "more": 3}, "names the file '3'"),
    ):
        index.write_text(json.dumps({"weight_map": bad}))
        with pytest.raises(ModelError, match=message):
            read_checkpoint(index)
    for text in ("{}", "[", "[1]", '{"weight_map": 3}'):
        index.write_text(text)
        with pytest.raises(ModelError, match="no 'weight_map'"):
            read_checkpoint(index)


def test_one_shard_alone(tmp_path, state):
    index = shards(tmp_path, state, "safetensors")
    with pytest.raises(ModelError) as caught:
        load_model(SPEC, checkpoint=tmp_path / "w-00001-of-00002.safetensors")
    assert f"--checkpoint {index.name}" in caught.value.fix
