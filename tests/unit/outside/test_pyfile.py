"""Networks that a function of a file returns: what it may return, and what is said of everything else."""

from __future__ import annotations

import re

import pytest
import torch

from moodbench.catalog import load_catalog
from moodbench.digests import file_sha256
from moodbench.errors import ModelError
from moodbench.models.load import load_model

FILE = """
import torch
from torch import nn
from torchvision import transforms as T
import moodbench
from beside import SIDE

PICTURES = T.Compose([T.Resize(SIDE), T.CenterCrop(SIDE), T.ToTensor(), T.Normalize([0.5] * 3, [0.25] * 3)])

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 16, 3, 2)
        self.fc = nn.Linear(16, 3)

    def forward(self, x, return_feature=False):
        z = self.conv(x).relu().mean((2, 3))
        return (self.fc(z), z) if return_feature else self.fc(z)

def build():
    return Net(), PICTURES

def named():
    return Net(), PICTURES, ["cat", "dog", "fox"]

def moodv2():
    return Net(), moodbench.build_transform("moodv2", {"input_size": (3, 16, 16)}), None

def backbone():
    pictures = moodbench.build_transform("moodv2", {"input_size": (3, 16, 16)})
    return moodbench.Backbone.from_module(Net(), pictures, features=lambda net, x: net(x, return_feature=True)[1])

def both():
    net = Net()
    net.forward = lambda x: {"logits": net.fc(net.conv(x).mean((2, 3))), "other": x}
    return net, PICTURES

def rubbish(): return 5
def alone(): return Net()
def no_network(): return "net", PICTURES
def a_class(): return Net, PICTURES
def no_transform(): return Net(), 7
def no_tensor(): return Net(), lambda image: "no"
def sizes(): return Net(), T.Compose([T.Resize(16), T.ToTensor()])
def grey(): return Net(), T.Compose([T.Grayscale(), T.Resize((16, 16)), T.ToTensor()])
def fails(): return 1 / 0
def leaves(): raise SystemExit(3)
def equal(): return Net(), PICTURES, ["x", "x", "y"]
def few(): return Net(), PICTURES, ["x", "y"]
def no_names(): return Net(), PICTURES, "abc"
def maps(): return nn.Conv2d(3, 4, 3), PICTURES
def bent(): return nn.Sequential(Net(), nn.ReLU6()), PICTURES
def chance():
    net = Net()
    net.forward = lambda x: net.fc(torch.rand(len(x), 16))
    return net, PICTURES
def tuples():
    net = Net()
    net.forward = lambda x: (torch.zeros(2, 3), torch.zeros(2, 16))
    return net, PICTURES
def blows():
    net = Net()
    net.forward = lambda x: net.fc(x.flatten(1))
    return net, PICTURES
def flips(): return Net(), T.Compose([T.Resize((16, 16)), T.RandomHorizontalFlip(), T.ToTensor()])
def of_the_batch():
    net = Net()
    net.conv = nn.Sequential(net.conv, nn.BatchNorm2d(16, track_running_stats=False))
    return net, PICTURES
def always_training():
    net = Net()
    net.forward = lambda x: net.fc(nn.functional.batch_norm(net.conv(x), None, None, training=True).mean((2, 3)).relu())
    return net, PICTURES
def chance_in_a_backbone():
    pictures = moodbench.build_transform("moodv2", {"input_size": (3, 16, 16)})
    return moodbench.Backbone.from_module(Net(), pictures, features=lambda net, x: torch.rand(len(x), 16))
NOT_CALLABLE = 3
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("SIDE = 16\n")
    made = tmp_path / "nets.py"
    made.write_text(FILE)
    return made


def opened(file, function, **options):
    return load_model(load_catalog().model(f"module:{file}:{function}"), **options)


def test_the_input_of_the_last_layer_is_found(file):
    backbone = opened(file, "build")
    images = torch.randn(2, 3, 16, 16)
    features, logits = backbone.forward(images)
    with torch.inference_mode():
        own, wanted = backbone.network(images, return_feature=True)
    assert torch.equal(features, wanted)
    assert torch.equal(logits, own)
    assert backbone.record["code_sha256"] == backbone.transform.record["code_sha256"] == file_sha256(file)
    assert backbone.transform.record["std"] == [0.25] * 3
    assert backbone.head.class_names is None


def test_names_of_classes_and_transforms_of_moodbench(file):
    assert opened(file, "named").head.class_names == ("cat", "dog", "fox")
    assert opened(file, "moodv2").transform.record["kind"] == "moodv2"
    assert opened(file, "both").head.classes == 3


def test_a_backbone_reads_its_features_itself(file):
    backbone = opened(file, "backbone")
    assert backbone.head is None
    assert backbone.forward(torch.randn(2, 3, 16, 16))[0].shape == (2, 16)


def test_a_checkpoint_fills_the_network(file, tmp_path):
    other = {name: tensor + 1 for name, tensor in opened(file, "build").network.state_dict().items()}
    torch.save({"state_dict": other}, tmp_path / "w.pth")
    backbone = opened(file, "build", checkpoint=tmp_path / "w.pth")
    assert torch.equal(backbone.network.fc.bias, other["fc.bias"])
    torch.save({"fc.bias": other["fc.bias"]}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="missing: 3"):
        opened(file, "build", checkpoint=tmp_path / "w.pth")


def test_a_network_whose_output_is_features(file):
    backbone = opened(file, "bent", with_head=False)
    assert (backbone.head, backbone.record["read"]) == (None, "the network's output")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("rubbish", "returns an object of type int, not network and transform"),
        ("alone", "returns an object of type Net, not network and transform"),
        ("no_network", "returns an object of type str as network"),
        ("a_class", "a class, not a network made of it"),
        ("no_transform", "as transform, which cannot be called"),
        ("no_tensor", "it returns a str, not a tensor"),
        ("sizes", "only squares of three colours"),
        ("grey", "only squares of three colours"),
        ("fails", r"fails\(\) fails \(line \d+\): ZeroDivisionError: division by zero"),
        ("leaves", r"SystemExit: 3"),
        ("equal", "of which some are equal"),
        ("few", "3 outputs and 2 names of classes"),
        ("no_names", "as names of classes, not a list"),
        ("maps", "not one row of logits for each"),
        ("bent", "no layer of .* is one linear function"),
        ("chance", "other numbers each time"),
        ("tuples", "2 tensors of one row for each picture"),
        ("blows", "does not take pictures of 16 × 16 pixels"),
        ("flips", "makes other numbers of the same picture each time"),
        ("of_the_batch", "depend on the other pictures of the batch: alone, a picture gets numbers that differ by"),
        ("always_training", "depend on the other pictures of the batch"),
        ("chance_in_a_backbone", "other numbers each time"),
        ("gone", "the file has no function 'gone'"),
        ("NOT_CALLABLE", "the file has no function 'NOT_CALLABLE'"),
    ],
)
def test_what_cannot_be_used_is_said(file, function, why):
    with pytest.raises(ModelError, match=why):
        opened(file, function)


def test_a_list_of_functions_that_is_cut_says_so(file):
    with pytest.raises(ModelError) as caught:
        opened(file, "gone")
    assert caught.value.fix.startswith("it has: a_class, alone, always_training, ")
    assert re.search(r" and \d+ more$", caught.value.fix)


@pytest.mark.parametrize(
    ("text", "why"),
    [("import nowhere\n", r"\(line 1\): ModuleNotFoundError"), ("def build(:\n", r"\(line 1\): SyntaxError")],
)
def test_a_file_that_fails(tmp_path, text, why):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(ModelError, match=why):
        opened(tmp_path / "bad.py", "build")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="there is no file"):
        opened(tmp_path / "gone.py", "build")
