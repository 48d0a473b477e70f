"""Layers of a model extracted beside it: in one pass, in step, and whole again after every kind of stop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

import moodbench
from moodbench.datasets.images import folder_images
from moodbench.errors import CacheError, CacheMismatchError, ModelError, UnknownNameError, UsageError
from moodbench.features.cache import FeatureCache
from moodbench.features.network import Network
from tests.extracting import KILLED, arrays, run, same, stopped_after

SOME = "blocks.1,blocks.4"


def files(done):
    return [done.file, *(one.file for one in done.layers)]


def test_each_layer_is_a_cache_of_what_timm_returns(space, pictures):
    (done,) = run(space, layers="all", pool="mean")
    assert [file.parent.name for file in files(done)] == ["tiny", *(f"tiny@layer-blocks.{i}-mean" for i in range(6))]
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    source = folder_images(pictures / "train")
    pixels = torch.stack([backbone.transform(source.load(i)) for i in (0, 20, 41)])
    with torch.inference_mode():
        wanted = backbone.network.forward_intermediates(pixels, intermediates_only=True, output_fmt="NLC")
    own = arrays(done.file)
    for file, tokens in zip(files(done)[1:], wanted, strict=True):
        stored = arrays(file)
        np.testing.assert_allclose(stored["features"][[0, 20, 41]], tokens.mean(1), rtol=1e-4, atol=1e-5)
        assert "logits" not in stored
        for name in ("ids", "labels", "classes", "status"):
            np.testing.assert_array_equal(stored[name], own[name])
        assert not (file.parent / "head.h5").exists()


def test_provenance_is_that_of_the_model_and_the_layer(space):
    (done,) = run(space, layers=SOME)
    notes = []
    for file in files(done):
        with FeatureCache(file) as cache:
            notes.append({key: value for key, value in cache.provenance.items() if key != "time"})
    own, first, second = notes
    layer = {"name": "blocks.1", "index": 1, "count": 6, "pool": "cls", "norm": False}
    assert first == {**own, "layer": layer}
    assert second["layer"] == {**layer, "name": "blocks.4", "index": 4}


def test_the_models_own_cache_does_not_change(space):
    (plain,) = run(space, variant="plain")
    (done,) = run(space, layers="all")
    same(done.file, plain.file)


def test_one_pass_serves_all(space, monkeypatch):
    calls = []
    original = Network.__call__
    monkeypatch.setattr(
        Network, "__call__", lambda self, pixels, numbers: calls.append(len(pixels)) or original(self, pixels, numbers)
    )
    run(space, layers="all")
    assert calls == [8, 8, 8, 8, 8, 2]
    monkeypatch.setattr(Network, "__call__", lambda *_: pytest.fail("computed again"))
    lines = []
    (done,) = run(space, layers="all", report=lines.append)
    assert done.already
    assert all(one.already for one in done.layers)
    assert lines[-1] == "skip tiny and 6 layers on tiny_train: complete (42 images)"


@pytest.mark.parametrize("batch_size", [8, 5])
def test_layers_that_are_added_later_are_the_same(space, batch_size):
    (together,) = run(space, variant="together", layers=SOME)
    run(space)
    lines = []
    (later,) = run(space, layers=SOME, batch_size=batch_size, report=lines.append)  # the model's size is kept
    assert later.already
    assert [one.begun_at for one in later.layers] == [0, 0]
    assert lines[-1].startswith("extracted 2 layers of tiny on tiny_train: 42 images")
    for one, other in zip(files(later), files(together), strict=True):
        same(one, other)


@pytest.mark.parametrize("stop", [1, 3, 4, 8, 17])
def test_a_run_that_stops_between_caches_ends_the_same(space, stop, monkeypatch):
    (whole,) = run(space, variant="whole", layers=SOME)
    with stopped_after(stop, size=lambda *call: 1):
        run(space, layers=SOME)
    written, original = [], FeatureCache.write

    def counted(cache, start, *values):
        written.append(start)
        original(cache, start, *values)

    monkeypatch.setattr(FeatureCache, "write", counted)
    (done,) = run(space, layers=SOME)
    assert len(written) == 3 * 6 - stop  # none computes a batch again that it has
    begun = [done.begun_at, *(one.begun_at for one in done.layers)]
    assert begun == [min(42, 8 * len(range(i, stop, 3))) for i in range(3)]
    for one, other in zip(files(done), files(whole), strict=True):
        same(one, other)


def test_kill_9_then_run_again_at_once(space, catalog, tmp_path):
    (whole,) = run(space, variant="whole", batch_size=2, layers=SOME)
    script = KILLED.replace("workers=int(workers),", f"workers=int(workers), layers={SOME!r},")
    command = [sys.executable, "-c", script, str(tmp_path), str(catalog), "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(11):
        assert process.stdout.readline() == "row\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (done,) = run(space, batch_size=2, layers=SOME)
    assert done.begun_at >= 6
    for one, other in zip(files(done), files(whole), strict=True):
        same(one, other)


def lose(file, row):
    """Let a complete cache be one that stopped before a row."""
    with h5py.File(file, "r+") as h5:
        h5["crc32"][row:] = 0
        h5.attrs.modify("complete", np.uint8(0))


def test_caches_that_were_begun_in_different_ways_go_on_each_in_its_own(space):
    (eights,) = run(space, variant="eights", layers="blocks.4")
    (fives,) = run(space, variant="fives", batch_size=5)
    (done,) = run(space, layers="blocks.4")
    done.file.unlink()
    run(space, batch_size=5)  # anew, in other batches than the layer
    own, layer = files(done)
    lose(own, 17)
    lose(layer, 30)
    (done,) = run(space, layers="blocks.4")
    assert (done.begun_at, done.layers[0].begun_at) == (15, 24)
    same(own, fives.file)
    same(layer, eights.layers[0].file)


def test_undecodable_images_are_skipped_in_all(space, broken):
    (done,) = run(space, dataset=["mine"], images=broken, on_error="skip", layers=SOME)
    statuses = [arrays(file)["status"] for file in files(done)]
    assert [status.tolist().count(2) for status in statuses] == [2, 2, 2]
    assert all(
        not arrays(file)["features"][status == 2].any() for file, status in zip(files(done), statuses, strict=True)
    )


def test_a_layer_of_other_weights_is_not_mixed_in(space, checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    (done,) = run(space, layers=SOME)
    state = load_file(checkpoint)
    state["norm.weight"] = state["norm.weight"] + 1e-3
    save_file(state, tmp_path / "other.safetensors")
    shutil.rmtree(done.file.parent)
    with pytest.raises(CacheMismatchError, match=r"'tiny@layer-blocks\.1' on 'tiny_train'[^$]*model\.weights_sha256"):
        run(space, checkpoint=tmp_path / "other.safetensors", layers=SOME)
    assert not done.file.exists()


def test_a_full_disk_is_said_before_anything_is_begun(space, monkeypatch):
    from moodbench.features import extract as module

    def full(folder, size):
        raise CacheError(f"the cache needs {size}", file=folder)

    monkeypatch.setattr(module, "refuse_if_full", full)
    with pytest.raises(CacheError, match="the cache needs"):
        run(space, layers=SOME)
    assert not list(space.cache_dir.rglob("*_train.h5"))


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"layers": "blocks.7"}, UnknownNameError, r"there is no layer 'blocks\.7'"),
        ({"layers": "every:0"}, UsageError, "does not say which layers"),
        ({"layers": "all", "compile": True}, UsageError, "a compiled network does not show its layers"),
        ({"pool": "cls"}, UsageError, "--pool says how layers are pooled, and none is asked for"),
        ({"layers": "all", "pool": "max"}, UsageError, "pool"),
        ({"variant": "layer-x"}, UsageError, "it would name a view"),
    ],
)
def test_what_cannot_be_asked_for(space, options, error, what):
    with pytest.raises(error, match=what):
        run(space, **options)
    assert not list(space.cache_dir.rglob("*.h5"))


def test_a_view_is_made_with_its_model_and_not_by_itself(space):
    from moodbench.commands.extract import extract

    with pytest.raises(UsageError, match="is a view of 'tiny'") as error:
        extract("tiny@layer-blocks.3-mean", dataset=["tiny_train"], workspace=space)
    assert error.value.fix == "--model tiny --layers blocks.3 --pool mean"


def test_a_network_without_layers_is_refused_before_a_cache_is_begun(space, pictures):
    transform = moodbench.build_transform("moodv2", {"input_size": (3, 8, 8)})
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
    backbone = moodbench.Backbone.from_module(network, transform, name="mine")
    with pytest.raises(ModelError, match="Sequential does not offer its layers"):
        moodbench.extract(backbone, name="mine", dataset=["x"], images=pictures / "ood", workspace=space, layers="all")
    assert not list(space.cache_dir.rglob("*.h5"))
