"""Duplicates, overlaps and pictures that are nearly the same, and the hashes that tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from moodbench.commands.verify import verify
from moodbench.inspection import decoding, overlap
from moodbench.inspection.decoding import likeness
from moodbench.inspection.overlap import count_bits, count_bits_by_table, nearest_hashes
from tests.disks import IMAGES, picture


def test_duplicates_are_told_and_not_wrong(disk):
    disk.entry("id", images=IMAGES + 2)
    disk.save("id", "c/same.png", picture(1), compress_level=0)  # other bytes, the same pixels
    disk.file("id", "c/copy.png").write_bytes(disk.file("id", "b/3.png").read_bytes())
    disk.note("id")
    assert disk.look("id") == {"id": [("duplicate", "c/copy.png")]}  # from the manifest
    (made,) = verify(("id",), deep=True, workspace=disk.space())
    pairs = [(f.kind, f.path, f.other_path) for f in made.findings]
    assert pairs == [("duplicate", "c/copy.png", "b/3.png"), ("duplicate", "c/same.png", "b/1.png")]
    assert made.ok


def test_an_overlap_of_id_and_ood_is_a_fault_of_the_benchmark(disk):
    disk.file("ood", "a/0.png").write_bytes(disk.file("id", "a/4.png").read_bytes())
    assert disk.look("id", "ood")["ood"] == []  # no manifest: nothing is known of the content
    found = {"id": [], "ood": [("overlap", "a/0.png")]}
    assert disk.look("id", "ood", deep=True) == found
    disk.note("id", "ood")
    assert disk.look("id", "ood") == found
    (overlapping,) = verify(("id", "ood"), workspace=disk.space())[1].findings
    assert (overlapping.other_dataset, overlapping.other_path, overlapping.benchmarks) == ("id", "a/4.png", ("b",))
    assert disk.look("ood") == {"ood": []}
    assert disk.state("ood")["state"] == "deep verified"  # its images are what they should be


def test_a_dataset_that_is_id_and_ood_by_its_classes_does_not_overlap(disk):
    disk.file("ood", "a/0.png").write_bytes(disk.file("id", "a/4.png").read_bytes())
    disk.content["benchmarks"]["b"] = {"id_train": "id", "id_test": "ood", "ood": {"o": ["ood"]}, "classes": [0]}
    assert disk.look("id", "ood", deep=True) == {"id": [], "ood": []}


def test_nearly_the_same_pictures_are_told(disk):
    disk.entry("id", images=IMAGES + 1)
    disk.save("id", "c/small.jpg", picture(104).resize((18, 18)), quality=85)
    assert disk.look("id", "ood", deep=True) == {"id": [], "ood": []}
    made = verify(("id", "ood"), near=True, workspace=disk.space())[1]
    (found,) = made.findings
    assert (found.kind, found.path, found.other_path, found.fault) == ("near", "a/4.png", "c/small.jpg", False)
    assert made.ok
    assert made.deep
    disk.save("ood", "a/4.png", picture(104).resize((18, 18)))
    disk.file("id", "c/small.jpg").unlink()
    disk.save("id", "c/small.png", picture(104).resize((18, 18)))
    assert disk.look("id", "ood", near=True)["ood"] == [("overlap", "a/4.png")]  # and not near, too


def test_an_image_of_two_datasets_is_decoded_once(disk, monkeypatch):
    asked = []
    honest = decoding.check_image
    monkeypatch.setattr(decoding, "check_image", lambda path, *how: asked.append(path) or honest(path, *how))
    assert disk.look("ood", "part", deep=True) == {"ood": [], "part": []}
    assert len(asked) == len(set(asked)) == IMAGES


class TestHashes:
    @given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.lists(st.integers(0, 2**64 - 1), max_size=20))
    def test_the_nearest_is_the_nearest(self, queries, hashes):
        nearest, distance = nearest_hashes(np.array(queries, np.uint64), np.array(hashes, np.uint64))
        for query, index, bits in zip(queries, nearest.tolist(), distance.tolist(), strict=True):
            every = [(query ^ value).bit_count() for value in hashes]
            assert bits == min(every, default=255)
            assert not every or index == every.index(bits)

    def test_blocks_change_nothing(self, monkeypatch):
        rng = np.random.default_rng(0)
        queries, hashes = rng.integers(0, 2**63, 50, np.uint64), rng.integers(0, 2**63, 70, np.uint64)
        whole = nearest_hashes(queries, hashes)
        for block in (1, 16, 71, 500):
            monkeypatch.setattr(overlap, "BLOCK", block)
            for ours, theirs in zip(nearest_hashes(queries, hashes), whole, strict=True):
                assert (ours == theirs).all()

    @given(st.lists(st.integers(0, 2**64 - 1), max_size=9))
    def test_both_ways_to_count_bits_agree(self, values):
        array = np.array(values, np.uint64)
        expected = [value.bit_count() for value in values]
        assert count_bits(array).tolist() == count_bits_by_table(array).tolist() == expected

    @pytest.mark.parametrize("grey", [0, 127, 200, 255])
    def test_flat_pictures_are_like_nothing(self, grey):
        assert likeness(Image.new("RGB", (50, 40), (grey, grey, grey))) is None

    def test_a_recoded_photograph_stays_within_four_bits(self, tmp_path):
        from sklearn.datasets import load_sample_image

        for name in ("china", "flower"):
            photo = Image.fromarray(load_sample_image(f"{name}.jpg"))
            photo.resize((320, 213)).save(tmp_path / "x.jpg", quality=40)
            with Image.open(tmp_path / "x.jpg") as recoded:
                assert (likeness(photo) ^ likeness(recoded.convert("RGB"))).bit_count() <= overlap.NEAR_BITS
