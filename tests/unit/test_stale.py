"""Results that were made from other caches than are there now are told from the others."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import moodbench
from moodbench.commands.import_ import import_features
from moodbench.evaluation.inputs import digest_of
from moodbench.evaluation.stale import marked_stale, states_of
from moodbench.features.heads import stored_head
from moodbench.results import read_provenance
from moodbench.tables.footnotes import STALE
from moodbench.workspace import ModelName, Workspace
from tests.runs import GROUPS, ROLES, cached, fingerprint, put, rows_of

DATASETS = ("train", "test", *GROUPS)


@pytest.fixture
def space(tmp_path):
    """Results of two models, and all caches that they were made from."""
    space = Workspace(cache_dir=tmp_path / "cache", results_dir=tmp_path / "results")
    for model in ("vit", "moco"):
        for seed, name in enumerate(DATASETS):
            cached(space, model, name, seed)
        put(space.results_dir, rows_of(model), contents={d: fingerprint(space, model, d) for d in DATASETS})
    return space


def stale(space):
    """Return the places of rows that are marked: model, dataset, group."""
    rows = marked_stale(space, "b", [*rows_of("vit"), *rows_of("moco")])
    return {(row.model, row.ood, row.group) for row in rows if any(one.startswith(STALE) for one in row.remarks)}


ALL = {(ood, group) for ood, group in (*GROUPS.items(), ("mean", "all"), ("mean", "far"))}


@pytest.mark.parametrize(
    ("changed", "places"),
    [
        ("near", {("near", "near"), ("mean", "all")}),
        ("sea", {("sea", "far"), ("mean", "far"), ("mean", "all")}),
        ("train", ALL),
        ("test", ALL),
    ],
)
def test_rows_that_depend_on_a_changed_cache_are_marked_and_no_others(space, changed, places):
    assert stale(space) == set()
    cached(space, "vit", changed, 99)
    assert stale(space) == {("vit", *place) for place in places}


def test_what_was_removed_contradicts_nobody(space):
    for file in (space.cache_dir / "vit").glob("*.h5"):
        file.unlink()
    assert stale(space) == set()
    name = ModelName("vit")
    inputs = read_provenance(space.results_file("b", name))["inputs"]
    assert states_of(space, name, inputs) == dict.fromkeys(DATASETS, "gone")


def test_a_cache_that_cannot_be_read_is_no_reason_to_doubt_a_number(space):
    file = space.cache_file(ModelName("vit"), "near")
    file.write_bytes(file.read_bytes()[:300])
    assert stale(space) == set()
    inputs = read_provenance(space.results_file("b", ModelName("vit")))["inputs"]
    assert states_of(space, ModelName("vit"), inputs)["near"] == "unreadable"


def test_results_without_provenance_of_their_own_are_left_alone(space):
    space.results_file("b", ModelName("vit")).with_suffix(".json").unlink()
    assert {model for model, *_ in stale(space)} == set()


def test_tables_say_it_once_about_the_model_and_give_the_command(space):
    assert STALE not in moodbench.table(workspace=space)
    cached(space, "vit", "train", 99)
    shown = moodbench.table(workspace=space, format="plain")
    said = "stale: the cache of train changed since (moodbench score --benchmark b --model vit)"
    assert shown.count(said) == 1
    assert "§" in shown
    assert "†" not in shown
    (made,) = json.loads(moodbench.table(workspace=space, format="json"))
    assert {record["model"] for record in made["records"] if STALE in record["note"]} == {"vit"}


def test_it_takes_neither_torch_nor_of_results_alone_hdf5(space):
    cached(space, "vit", "train", 99)
    for cache, heavy in ((space.cache_dir, {"h5py"}), (space.cache_dir / "none", set())):
        script = (
            "import sys, moodbench\n"
            f"space = moodbench.Workspace(cache_dir={str(cache)!r}, results_dir={str(space.results_dir)!r})\n"
            "print(len(moodbench.table(workspace=space)))\n"
            "print(sorted({'torch', 'h5py', 'timm', 'pandas', 'matplotlib'} & {*sys.modules}))\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == str(sorted(heavy))


def test_a_head_that_changed_makes_every_row_stale(space):
    def brought(weight):
        np.savez(space.cache_dir.parent / "head.npz", weight=np.full((2, 4), weight, np.float32), bias=np.zeros(2))
        space.head_file(ModelName("vit")).unlink(missing_ok=True)
        file = space.cache_dir.parent / "vit_near.npz"
        import_features("vit", "near", file, head=space.cache_dir.parent / "head.npz", workspace=space)

    space.cache_file(ModelName("vit"), "near").unlink()
    brought(1.0)
    contents = {name: fingerprint(space, "vit", name) for name in DATASETS}
    head = digest_of(stored_head(space.head_file(ModelName("vit"))))
    inputs = {"benchmark": ROLES, "contents": contents, "head": head}
    put(space.results_dir, rows_of("vit"), contents=contents, inputs=inputs)
    assert stale(space) == set()
    space.cache_file(ModelName("vit"), "near").unlink()
    brought(2.0)
    assert stale(space) == {("vit", *place) for place in ALL}
    (shown,) = {one for row in marked_stale(space, "b", rows_of("vit", oods=("far",))) for one in row.remarks}
    assert shown == "stale: the cache of near, its head changed since (moodbench score --benchmark b --model vit)"


def test_comparisons_say_it_too(space, tmp_path):
    sheet = tmp_path / "theirs.csv"
    sheet.write_text("benchmark,model,score,ood,auroc\nb,vit,msp,near,0.8\n")
    assert STALE not in moodbench.compare(sheet, workspace=space)[0].note
    cached(space, "vit", "near", 99)
    (row,) = moodbench.compare(sheet, workspace=space)
    assert "stale: the cache of near changed since" in row.note


def test_one_stale_number_flags_its_model_with_all_that_changed(space):
    cached(space, "vit", "near", 98)
    cached(space, "vit", "sea", 99)
    shown = moodbench.table(workspace=space, layout="datasets", format="plain")
    said = "§ stale: the cache of near, the cache of sea changed since (moodbench score --benchmark b --model vit): "
    assert shown.count(said) == shown.count("stale") == 1
    assert "ViT" in shown.split(said)[1].splitlines()[0] or "vit" in shown.split(said)[1].splitlines()[0]
    rows = marked_stale(space, "b", rows_of("vit", oods=("far",)))
    assert not any(row.remarks for row in rows)
