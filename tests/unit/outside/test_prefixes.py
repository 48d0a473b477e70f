"""Names by where a model is from: folders of caches are safe, and lead back to one name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import UsageError
from moodbench.prefixes import LIBRARIES, base_fault, base_of, folder_of
from moodbench.workspace import ModelName

FOLDERS = {
    "timm:resnet18.a1_in1k": "timm-resnet18.a1_in1k",
    "clip:ViT-B-16/openai": "clip-ViT-B-16--openai",
    "hf:google/vit-base-patch16-224": "hf-google--vit-base-patch16-224",
    "hf:./runs/vit": "hf-.--runs--vit",
    "hf:/data/vit--2/-a": "hf-%2Fdata--vit-%2D2--%2Da",
    "torchvision:resnet50.IMAGENET1K_V2": "torchvision-resnet50.IMAGENET1K_V2",
    "module:nets/my-net.py:build": "module-nets--my-net.py--build",
    "onnx:~/a%.onnx": "onnx-~--a%25.onnx",
    "hf-own": "hf--own",
}


@pytest.mark.parametrize(("name", "folder"), FOLDERS.items())
def test_the_folder_of_a_name(name, folder):
    assert ModelName.parse(name).folder == folder
    assert ModelName.of_folder(folder).base == name
    assert str(ModelName.of_file(f"{folder}@moodv2+probe")) == f"{name}@moodv2+probe"


@given(st.sampled_from(LIBRARIES), st.text("-/a%._~:2D", min_size=1, max_size=12))
def test_every_name_has_one_folder_and_every_folder_one_name(library, rest):
    name = f"{library}:{rest}"
    if base_fault(name) is None:
        assert "/" not in folder_of(name)
        assert not folder_of(name).startswith(".")
        assert base_of(folder_of(name)) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("hf:my vit", "has a blank"),
        ("hf:a:b", "has ':'"),
        ("hf:", "is empty"),
        ("hf:-a", "begins with '-'"),
        ("module:nets.py", "is not FILE.py:FUNCTION"),
        ("module:nets.py:a-b", "is not FILE.py:FUNCTION"),
        ("torchvision:a/b", "has '/'"),
        ("onnx:a\\b", "has '\\'"),
    ],
)
def test_what_cannot_be_a_name(name, why):
    with pytest.raises(UsageError) as caught:
        ModelName.parse(name)
    assert why in str(caught.value)


def test_the_slash_that_a_shell_puts_behind_a_folder_changes_nothing():
    assert ModelName.parse("hf:runs/vit/@moodv2") == ModelName("hf:runs/vit", "moodv2")
