"""Files that cannot be used as they are: what the message says of them, and its advice, run as it stands."""

from __future__ import annotations

import copy
import pickle
import re
import sys
import textwrap
import types
from collections import OrderedDict

import h5py
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from moodbench.catalog import ModelSpec
from moodbench.errors import ModelError
from moodbench.models.checkpoint import read_checkpoint, weights_sha256
from moodbench.models.load import load_model

SPEC = ModelSpec("mine", "Mine", "unspecified", timm="test_vit")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=7).eval()


@pytest.fixture
def pictures(tmp_path):
    for number in range(2):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), (90 * number, 9, 9)).save(tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


def refused(file):
    with pytest.raises(ModelError) as caught:
        load_model(SPEC, checkpoint=file)
    assert caught.value.file == file
    return caught.value


def advised(error):
    """The pieces of code in an advice: indented lines that follow one another."""
    return [textwrap.dedent(piece) for piece in re.findall(r"(?:^  .*\n?)+", error.fix, re.MULTILINE)]


def rewritten(error, tmp_path):
    """The model loaded from the file that the first piece writes."""
    exec(advised(error)[0], {"FILE": error.file, "NEW": tmp_path / "new.pth"})
    return load_model(SPEC, checkpoint=tmp_path / "new.pth").record["weights_sha256"]


def extracted(error, side, tmp_path, pictures, monkeypatch, **more):
    """Features and logits that the last piece extracts."""
    monkeypatch.chdir(tmp_path)
    names = {"FILE": error.file, "SIDE": side, "MEAN": (0.4, 0.5, 0.6), "STD": (0.2, 0.2, 0.2)}
    exec(advised(error)[-1], {**names, "NAME": "theirs", "FOLDER": pictures, **more})
    (file,) = tmp_path.rglob("theirs/theirs.h5")
    with h5py.File(file) as h5:
        return h5["features"][:], (h5["logits"][:] if "logits" in h5 else None)


# -- what has to be written anew ----------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", [True, False])
def test_a_whole_network(tmp_path, network, archive, pictures, monkeypatch):
    torch.save(network, tmp_path / "x.pth", _use_new_zipfile_serialization=archive)
    error = refused(tmp_path / "x.pth")
    assert "a whole network, of the class timm.models.vision_transformer.VisionTransformer" in error.what
    assert rewritten(error, tmp_path) == weights_sha256(network)
    features, logits = extracted(error, 160, tmp_path, pictures, monkeypatch)
    assert (features.shape, logits.shape) == ((2, 64), (2, 7))


@pytest.mark.parametrize("key", ["model", "net"])
def test_a_whole_network_in_a_dict(tmp_path, network, key):
    torch.save({"epoch": 3, key: nn.DataParallel(network)}, tmp_path / "x.pth")
    error = refused(tmp_path / "x.pth")
    assert f"a whole network under '{key}', of the class torch.nn.parallel.data_parallel.DataParallel" in error.what
    assert rewritten(error, tmp_path) == weights_sha256(network)


def test_a_whole_network_in_a_dict_in_an_old_file(tmp_path, network):
    torch.save({"epoch": 3, "model": network}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    error = refused(tmp_path / "x.pth")
    assert "a whole network" in error.what
    assert rewritten(error, tmp_path) == weights_sha256(network)


class Foreign:
    """What a training script left."""


@pytest.mark.parametrize("nest", [lambda s: {"state_dict": s}, lambda s: {"run": {"net": s}}, lambda s: s])
def test_objects_beside_the_tensors(tmp_path, network, nest):
    torch.save({**nest(network.state_dict()), "config": Foreign()}, tmp_path / "x.pth")
    error = refused(tmp_path / "x.pth")
    assert "Python objects other than tensors" in error.what
    assert "Foreign" in error.what
    assert rewritten(error, tmp_path) == weights_sha256(network)


def test_objects_beside_two_networks(tmp_path, network):
    state = network.state_dict()
    other = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"model": other, "model_ema": state, "config": Foreign()}, tmp_path / "x.pth")
    error = refused(tmp_path / "x.pth")
    exec(advised(error)[0], {"FILE": error.file, "NEW": tmp_path / "new.pth"})
    chosen = load_model(SPEC, checkpoint=tmp_path / "new.pth", checkpoint_key="model_ema")
    assert chosen.record["weights_sha256"] == weights_sha256(network)


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("archive", [True, False])
def test_another_protocol(tmp_path, network, protocol, archive):
    content = {"model": network.state_dict()}
    torch.save(content, tmp_path / "x.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
    error = refused(tmp_path / "x.pth")
    assert f"protocol {protocol}" in error.what
    assert rewritten(error, tmp_path) == weights_sha256(network)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("arrays", [True, False])
def test_a_pickle_that_torch_did_not_write(tmp_path, network, arrays, nested):
    state = {name: tensor.numpy() if arrays else tensor for name, tensor in network.state_dict().items()}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"model": state} if nested else state, 4))
    error = refused(tmp_path / "x.pkl")
    assert "protocol 4" in error.what
    assert rewritten(error, tmp_path) == weights_sha256(network)


@pytest.mark.filterwarnings("ignore")  # torch calls it old, and warns of what tracing fixes
def test_a_program(tmp_path, network, pictures, monkeypatch):
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 160, 160)), tmp_path / "x.pt")
    error = refused(tmp_path / "x.pt")
    assert "TorchScript" in error.what
    assert rewritten(error, tmp_path) == weights_sha256(network)
    features, logits = extracted(error, 160, tmp_path, pictures, monkeypatch)
    assert (features.shape, logits) == ((2, 7), None)


def test_arrays_and_other_frameworks(tmp_path):
    np.savez(tmp_path / "x.npz", **{"Transformer/posembed": np.zeros(3)})
    assert "JAX" in refused(tmp_path / "x.npz").what
    assert refused(tmp_path / "x.npz").fix.split("timm:")[1] in timm.list_pretrained("vit*")
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    assert "Keras" in refused(tmp_path / "x.h5").what


class Trap:
    """Runs something as soon as it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def test_nothing_is_run_to_find_out(tmp_path, network):
    mark = tmp_path / "mark"
    network.trap = Trap(mark)
    try:
        for archive in (True, False):
            torch.save({"model": network}, tmp_path / "x.pth", _use_new_zipfile_serialization=archive)
            with pytest.raises(ModelError):
                read_checkpoint(tmp_path / "x.pth")
            assert not mark.exists()
    finally:
        del network.trap


# -- networks that timm does not have -----------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, padding=1, bias=False)
        self.shortcut = nn.Sequential(nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, images):
        return self.conv1(images).relu() + self.shortcut(images)


class ResNet18_32x32(nn.Module):  # noqa: N801 (OpenOOD's name)
    """A few of the names of OpenOOD's network."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layer1 = nn.Sequential(Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16))
        self.fc = nn.Linear(16, num_classes)

    def forward(self, images):
        return self.fc(self.layer2(self.layer1(self.conv1(images))).mean((2, 3)))


@pytest.mark.parametrize(
    "nest", [lambda s: s, lambda s: {"net": {f"module.{k}": t for k, t in s.items()}, "acc": 71.2}]
)
def test_openoods_own_networks(tmp_path, pictures, monkeypatch, nest):
    torch.manual_seed(0)
    made = ResNet18_32x32(num_classes=6).eval()
    torch.save(nest(made.state_dict()), tmp_path / "best.ckpt")
    with pytest.raises(ModelError) as caught:
        load_model(ModelSpec("m", "M", "classification", timm="resnet18"), checkpoint=tmp_path / "best.ckpt")
    assert "OpenOOD's ResNet18_32x32" in caught.value.fix
    package = types.ModuleType("openood.networks")
    package.ResNet18_32x32 = ResNet18_32x32
    monkeypatch.setitem(sys.modules, "openood", types.ModuleType("openood"))
    monkeypatch.setitem(sys.modules, "openood.networks", package)
    features, logits = extracted(caught.value, 32, tmp_path, pictures, monkeypatch)
    assert (features.shape, logits.shape) == ((2, 16), (2, 6))
    head = made.fc.weight.detach().numpy(), made.fc.bias.detach().numpy()
    np.testing.assert_allclose(features @ head[0].T + head[1], logits, atol=1e-5)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_network_of_ones_own(tmp_path, pictures, monkeypatch, suffix):
    made = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.ReLU(), nn.Linear(5, 4))
    state = {f"model.{name}": tensor for name, tensor in made.state_dict().items()}
    (save_file if suffix == "safetensors" else torch.save)(state, tmp_path / f"x.{suffix}")
    error = refused(tmp_path / f"x.{suffix}")
    again = nn.Sequential(OrderedDict(model=copy.deepcopy(made)))
    nn.init.zeros_(again.model[1].weight)
    features, logits = extracted(error, 8, tmp_path, pictures, monkeypatch, MODULE=again)
    assert (features.shape, logits.shape) == ((2, 5), (2, 4))
    assert torch.equal(again.model[1].weight, made[1].weight)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_layers_beside_a_whole_network(tmp_path, network, suffix):
    """SwAV publishes its ResNet so, with the names of its projection beside the network's."""
    file, new = tmp_path / f"x.{suffix}", tmp_path / f"new.{suffix}"
    state = {f"module.{k}": t for k, t in network.state_dict().items()}
    state |= {"module.projection_head.0.weight": torch.ones(2, 64), "module.prototypes.weight": torch.ones(3, 2)}
    save_file(state, file) if suffix == "safetensors" else torch.save({"net": state}, file)
    error = refused(file)
    assert "unexpected: 2 (projection_head.0.weight, prototypes.weight)" in error.what
    exec(advised(error)[0], {"FILE": file, "NEW": new})
    assert load_model(SPEC, checkpoint=new).record["weights_sha256"] == weights_sha256(network)


def test_a_part_of_one_of_two_networks(tmp_path, network):
    """The key that is advised names the dict and the prefix, and works as it stands."""
    state = {f"net.{k}": t for k, t in network.state_dict().items()} | {"criterion.weight": torch.ones(7)}
    torch.save({"model": state, "ema": {k: t + 1 for k, t in state.items()}}, tmp_path / "x.pth")
    with pytest.raises(ModelError) as caught:
        load_model(SPEC, checkpoint=tmp_path / "x.pth", checkpoint_key="model")
    key = re.search(r"--checkpoint-key (\S+)", caught.value.fix)[1]
    assert key == "model/net."
    taken = load_model(SPEC, checkpoint=tmp_path / "x.pth", checkpoint_key=key)
    assert taken.record["weights_sha256"] == weights_sha256(network)
