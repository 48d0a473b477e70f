"""Images → cache: what is stored, what is refused, and what a killed run leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import moodbench
from moodbench.commands.extract import BEFORE_TORCH, extract
from moodbench.datasets.images import folder_images
from moodbench.errors import CacheError, CacheMismatchError, DataError, ModelError, UsageError
from moodbench.features import extract as module
from moodbench.features.cache import DONE, SKIPPED, FeatureCache
from moodbench.features.heads import read_head
from moodbench.features.memory import grown
from moodbench.features.network import Network
from moodbench.features.verify import check_cache
from moodbench.workspace import ModelName
from tests.caches import as_schema_1
from tests.conftest import save

TINY = ModelName.parse("tiny")


def run(space, **options):
    options = {"dataset": ["tiny_train"], "batch_size": 8, "workers": 0, **options}
    return extract("tiny", workspace=space, **options)


def arrays(file):
    with h5py.File(file, "r") as h5:
        return {name: h5[name][:] for name in h5}


def same(a, b):
    a, b = arrays(a), arrays(b)
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_stores_what_the_network_gives(space, pictures):
    (done,) = run(space)
    source = folder_images(pictures / "train")
    stored = arrays(done.file)
    head = read_head(space.head_file(TINY))
    assert (done.rows, done.undecodable, done.begun_at) == (42, (), 0)
    assert [i.decode() for i in stored["ids"]] == list(source.ids)
    np.testing.assert_array_equal(stored["labels"], np.repeat([0, 1, 2], 14))
    assert stored["classes"].tolist() == [b"amber", b"blue", b"green"]
    assert (stored["status"] == DONE).all()
    np.testing.assert_allclose(stored["logits"], stored["features"] @ head.weight.T + head.bias, rtol=1e-4, atol=1e-5)
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    pixels = torch.stack([backbone.transform(source.load(i)) for i in (0, 20)])
    features, logits = backbone.forward(pixels)
    np.testing.assert_allclose(stored["features"][[0, 20]], features, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored["logits"][[0, 20]], logits, rtol=1e-4, atol=1e-5)


def test_provenance_tells_what_was_done(space):
    (done,) = run(space)
    with FeatureCache(done.file) as cache:
        p = cache.provenance
    assert len(p["model"]["weights_sha256"]) == 64
    assert p["model"]["timm"] == "test_vit"
    assert p["transform"]["size"] == 32
    assert p["precision"] == "fp32"
    assert p["images"]["count"] == 42
    assert {"moodbench", "torch", "timm", "numpy"} <= set(p["versions"])
    assert str(space.cache_dir.parent) not in json.dumps(p)  # no path of this machine


def test_a_complete_cache_is_skipped(space, monkeypatch):
    run(space)
    monkeypatch.setattr(Network, "__call__", lambda *_: pytest.fail("computed again"))
    lines = []
    (done,) = run(space, report=lines.append)
    assert done.already
    assert lines == ["skip tiny on tiny_train: complete (42 images)"]


@pytest.mark.parametrize("rows", [1, 8, 9, 16, 41])
def test_a_run_that_stops_is_resumed_and_ends_the_same(space, rows, monkeypatch):
    (whole,) = run(space, variant="whole")
    calls = 0

    def stop_after(cache, start, *values):
        nonlocal calls
        calls += len(values[0])
        if calls > rows:
            raise KeyboardInterrupt
        original(cache, start, *values)

    original = FeatureCache.write
    monkeypatch.setattr(FeatureCache, "write", stop_after)
    with pytest.raises(KeyboardInterrupt):
        run(space)
    monkeypatch.setattr(FeatureCache, "write", original)
    (done,) = run(space, batch_size=5)  # the size it was begun with is kept
    assert done.begun_at == rows // 8 * 8
    same(done.file, whole.file)


def test_a_row_that_was_damaged_before_the_end_is_computed_again(space):
    (whole,) = run(space, variant="whole")
    (part,) = run(space)
    with h5py.File(part.file, "r+") as h5:
        h5["features"][19, 3] += 1
        h5.attrs.modify("complete", np.uint8(0))
    (done,) = run(space)
    assert done.begun_at == 16
    same(done.file, whole.file)


KILLED = """
import os, sys, pathlib
from moodbench.commands.extract import extract
from moodbench.features.cache import FeatureCache
from moodbench.workspace import Workspace
import time, torch
torch.set_num_threads(1)
write = FeatureCache.write
def slow(*a):
    write(*a)
    print("row", flush=True)
    time.sleep(float(os.environ.get("PAUSE", 0.02)))
FeatureCache.write = slow
root, catalog, workers = sys.argv[1:]
root = pathlib.Path(root)
extract("tiny", dataset=["tiny_train"], batch_size=2, workers=int(workers),
        workspace=Workspace(root / "data", root / "cache", root / "results", (pathlib.Path(catalog),)))
"""


@pytest.mark.parametrize(("workers", "lines"), [(0, 1), (0, 7), (2, 3)])
def test_kill_9_then_run_again_at_once(space, catalog, tmp_path, workers, lines):
    (whole,) = run(space, variant="whole", batch_size=2)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(catalog), str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(lines):
        assert process.stdout.readline() == "row\n"
    time.sleep(0.005 * lines)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (done,) = run(space, batch_size=2)  # orphaned workers may live for seconds: they must not hold the lock
    assert done.begun_at >= 2 * (lines - 1)
    same(done.file, whole.file)


def test_two_writers_of_one_file(space, catalog, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(catalog), "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PAUSE": "600"})
    try:
        process.stdout.readline()
        with pytest.raises(CacheError, match="another process is writing this cache"):
            run(space)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"transform": "moodv2", "variant": "v"}, "transform.kind: model in the cache, moodv2 now"),
        ({"limit": 6, "variant": "v"}, "limit: none in the cache, 6 now"),
        ({"precision": "bf16", "variant": "v"}, "precision: fp32 in the cache, bf16 now"),
    ],
)
def test_other_settings_are_not_mixed_in(space, options, named):
    run(space, variant="v")
    with pytest.raises(CacheMismatchError) as error:
        run(space, **options)
    assert named in str(error.value)
    assert "moodbench cache remove --model tiny@v --dataset tiny_train" in str(error.value)


def test_a_cache_that_appears_before_the_lock_is_taken_is_looked_at(space, monkeypatch):
    original = module.exclusive

    @contextmanager
    def late(file):
        monkeypatch.setattr(module, "exclusive", original)
        run(space, transform="moodv2", variant="v")  # another process, quicker than this one
        with original(file):
            yield

    monkeypatch.setattr(module, "exclusive", late)
    with pytest.raises(CacheMismatchError, match=r"transform\.kind: moodv2 in the cache, model now"):
        run(space, variant="v")


def test_other_weights_are_not_mixed_in(space, checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    run(space)
    state = load_file(checkpoint)
    state["norm.weight"] = state["norm.weight"] + 1e-7 * 1024
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(CacheMismatchError, match=r"model\.weights_sha256"):
        run(space, checkpoint=tmp_path / "other.safetensors")


def test_the_same_weights_in_another_file_are_the_same(space, checkpoint, tmp_path):
    run(space)
    shutil.copy(checkpoint, tmp_path / "copy.safetensors")
    assert run(space, checkpoint=tmp_path / "copy.safetensors")[0].already


def test_another_image_list_is_not_mixed_in(space, pictures, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(pictures / "ood", folder)
    options = {"dataset": ["mine"], "images": folder}
    run(space, **options)
    save(folder / "new.png", (1, 2, 3), np.random.default_rng(0))
    with pytest.raises(CacheMismatchError, match=r"images\.count: 11 in the cache, 12 now"):
        run(space, **options)


def test_settings_make_variants(space):
    files = [run(space, **o)[0].file.parent.name for o in ({}, {"transform": "moodv2"}, {"precision": "bf16"})]
    assert files == ["tiny", "tiny@moodv2", "tiny@bf16"]


def test_a_trial_is_marked_and_spread_over_the_dataset(space):
    (done,) = run(space, limit=6)
    with FeatureCache(done.file) as cache:
        assert cache.provenance["limit"] == 6
        assert cache.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_half_precision_keeps_the_invariant(space):
    (full,), (half,) = run(space), run(space, precision="bf16")
    head = read_head(space.head_file(TINY))
    stored = arrays(half.file)
    np.testing.assert_allclose(stored["logits"], stored["features"] @ head.weight.T + head.bias, rtol=1e-4, atol=1e-5)
    difference = np.abs(stored["features"] - arrays(full.file)["features"]).max()
    assert 0 < difference < 0.1


@pytest.fixture
def broken(tmp_path, pictures):
    folder = tmp_path / "broken"
    shutil.copytree(pictures / "ood", folder)
    whole = (folder / "04.png").read_bytes()
    (folder / "04.png").write_bytes(whole[: len(whole) // 2])
    (folder / "09.png").write_text("<html>not found</html>")
    return folder


def test_an_image_that_cannot_be_decoded_stops_and_is_named(space, broken):
    with pytest.raises(DataError, match=r"04\.png") as error:
        run(space, dataset=["mine"], images=broken)
    assert "--on-error skip" in str(error.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_on_error_skip_goes_on_and_the_cache_says_which(space, broken, pictures, workers):
    (intact,) = run(space, dataset=["ood"], images=pictures / "ood")
    (done,) = run(space, dataset=["mine"], images=broken, on_error="skip", workers=workers)
    assert done.undecodable == ("04.png", "09.png")
    stored, whole = arrays(done.file), arrays(intact.file)
    assert np.flatnonzero(stored["status"] == SKIPPED).tolist() == [4, 9]
    assert not stored["features"][[4, 9]].any()
    others = np.flatnonzero(stored["status"] == DONE)
    np.testing.assert_array_equal(stored["features"][others], whole["features"][others])


def test_undecodable_images_are_named(space, broken):
    said = []
    for _ in range(2):
        run(space, dataset=["mine"], images=broken, on_error="skip", report=said.append)
    assert "2 could not be decoded: 04.png, 09.png" in said[0]
    assert said[1].endswith("complete (11 images, 2 could not be decoded: 04.png, 09.png)")
    for name in ("00", "01", "02", "03"):
        (broken / f"{name}.png").write_bytes(b"")
    run(space, dataset=["ours"], images=broken, on_error="skip", report=said.append)
    assert said[-1].endswith("6 could not be decoded: 00.png, 01.png, 02.png, 03.png, 04.png, and 1 more")


def test_a_stopped_run_keeps_what_was_done_before(space, broken):
    with pytest.raises(DataError):
        run(space, dataset=["mine"], images=broken, batch_size=2)
    (done,) = run(space, dataset=["mine"], images=broken, batch_size=2, on_error="skip")
    assert done.begun_at == 4


def test_a_flipped_byte_is_found(space):
    (done,) = run(space)
    check_cache(done.file)
    with FeatureCache(done.file) as cache:
        position = cache.offset("features") + (17 * cache.dim + 5) * 4
    with done.file.open("r+b") as stream:
        stream.seek(position)
        byte = stream.read(1)[0]
        stream.seek(position)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(CacheError, match="1 rows do not match their checksums: 17"):
        check_cache(done.file)


def test_a_full_disk_is_seen_before_the_work(space, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((512, 512, 9, 9, 9, 9, 9, 9, 0, 255)))
    with pytest.raises(CacheError, match=r"the cache needs .*, the disk has .* left"):
        run(space)
    assert space.cached_models() == []


def test_a_full_disk_in_the_middle_loses_nothing(space, monkeypatch):
    (whole,) = run(space, variant="whole")
    put = FeatureCache._put

    def full(*values):
        if full.left == 0:
            raise OSError(28, "No space left on device")
        full.left -= 1
        put(*values)

    full.left = 8  # features, logits, status and checksums of two batches
    monkeypatch.setattr(FeatureCache, "_put", full)
    with pytest.raises(CacheError, match="the disk is full"):
        run(space)
    monkeypatch.setattr(FeatureCache, "_put", put)
    (done,) = run(space)
    assert done.begun_at == 16
    same(done.file, whole.file)


class Twisted(nn.Module):
    """A classifier whose logits are not linear in its features."""

    def __init__(self) -> None:
        super().__init__()
        self.num_classes = 3
        self.fc = nn.Linear(4, 3)

    def forward_features(self, x):
        return x.mean(dim=(2, 3)) @ torch.ones(3, 4)

    def forward_head(self, x, pre_logits=False):
        return x if pre_logits else self.fc(x).sin()

    def get_classifier(self):
        return self.fc


def test_a_head_that_is_not_linear_is_refused(space, pictures):
    backbone = moodbench.Backbone.from_module(
        Twisted(),
        moodbench.build_transform(
            "moodv2", {"input_size": (3, 32, 32), "mean": (0,) * 3, "std": (1,) * 3, "crop_pct": 1}
        ),
    )
    with pytest.raises(ModelError, match="not features @ weight") as error:
        extract(backbone, name="twisted", dataset=["mine"], images=pictures / "ood", workspace=space)
    assert "--no-head" in str(error.value)
    assert space.cached_models() == []


def test_any_module_works_from_python(space, pictures):
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 10), nn.ReLU(), nn.Linear(10, 3))
    transform = moodbench.build_transform("moodv2", {"input_size": (3, 32, 32)}, 32)
    backbone = moodbench.Backbone.from_module(network, transform, name="mlp")
    (done,) = extract(backbone, name="mlp", dataset=["mine"], images=pictures / "ood", workspace=space)
    stored = arrays(done.file)
    assert stored["features"].shape == (11, 10)
    np.testing.assert_allclose(
        stored["logits"], stored["features"] @ network[4].weight.detach().numpy().T + network[4].bias.detach().numpy(),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_without_head_there_are_no_logits(space):
    (done,) = run(space, with_head=False, variant="bare")
    assert "logits" not in arrays(done.file)
    assert not space.head_file(ModelName.parse("tiny@bare")).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"limit": 0},
        {"workers": -1},
        {"max_pixels": 0},
        {"device": "gpu"},
        {"device": "cuda:99"},
        {"dataset": ["a/b"]},
        {"precision": "fp8"},
        {"on_error": "ignore"},
        {"head_file": "head.npz", "with_head": False},
    ],
)
def test_senseless_options_are_usage_errors(space, options, pictures):
    with pytest.raises(UsageError):
        run(space, images=pictures / "ood", **options)


def test_nothing_on_this_disk_is_an_error_that_says_what_to_do(space, tmp_path, monkeypatch):
    monkeypatch.setattr("moodbench.datasets.chosen.is_on_disk", lambda *_: False)
    with pytest.raises(DataError, match="none of the catalogue's datasets is on this disk"):
        extract("tiny", workspace=space)


def test_a_wrong_number_of_images_is_noted(space, catalog):
    catalog.write_text(catalog.read_text().replace("title: Tiny train", "images: 50\n    title: Tiny train"))
    lines = []
    run(space, report=lines.append)
    assert lines[0] == "note: tiny_train has 42 images here, the catalogue expects 50"


# -- batches, memory, and what runs side by side ----------------------------------------------------------------------


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


class OfMyOwn:
    """A transform that is not moodbench's: it gives floats at once."""

    record = {"size": 8, "kind": "mine"}  # noqa: RUF012

    def __call__(self, image):
        return torch.tensor(np.asarray(image.resize((8, 8))), dtype=torch.float32).permute(2, 0, 1) / 300


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


def test_channels_last_is_noted_and_kept_by_a_run_that_goes_on(space, monkeypatch):
    (plain,) = run(space, variant="a", channels_last=False)
    (last,) = run(space, variant="b")
    for done, noted in ((plain, False), (last, True)):
        with FeatureCache(done.file) as cache:
            assert cache.provenance["channels_last"] is noted
    np.testing.assert_allclose(arrays(last.file)["features"], arrays(plain.file)["features"], rtol=1e-4, atol=1e-5)
    with h5py.File(last.file, "r+") as h5:
        h5["crc32"][30] = 0
        h5.attrs.modify("complete", np.uint8(0))
    layouts, original = [], Network._compute
    monkeypatch.setattr(Network, "_compute", lambda self, x: layouts.append(self.layout) or original(self, x))
    run(space, variant="b", channels_last=False)
    assert set(layouts) == {torch.channels_last}


class Viewing(nn.Module):
    """Reshapes without copying, which only the usual order of pixels allows."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(256, 2)

    def forward(self, images):
        return self.head(self.convolution(images).view(len(images), -1))


def test_a_network_that_does_not_take_channels_last_gets_the_usual_order(space, pictures):
    backbone = moodbench.Backbone.from_module(Viewing(), OfMyOwn(), name="viewing")
    options = {"dataset": ["mine"], "images": pictures / "ood", "workspace": space, "name": "viewing"}
    (done,) = extract(backbone, **options)
    with FeatureCache(done.file) as cache:
        assert cache.provenance["channels_last"] is False
    with pytest.raises(ModelError, match="does not work with channels last: view size"):
        extract(backbone, variant="asked", channels_last=True, **options)


@pytest.fixture
def compiler(monkeypatch):
    """A stand-in for `torch.compile`, which takes minutes: it notes how many rows each call has."""
    shown = []

    def compile(function, *, dynamic):
        assert dynamic is False

        def compiled(images):
            shown.append(len(images))
            return function(images)

        return compiled

    monkeypatch.setattr(torch, "compile", compile)
    return shown


def test_compiled_networks_see_one_shape_and_are_not_mixed_with_others(space, compiler):
    (plain,) = run(space, variant="v")
    with pytest.raises(CacheMismatchError, match="compile: False in the cache, True now"):
        run(space, variant="v", compile=True)
    (compiled,) = run(space, variant="c", compile=True)
    assert set(compiler) == {8}  # also of the last batch, which has 2 rows
    np.testing.assert_allclose(arrays(compiled.file)["features"], arrays(plain.file)["features"], rtol=1e-4, atol=1e-5)
    with FeatureCache(compiled.file) as cache:
        assert cache.provenance["compile"] is True


def test_a_cache_from_before_these_options_goes_on(space):
    (done,) = run(space)
    as_schema_1(done.file)
    with h5py.File(done.file, "r+") as h5:
        noted = json.loads(h5.attrs["provenance"])
        del noted["compile"], noted["channels_last"]
        h5.attrs["provenance"] = json.dumps(noted)
        h5["crc32"][9] = 0
        h5.attrs.modify("complete", np.uint8(0))
    assert run(space)[0].begun_at == 8


def test_no_compiler_is_one_message(space, monkeypatch):
    def compile(function, *, dynamic):
        def fails(images):
            raise LookupError("No working C++ compiler found\nlong story")

        return fails

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(ModelError, match=r"torch\.compile cannot compile 'test_vit' here") as error:
        run(space, compile=True)
    assert error.value.what.endswith("No working C++ compiler found")
    assert "leave --compile out" in str(error.value)
    assert space.cached_models() == []  # noticed before a cache is begun


def test_a_batch_is_written_while_the_next_is_computed(space, monkeypatch):
    """Each waits for the other: the second batch is computed only once the writing of the first has begun."""
    writing, computed = threading.Event(), threading.Event()
    write, compute = FeatureCache.write, Network.__call__

    def late(cache, start, *values):
        writing.set()
        if start == 0:
            assert computed.wait(20)
        write(cache, start, *values)

    def watched(network, pixels):
        output = compute(network, pixels)
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
    environment = {key: value for key, value in os.environ.items() if key not in BEFORE_TORCH} | given
    command = [sys.executable, "-c", AS_TORCH_IS_LOADED, str(catalog)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == f"{found}\n"


@pytest.mark.parametrize("array", ["features", "status", "crc32", "ids"])
def test_a_complete_cache_that_is_damaged_is_never_done_already(space, array):
    (done,) = run(space)
    with h5py.File(done.file, "r+") as h5:
        h5[array][30:] = np.zeros_like(h5[array][30:])
    lines = []
    with pytest.raises(CacheError) as caught:
        run(space, report=lines.append)
    assert caught.value.file == done.file
    assert lines == []
