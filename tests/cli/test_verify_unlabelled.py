"""`moodbench verify` counts the images that have no label where the others have one; that is no fault."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.commands import call
from tests.conftest import save


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A dataset of two class folders, of a benchmark of one's own."""
    import numpy as np

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CATALOG", "catalog.yaml")
    rng = np.random.default_rng(0)
    for name in ("ant/0.png", "ant/1.png", "bee/0.png"):
        save(tmp_path / "mine" / name, (10, 20, 30), rng)
    declare(tmp_path)
    return tmp_path / "mine"


def declare(root, **entry):
    content = {"datasets": {"mine": {"title": "Mine", "path": str(root / "mine"), **entry}}}
    (root / "catalog.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def found():
    result = call("verify", "mine", "--json")
    assert result.exit_code == 0, result.stdout
    (record,) = json.loads(result.stdout)
    return [finding["detail"] for finding in record["findings"] if finding["kind"] == "unlabelled"]


def test_all_have_a_label(folder):
    assert found() == []


def test_images_beside_the_class_folders(folder):
    (folder / "stray.png").write_bytes((folder / "ant" / "0.png").read_bytes())
    assert found() == ["1 of 4"]
    text = call("verify", "mine").stdout
    assert "mine: images without a label (no fault)\n  1 of 4\n" in text


def test_a_flat_folder_has_no_classes(folder):
    for file in folder.glob("*/*.png"):
        file.rename(folder / f"{file.parent.name}{file.name}")
    assert found() == []


def test_no_labels_are_wanted(folder):
    (folder / "stray.png").write_bytes((folder / "ant" / "0.png").read_bytes())
    declare(folder.parent, labels="none")
    assert found() == []


def test_folders_that_are_no_class_of_imagenet(folder):
    (folder / "n01440764").mkdir()
    (folder / "ant" / "0.png").rename(folder / "n01440764" / "0.png")
    declare(folder.parent, labels="imagenet")
    assert found() == ["2 of 3"]


def test_lines_of_a_list_without_a_number(folder):
    (folder.parent / "list.txt").write_text("ant/0.png 0\nant/1.png\nbee/0.png 1\n")
    declare(folder.parent, list={"file": "list.txt", "path": "list.txt"})
    assert found() == ["1 of 3"]
    (folder.parent / "list.txt").write_text("ant/0.png 0\nbee/0.png 1\n")
    assert found() == []


def test_labels_that_cannot_be_told_are_said(folder):
    (folder.parent / "classes.txt").write_text("ant\n")
    declare(folder.parent, labels="classes.txt")
    (detail,) = found()
    assert detail.startswith("the labels cannot be told: 1 class folder is not named")
