"""What may become part of a path, and that nothing else does, wherever a name or path comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.catalog import load_catalog
from moodbench.errors import CatalogError, UsageError
from moodbench.names import MOST_BYTES, dataset_fault, file_fault, folder_fault, name_fault, path_fault
from moodbench.workspace import ModelName, Workspace, check_dataset_name

BAD_NAMES = [
    *("", ".", "..", "../x", "../../../../other", "a/b", "/etc", "a\\b", ".hidden", "a b", "a\tb", "a\nb", "a\0b"),
    *("a@b", "a+b", "a:b", "a\u2028b", "a\x7fb", "a\ud800b", "x" * (MOST_BYTES + 1), "ü" * (MOST_BYTES // 2 + 1)),
]
BAD_PATHS = ["", "/", "/etc", "..", "../x", "../..", "a/../b", "a/..", "a//b", "./a", "a/.", "a\0b", "a/" + "x" * 300]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_refused_everywhere(name, tmp_path):
    assert name_fault(name)
    assert dataset_fault(name)
    for refused in (
        lambda: ModelName(name),
        lambda: ModelName("m", variant=name),
        lambda: ModelName("m", head=name),
        lambda: check_dataset_name(name),
        lambda: Workspace().cache_file(ModelName("m"), name),
        lambda: Workspace().results_file(name, ModelName("m")),
    ):
        with pytest.raises(UsageError, match="cannot name a"):
            refused()
    for kind in ("datasets", "benchmarks", "models"):
        file = tmp_path / "mine.yaml"
        file.write_text(json.dumps({kind: {name: {"title": "A", "timm": "x", "pretext": "hybrid"}}}))
        with pytest.raises(CatalogError):
            load_catalog([file])


@pytest.mark.parametrize("name", ["head", "heads", "scores", "mean"])
def test_names_that_moodbench_uses_itself(name, tmp_path):
    with pytest.raises(UsageError, match="a name that moodbench itself uses"):
        check_dataset_name(name)
    (tmp_path / "mine.yaml").write_text(f"datasets: {{{name}: {{title: A}}}}")
    with pytest.raises(CatalogError, match="a name that moodbench itself uses"):
        load_catalog([tmp_path / "mine.yaml"])


def test_parts_that_fit_alone_and_not_together():
    ModelName("a" * 90, "b" * 90)
    with pytest.raises(UsageError, match="longer than"):
        ModelName("a" * 90, "b" * 90, "c" * 90)


@given(st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_what_passes_stays_where_it_is_put(text):
    folder = "/base/folder"
    for fault, deep in ((name_fault, False), (file_fault, False), (path_fault, True), (folder_fault, True)):
        if fault(text) is None:
            joined = os.path.normpath(f"{folder}/{text}")
            assert joined.startswith(f"{folder}/")
            assert deep or Path(joined).parent == Path(folder)
            os.fsencode(joined)


ENTRIES = {
    "folder": lambda bad: {"folder": bad},
    "within": lambda bad: {"part_of": "imagenet_val", "within": bad},
    "list file": lambda bad: {"folder": "x", "list": {"url": "https://h/x.txt", "file": bad, "sha256": "unknown"}},
    "list address": lambda bad: {"folder": "x", "list": {"url": f"https://h/{bad}/..", "sha256": "unknown"}},
    **{
        key: lambda bad, key=key: {
            "folder": "x",
            "archives": [
                {
                    "file": "x.tar",
                    "urls": [],
                    "bytes": 1,
                    "md5": "unknown",
                    "sha256": "unknown",
                    "max_files": 1,
                    "max_bytes": 1,
                    key: bad,
                }
            ],
        }
        for key in ("file", "take", "into")
    },
}


@pytest.mark.parametrize("place", ENTRIES)
@pytest.mark.parametrize("bad", BAD_PATHS)
def test_paths_of_a_catalogue_stay_below_their_folder(tmp_path, place, bad):
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"datasets": {"mine": {"title": "A", **ENTRIES[place](bad)}}}))
    with pytest.raises(CatalogError, match="mine"):
        load_catalog([file])


@pytest.mark.parametrize("folder", [".moodbench", ".moodbench/partial", ".x"])
def test_a_dataset_does_not_lie_among_moodbenchs_own_files(tmp_path, folder):
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"datasets": {"mine": {"title": "A", "folder": folder}}}))
    with pytest.raises(CatalogError, match=r"begins with '\.'"):
        load_catalog([file])


@pytest.mark.parametrize("url", ["https://h/x/..", "https://h/", "https://h", "https://[/x"])
def test_the_file_of_an_address_has_a_name(tmp_path, url):
    for entry in ({"url": url}, {"head": {"url": url}}):
        file = tmp_path / "mine.yaml"
        entry = {"title": "M", "pretext": "hybrid", "timm": "resnet18", **entry}
        file.write_text(json.dumps({"models": {"m": entry}}))
        with pytest.raises(CatalogError, match="whose file name"):
            load_catalog([file])


def test_a_head_of_somewhere_else_is_neither_read_nor_written(tmp_path):
    from moodbench.commands.probe import probe
    from moodbench.commands.score import score

    space = Workspace(cache_dir=tmp_path / "a" / "cache", results_dir=tmp_path / "a" / "results")
    (space.cache_dir / "m").mkdir(parents=True)
    (space.cache_dir / "m" / "d.h5").touch()
    for head in ("../../../../other", "..", "/tmp/x", "a/b"):
        with pytest.raises(UsageError, match="cannot name a model"):
            score(head=head, workspace=space)
        with pytest.raises(UsageError, match="cannot name a head"):
            probe(name=head, workspace=space)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "cache", "d.h5", "m"]


def test_foreign_files_in_the_cache_folder_are_left_alone(tmp_path):
    space = Workspace(cache_dir=tmp_path)
    for file in ("m/d.h5", "m/my file.h5", "my folder/d.h5", "m@/d.h5", "a+b/d.h5"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert [str(m) for m in space.cached_models()] == ["m"]
    assert space.cached_datasets(ModelName("m")) == ["d"]
