"""Images that cannot be decoded, bytes that flip and disks that are full."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from moodbench.errors import CacheError, DataError
from moodbench.features.cache import DONE, SKIPPED, FeatureCache
from moodbench.features.stored import StoredCache
from moodbench.features.verify import check_cache
from tests.extracting import arrays, run, same


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
    with pytest.raises(CacheError, match="1 row does not match its checksum: 17"):
        check_cache(done.file)


def test_a_full_disk_is_seen_before_the_work(space, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((512, 512, 9, 9, 9, 9, 9, 9, 0, 255)))
    with pytest.raises(CacheError, match=r"the cache needs .*, the disk has .* left"):
        run(space)
    assert space.cached_models() == []


def test_a_full_disk_in_the_middle_loses_nothing(space, monkeypatch):
    (whole,) = run(space, variant="whole")
    put = StoredCache.put

    def full(*values):
        if full.left == 0:
            raise OSError(28, "No space left on device")
        full.left -= 1
        put(*values)

    full.left = 8  # features, logits, status and checksums of two batches
    monkeypatch.setattr(StoredCache, "put", full)
    with pytest.raises(CacheError, match="the disk is full"):
        run(space)
    monkeypatch.setattr(StoredCache, "put", put)
    (done,) = run(space)
    assert done.begun_at == 16
    same(done.file, whole.file)


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
