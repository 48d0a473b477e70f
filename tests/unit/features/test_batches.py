"""Batches, memory, and what runs side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import moodbench
from moodbench.before_torch import SWITCHES
from moodbench.commands.extract import extract
from moodbench.datasets.images import folder_images
from moodbench.errors import ModelError, UsageError
from moodbench.features.cache import SKIPPED, FeatureCache
from moodbench.features.memory import grown
from moodbench.features.network import Network
from moodbench.features.verify import check_cache
from tests.extracting import OfMyOwn, arrays, run, same


class Hungry(nn.Module):
    """A network with memory for so many images at once; it writes down how many it was shown."""

    def __init__(self, room: int, error: Exception) -> None:
        super().__init__()
        self.room, self.error, self.shown = room, error, []
        self.last = nn.Linear(12, 3)

    def forward(self, images):
        if len(images) > self.room:
            raise self.error
        self.shown.append(len(images))
        return self.last(nn.functional.adaptive_avg_pool2d(images, 2).flatten(1))


TORCH_ON_A_CPU = "[enforce fail] data. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."


def hungry(room, error=None):
    torch.manual_seed(0)
    transform = moodbench.build_transform("moodv2", {"input_size": (3, 32, 32)}, 32)
    network = Hungry(room, error or RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."))
    return moodbench.Backbone.from_module(network, transform, name="hungry")


@pytest.mark.parametrize("error", [None, RuntimeError(TORCH_ON_A_CPU), MemoryError()])
def test_where_memory_runs_out_a_batch_is_computed_in_pieces_and_no_row_is_lost(space, pictures, error):
    options = {"dataset": ["mine"], "images": pictures / "train", "workspace": space, "batch_size": 16}
    (whole,) = extract(hungry(99), name="whole", **options)
    lines, backbone = [], hungry(5, error)
    (done,) = extract(backbone, name="hungry", report=lines.append, **options)
    assert (done.batch_size, done.at_once, done.rows, done.undecodable) == (16, 4, 42, ())
    assert ", 4 at once: memory ran out" in lines[0]
    assert backbone.network.shown[-11:] == [4] * 10 + [2]  # 16 + 16 + 10 rows, in pieces of 4
    np.testing.assert_allclose(arrays(done.file)["features"], arrays(whole.file)["features"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(arrays(done.file)["labels"], arrays(whole.file)["labels"])
    check_cache(done.file)


def test_a_run_that_was_short_of_memory_is_resumed_at_the_stored_batches(space, pictures, monkeypatch):
    options = {"dataset": ["mine"], "images": pictures / "train", "workspace": space, "name": "hungry"}
    original, calls = FeatureCache.write, []

    def stop_at_the_second(cache, start, *values):
        calls.append(start)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(cache, start, *values)

    monkeypatch.setattr(FeatureCache, "write", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        extract(hungry(5), batch_size=16, **options)
    monkeypatch.setattr(FeatureCache, "write", original)
    (done,) = extract(hungry(99), batch_size=3, **options)
    assert (calls, done.begun_at, done.batch_size, done.at_once) == ([0, 16], 16, 16, 16)
    check_cache(done.file)


def test_memory_for_not_even_one_image_is_one_message(space, pictures):
    backbone = hungry(99)
    (done,) = extract(backbone, name="h", dataset=["mine"], images=pictures / "ood", workspace=space)
    with h5py.File(done.file, "r+") as h5:
        h5["crc32"][3] = 0
        h5.attrs.modify("complete", np.uint8(0))
    backbone.network.room = 0
    with pytest.raises(ModelError, match="one image at a time does not fit into the memory of 'cpu'"):
        extract(backbone, name="h", dataset=["mine"], images=pictures / "ood", workspace=space)


def test_another_failure_of_the_network_is_not_taken_for_a_lack_of_memory(space, pictures):
    backbone = hungry(7, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        extract(backbone, name="h", dataset=["mine"], images=pictures / "ood", workspace=space)


def test_the_batch_size_is_noted_and_64_on_a_cpu(space):
    for chosen, noted in ((None, 64), (7, 7)):
        (done,) = run(space, batch_size=chosen, variant=f"b{chosen}")
        with FeatureCache(done.file) as cache:
            assert cache.provenance["batch_size"] == done.batch_size == done.at_once == noted


def test_a_batch_grows_by_doubling_while_memory_lasts():
    assert grown(1e6, 31e6) == grown(1e6, 63.9e6) == 32
    assert grown(1e6, 64e6) == 64
    assert grown(1e6, 300e6) == 256
    assert grown(1e6, 1e12) == 512


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_workers_and_parts_of_a_batch_change_no_bit(space, precision):
    files = [
        run(space, workers=workers, batch_size=37, variant=f"w{workers}", precision=precision)[0].file
        for workers in (0, 1, 3)  # 37 rows are three parts, the last of 5
    ]
    same(files[0], files[1])
    same(files[0], files[2])


@pytest.mark.parametrize("workers", [0, 2])
def test_transforms_of_ones_own_give_floats_and_these_arrive(space, broken, workers):
    network = nn.Sequential(nn.Flatten(), nn.Identity(), nn.Linear(192, 2))
    backbone = moodbench.Backbone.from_module(network, OfMyOwn(), name="flat")
    options = {"dataset": ["mine"], "images": broken, "workspace": space, "on_error": "skip", "workers": workers}
    (done,) = extract(backbone, name="flat", **options)
    stored = arrays(done.file)
    assert np.flatnonzero(stored["status"] == SKIPPED).tolist() == [4, 9]
    expected = OfMyOwn()(folder_images(broken).load(5)).flatten()
    np.testing.assert_array_equal(stored["features"][5], expected.numpy())
    with pytest.raises(UsageError, match="not moodbench's own"):
        extract(backbone, name="flat", decoder="fast", **options)


def test_a_batch_is_written_while_the_next_is_computed(space, monkeypatch):
    """Each waits for the other: the second batch is computed only once the writing of the first has begun."""
    writing, computed = threading.Event(), threading.Event()
    write, compute = FeatureCache.write, Network.__call__

    def late(cache, start, *values):
        writing.set()
        if start == 0:
            assert computed.wait(20)
        write(cache, start, *values)

    def watched(network, *given):
        output = compute(network, *given)
        watched.calls += 1
        if watched.calls == 2:
            assert writing.wait(20)
            computed.set()
        return output

    watched.calls = 0
    monkeypatch.setattr(FeatureCache, "write", late)
    monkeypatch.setattr(Network, "__call__", watched)
    (done,) = run(space)
    check_cache(done.file)
    assert computed.is_set()


AS_TORCH_IS_LOADED = """
import os, pathlib, sys
from moodbench.commands.extract import extract
from moodbench.workspace import Workspace

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("THP_MEM_ALLOC_ENABLE"))
            sys.exit()

sys.meta_path.insert(0, Watch())
extract("tiny", dataset=["tiny_train"], workspace=Workspace(catalogs=(pathlib.Path(sys.argv[1]),)))
"""


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "PASSIVE 1"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE 1"), ({"THP_MEM_ALLOC_ENABLE": "0"}, "PASSIVE 0")],
)
def test_waiting_threads_sleep_and_pages_are_large_unless_the_user_says_otherwise(catalog, tmp_path, given, found):
    environment = {key: value for key, value in os.environ.items() if key not in SWITCHES} | given
    command = [sys.executable, "-c", AS_TORCH_IS_LOADED, str(catalog)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == f"{found}\n"
