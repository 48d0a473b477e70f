"""Names of models, and the paths that follow from names."""

from __future__ import annotations

from pathlib import Path

import pytest

from moodbench.errors import DataError, UsageError
from moodbench.workspace import ModelName, Workspace, check_dataset_name


@pytest.mark.parametrize(
    ("name", "folder", "file"),
    [
        ("beitv2", "beitv2", "beitv2"),
        ("beitv2@bf16", "beitv2@bf16", "beitv2@bf16"),
        ("beitv2+probe", "beitv2", "beitv2+probe"),
        ("beitv2@bf16+probe", "beitv2@bf16", "beitv2@bf16+probe"),
        ("timm:resnet50.a1_in1k", "timm-resnet50.a1_in1k", "timm-resnet50.a1_in1k"),
        ("timm-x@v+h", "timm--x@v", "timm--x@v+h"),
        ("timm--x", "timm---x", "timm---x"),
        ("timm", "timm", "timm"),
        ("my-timm-x", "my-timm-x", "my-timm-x"),
        ("clip:ViT-B-16", "clip-ViT-B-16", "clip-ViT-B-16"),
        ("clip:ViT-B-16/openai@v+h", "clip-ViT-B-16--openai@v", "clip-ViT-B-16--openai@v+h"),
        ("clip-x@v+h", "clip--x@v", "clip--x@v+h"),
        ("clip-a--b", "clip--a--b", "clip--a--b"),
        ("clip", "clip", "clip"),
    ],
)
def test_model_names_and_their_paths(name, folder, file):
    parsed = ModelName.parse(name)
    assert str(parsed) == name
    assert parsed.folder == folder
    assert parsed.file == file
    assert ModelName.of_folder(folder) == ModelName(parsed.base, parsed.variant)


@pytest.mark.parametrize(
    "name",
    [
        *("", "@x", "a@", "a+", "+h", "a/b", "../a", ".a", "a b", "timm:a:b", "other:a", "a\\b", "a@x+", "timm:-x"),
        *("clip:", "clip:/x", "clip:x/", "clip:a/b/c", "clip:a--b/c", "clip:-x", "clip:a/../b", "clip:a:b", "timm:a/b"),
    ],
)
def test_names_that_cannot_be_models(name):
    with pytest.raises(UsageError, match="cannot name a model"):
        ModelName.parse(name)


@pytest.mark.parametrize("name", ["", ".x", "a/b", "a b", "a@b", "a+b", "a:b"])
def test_names_that_cannot_be_datasets(name):
    with pytest.raises(UsageError, match="cannot name a dataset"):
        check_dataset_name(name)


def test_paths():
    work = Workspace(cache_dir=Path("c"), results_dir=Path("r"))
    model = ModelName.parse("m@v+probe")
    assert work.cache_file(model, "d") == Path("c/m@v/d.h5")
    assert work.head_file(model) == Path("c/m@v/heads/probe.h5")
    assert work.head_file(ModelName("m")) == Path("c/m/head.h5")
    assert work.results_file("b", model) == Path("r/b/m@v+probe.csv")
    with pytest.raises(UsageError):
        work.cache_file(model, "../d")


def test_what_is_cached(tmp_path):
    work = Workspace(cache_dir=tmp_path / "cache")
    assert work.cached_models() == []
    for file in ("m/d.h5", "m/head.h5", "m/.tmp.h5", "timm-x.y@v/e.h5", "empty/x.txt", ".hidden/d.h5"):
        path = work.cache_dir / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [str(model) for model in work.cached_models()] == ["m", "timm:x.y@v"]
    assert work.cached_datasets(ModelName("m")) == ["d"]
    assert work.cached_datasets(ModelName("no")) == []


def test_the_catalogue_is_merged_over_the_builtin_one(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("datasets: {my_set: {title: Mine, path: images}}\n")
    catalog = Workspace(catalogs=(mine,)).catalog
    assert catalog.dataset("my_set").path == tmp_path / "images"
    assert "digits_test" in catalog.datasets


def test_a_data_directory_need_not_be_there_but_must_be_possible(tmp_path):
    Workspace(tmp_path).check_data_dir()
    Workspace(tmp_path / "not/yet").check_data_dir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "lost").symlink_to("nowhere")
    for name, said in {"file": "not a directory", "file/x": "not a dir", "loop": "too many", "lost": "nowhere"}.items():
        with pytest.raises(DataError, match=said):
            Workspace(tmp_path / name).check_data_dir()
