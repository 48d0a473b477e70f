"""The same images packed in any way are the same images: ids, labels, pixels, and what refuses to be read says so."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from moodbench.catalog import load_catalog
from moodbench.datasets.images import folder_images, is_on_disk, open_images, packed_images
from moodbench.datasets.packed import listing
from moodbench.datasets.packed.places import is_packed, packed_place
from moodbench.datasets.packed.storage import expand
from moodbench.errors import DataError
from moodbench.features.loading import load_batches
from moodbench.features.settings import Settings
from moodbench.models.transforms import build_transform
from tests.packed import files_of, write_arrow, write_parquet, write_shards, write_tar, write_zip

CONFIG = {"input_size": (3, 16, 16), "crop_pct": 0.9, "crop_mode": "center", "interpolation": "bicubic"}
CONFIG |= {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def opened(where, **options):
    return packed_images(packed_place(where), **options)


def pixels(images):
    return [np.asarray(images.load(i)) for i in range(len(images))]


@pytest.fixture
def members(pictures):
    return files_of(pictures / "train")


@pytest.fixture
def places(tmp_path, members):
    nested = [(f"inner/{name}", data) for name, data in members]
    return {
        "tar": write_tar(tmp_path / "a.tar", [(f"./{name}", data) for name, data in reversed(members)]),
        "zip": write_zip(tmp_path / "a.zip", members),
        "stored": write_zip(tmp_path / "stored.ZIP", members, zipfile.ZIP_STORED),
        "inner": f"{write_zip(tmp_path / 'nested.zip', [*nested, ('other/x.png', b'')])}/inner",
        "shards": write_shards(tmp_path, members),
        "parquet": write_parquet(tmp_path / "a.parquet", members),
        "arrow": write_arrow(tmp_path / "saved", members),
    }


@pytest.mark.parametrize("kind", ["tar", "zip", "stored", "inner"])
def test_an_archive_of_a_folder_is_that_folder(pictures, places, kind):
    there, packed = folder_images(pictures / "train"), opened(places[kind])
    assert packed.ids == there.ids
    assert packed.classes == there.classes == ("amber", "blue", "green")
    assert packed.fingerprint == there.fingerprint
    for a, b in zip(pixels(packed), pixels(there), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["shards", "parquet", "arrow"])
def test_rows_and_shards_keep_their_order_and_bring_labels(pictures, places, kind):
    there, packed = folder_images(pictures / "train"), opened(places[kind])
    np.testing.assert_array_equal(packed.labels, there.labels)
    assert packed.classes == (() if kind == "shards" else there.classes)
    for a, b in zip(pixels(packed), pixels(there), strict=True):
        np.testing.assert_array_equal(a, b)
    assert packed.ids == (there.ids if kind != "shards" else packed.ids)
    assert packed.ids[:2] == (("train-0000/0000.png", "train-0000/0001.png") if kind == "shards" else there.ids[:2])


@pytest.mark.parametrize("kind", ["tar", "zip", "shards", "parquet", "arrow"])
def test_processes_read_what_one_process_reads(pictures, places, kind):
    packed, there = opened(places[kind]), folder_images(pictures / "train")
    rows = [np.arange(len(there))]
    transform = build_transform("model", CONFIG, 16)
    expected = next(load_batches(there, rows, transform, Settings(workers=0, device="cpu")))
    found = next(load_batches(packed, rows, transform, Settings(workers=2, device="cpu")))
    np.testing.assert_array_equal(found.pixels.numpy(), expected.pixels.numpy())
    assert not found.errors


def test_a_list_selects_from_an_archive_and_orders(places, tmp_path):
    (tmp_path / "list.txt").write_text("green/03.png 7\namber/00.png 2\n")
    chosen = opened(places["tar"], image_list=tmp_path / "list.txt")
    assert chosen.ids == ("green/03.png", "amber/00.png")
    assert chosen.labels.tolist() == [7, 2]
    (tmp_path / "list.txt").write_text("green/99.png\n")
    with pytest.raises(DataError, match=r"green/99\.png"):
        opened(places["tar"], image_list=tmp_path / "list.txt")


def test_include_and_labels_follow_the_rules_of_folders(places):
    assert opened(places["zip"], include=["blue"]).classes == ("blue",)
    assert set(opened(places["zip"], labels="none").labels.tolist()) == {-1}
    with pytest.raises(DataError, match="red"):
        opened(places["zip"], include=["red"])


def test_what_is_hidden_or_no_image_is_left_out(tmp_path, members):
    junk = [(".hidden.png", b"x"), ("__MACOSX/._a.png", b"x"), ("notes.txt", b"x"), ("a/.b/c.png", b"x")]
    images = opened(write_zip(tmp_path / "a.zip", [*members, *junk]))
    assert len(images) == len(members)
    assert images.left_out == {".txt": 1}


def test_links_within_a_tar_lead_to_what_they_name(tmp_path, members):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("a/x.png")
        info.size = len(members[0][1])
        tar.addfile(info, io.BytesIO(members[0][1]))
        for name, kind, target in (("b/y.png", tarfile.SYMTYPE, "../a/x.png"), ("c/z.png", tarfile.LNKTYPE, "a/x.png")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
    images = opened(tmp_path / "a.tar")
    assert images.ids == ("a/x.png", "b/y.png", "c/z.png")
    assert len({images.read(i) for i in range(3)}) == 1


def test_the_last_of_members_with_one_name_counts_as_when_unpacked(tmp_path, members):
    images = opened(write_tar(tmp_path / "a.tar", [("a.png", b"old"), ("a.png", members[0][1])]))
    assert images.ids == ("a.png",)
    assert images.read(0) == members[0][1]


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b.png"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="leads out"):
        opened(write_tar(tmp_path / "a.tar", [(name, b"x")]))


def test_an_index_is_kept_and_made_anew_when_the_archive_changes(tmp_path, members, monkeypatch):
    file = write_tar(tmp_path / "a.tar", members)
    first = opened(file, data_dir=tmp_path)
    (kept,) = (tmp_path / "indexes").iterdir()
    with monkeypatch.context() as patch:
        patch.setitem(listing._READERS, "tar", None)  # nothing is read but the index
        assert opened(file, data_dir=tmp_path).fingerprint == first.fingerprint
    kept.write_bytes(kept.read_bytes()[:-100])
    assert opened(file, data_dir=tmp_path).fingerprint == first.fingerprint
    write_tar(file, members[:5])
    assert len(opened(file, data_dir=tmp_path)) == 5


def test_a_folder_that_cannot_be_written_keeps_no_index(tmp_path, members):
    (tmp_path / "indexes").write_text("a file in the way")
    assert len(opened(write_tar(tmp_path / "a.tar", members), data_dir=tmp_path)) == len(members)


def test_a_damaged_member_is_named_and_the_others_are_read(tmp_path, members):
    file = write_zip(tmp_path / "a.zip", members)
    data = bytearray(file.read_bytes())
    place = data.index(members[3][0].encode()) + len(members[3][0]) + 40
    data[place : place + 4] = b"oops"
    file.write_bytes(data)
    images = opened(file)
    with pytest.raises(DataError, match="damaged") as error:
        images.load(3)
    assert str(error.value.file).endswith(f"a.zip/{members[3][0]}")
    images.load(2)
    images.load(4)


def test_a_tar_that_is_cut_off_anywhere_is_refused(tmp_path, members):
    whole = write_tar(tmp_path / "whole.tar", members[:4]).read_bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in [*range(0, end, 333), *range(512, end, 512)]:
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"cut off|no tar|damaged"):
            opened(tmp_path / "a.tar")


def test_a_damaged_header_is_not_the_end(tmp_path, members):
    file = write_tar(tmp_path / "a.tar", members[:4])
    data = bytearray(file.read_bytes())
    second = data.index(members[1][0].encode())
    data[second + 148 : second + 156] = b"????????"  # its checksum
    file.write_bytes(data)
    with pytest.raises(DataError, match=f"damaged at byte {second}"):
        opened(file)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar"])
def test_what_is_compressed_as_a_whole_is_refused(tmp_path, members, name):
    file = tmp_path / name
    file.write_bytes(gzip.compress(write_tar(tmp_path / "plain.tar", members).read_bytes()))
    assert is_packed(file)
    with pytest.raises(DataError, match="compressed as a whole"):
        opened(file)


def test_a_zip_with_other_compression_is_refused_by_name(tmp_path, members):
    with pytest.raises(DataError, match="method 14") as error:
        opened(write_zip(tmp_path / "a.zip", members[:1], zipfile.ZIP_LZMA))
    assert str(error.value.file).endswith(members[0][0])


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("x-{08..11}.tar", ["x-08.tar", "x-09.tar", "x-10.tar", "x-11.tar"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
        ("x.tar", ["x.tar"]),
        ("x{y}.tar", ["x{y}.tar"]),
    ],
)
def test_patterns_stand_for_files(pattern, files):
    assert expand(pattern) == tuple(files)


def test_patterns_with_stars_are_looked_up(tmp_path):
    for name in ("b.tar", "a.tar", "c.txt"):
        (tmp_path / name).touch()
    assert expand(f"{tmp_path}/*.tar") == (f"{tmp_path}/a.tar", f"{tmp_path}/b.tar")
    with pytest.raises(DataError, match="no file fits"):
        expand(f"{tmp_path}/*.zip")


@pytest.mark.parametrize("pattern", ["{0..99999999}.tar", "{0..999}{0..999}.tar", "{9..1}.tar"])
def test_patterns_that_make_no_sense_are_refused(pattern):
    with pytest.raises(DataError):
        expand(pattern)


def test_a_shard_that_is_missing_is_named(tmp_path, members):
    pattern = write_shards(tmp_path, members)
    (tmp_path / "train-0001.tar").unlink()
    with pytest.raises(DataError, match="does not exist") as error:
        opened(pattern)
    assert error.value.file.name == "train-0001.tar"


def test_a_table_without_bytes_or_with_several_images_says_so(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    file = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pa.table({"left": [b"1"], "right": [b"2"], "n": [1]}), file)
    with pytest.raises(DataError, match=r"several columns may hold images \(left, right\)"):
        opened(file)
    pyarrow.parquet.write_table(pa.table({"n": [1]}), file)
    with pytest.raises(DataError, match="no column holds images"):
        opened(file)
    pyarrow.parquet.write_table(pa.table({"image": [{"bytes": None, "path": "elsewhere.png"}]}, _struct()), file)
    with pytest.raises(DataError, match="no bytes of an image") as error:
        opened(file).load(0)
    assert error.value.file.name == "elsewhere.png"


def _struct():
    import pyarrow as pa

    return pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()})})


def test_a_folder_of_several_splits_names_them(tmp_path, members):
    write_arrow(tmp_path / "train", members)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(DataError, match="several splits: train"):
        is_packed(tmp_path)


def test_the_catalogue_takes_archives_patterns_and_addresses(tmp_path, members):
    write_shards(tmp_path, members)
    (tmp_path / "datasets.yaml").write_text(
        """
datasets:
  shards: {title: Shards, path: "train-{0000..0002}.tar", images: 42}
  gone: {title: Gone, path: gone.zip}
  far: {title: Far, path: "s3://bucket/train.tar"}
"""
    )
    catalog = load_catalog([tmp_path / "datasets.yaml"])
    shards, gone, far = (catalog.dataset(name) for name in ("shards", "gone", "far"))
    assert len(open_images(shards, tmp_path)) == 42
    assert [is_on_disk(spec, tmp_path) for spec in (shards, gone, far)] == [True, False, True]
    assert (far.address, far.path, far.source) == ("s3://bucket/train.tar", None, "elsewhere")
    with pytest.raises(DataError, match="does not exist"):
        open_images(gone, tmp_path)


def test_an_address_of_an_unknown_kind_is_refused():
    with pytest.raises(DataError, match="nosuch"):
        opened("nosuch://bucket/a.tar")


def test_an_archive_without_images_says_so(tmp_path):
    with pytest.raises(DataError, match=r"the zip holds no images, but other files: 1 \.txt"):
        opened(write_zip(tmp_path / "a.zip", [("a.txt", b"x")]))


def test_a_path_in_an_archive_that_is_not_there_says_so(places):
    with pytest.raises(DataError, match="the archive has no folder 'nowhere'") as error:
        opened(f"{Path(places['tar'])}/nowhere")
    assert error.value.fix == "it has: amber, blue, green"


def link(tar, name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    tar.addfile(info)


def test_a_link_after_a_file_of_its_name_replaces_it_as_when_unpacked(tmp_path, members):
    with tarfile.open(write_tar(tmp_path / "a.tar", [("a.png", members[0][1]), ("b.png", members[1][1])]), "a") as tar:
        link(tar, "b.png", "a.png")
    images = opened(tmp_path / "a.tar")
    assert images.read(1) == members[0][1]


@pytest.mark.parametrize(
    ("name", "target"), [("d", "c"), ("x.png", "../x.png"), ("x.png", "y.png"), ("x.png", "x.png")]
)
def test_links_that_lead_to_no_file_in_the_tar_are_refused(tmp_path, members, name, target):
    with tarfile.open(write_tar(tmp_path / "a.tar", [("c/a.png", members[0][1])]), "a") as tar:
        link(tar, name, target)
    with pytest.raises(DataError, match="link"):
        opened(tmp_path / "a.tar")


def test_a_tar_of_other_content_with_the_same_size_and_time_is_not_read_by_the_old_index(tmp_path, members):
    import os

    (one, first), (other, second) = [(name, data[:500]) for name, data in members[:2]]
    file = write_tar(tmp_path / "a.tar", [(one, first), (other, second)])
    status = file.stat()
    opened(file, data_dir=tmp_path)
    write_tar(file, [(other, second), (one, first)])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DataError, match="damaged"):
        opened(file, data_dir=tmp_path).read(0)


def test_a_class_that_is_no_number_is_no_label_and_said(tmp_path, members):
    inside = [("0.png", members[0][1]), ("0.cls", b"cat"), ("1.png", members[1][1]), ("1.cls", b"4")]
    images = opened(write_tar(tmp_path / "a.tar", inside))
    assert images.labels.tolist() == [-1, 4]
    assert images.remarks == ("1 of 2 images has no label (without a number beside them)",)
    assert not images.left_out


def test_other_parts_of_a_sample_are_no_images_of_their_own(tmp_path, members):
    inside = [("0.png", members[0][1]), ("0.seg.png", members[1][1]), ("0.cls", b"1"), ("1.v2.png", members[1][1])]
    images = opened(write_tar(tmp_path / "a.tar", inside))
    assert images.ids == ("0.png", "1.v2.png")
    assert images.left_out == {".seg.png": 1}
