"""ImageNet: the images that its publisher packed, under the names that published lists use."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from scipy.io import savemat

from moodbench.errors import CatalogError, DataError
from moodbench.obtain.layouts import imagenet
from tests.archives import described, tar, tree

WNIDS = {1: "n02119789", 2: "n02100735", 3: "n01440764"}
"""ILSVRC2012_ID → WordNet id: not in the order of their names."""


def devkit(truth: str, classes=WNIDS, folder="ILSVRC2012_devkit_t12/") -> bytes:
    fields = (
        "ILSVRC2012_ID",
        "WNID",
        "words",
        "gloss",
        "num_children",
        "children",
        "wordnet_height",
        "num_train_images",
    )
    rows = [(number, wnid, "kit fox", "a fox", 0, [], 0, 1300) for number, wnid in classes.items()]
    rows.append((1001, "n00001740", "entity", "that which is", 3, [1, 2, 3], 19, 0))
    synsets = np.empty((len(rows), 1), dtype=[(field, object) for field in fields])
    for place, row in enumerate(rows):
        synsets[place, 0] = row
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets})
    return gzip.compress(
        tar(
            [
                (f"{folder}readme.txt", b"ILSVRC2012"),
                (f"{folder}data/ILSVRC2012_validation_ground_truth.txt", truth.encode()),
                (f"{folder}data/meta.mat", stream.getvalue()),
                (f"{folder}._meta.mat", b"by a Mac"),
            ]
        )
    )


def val(*numbers: int) -> bytes:
    return tar([(f"ILSVRC2012_val_{n:08d}.JPEG", f"image {n}".encode()) for n in numbers])


def test_imagenet_val(lay):
    target = lay("imagenet_val", {imagenet.VAL: val(3, 1, 4, 2), imagenet.DEVKIT: devkit("2\n3\n1\n3\n")}, into="val")
    assert tree(target) == {
        "val/n02100735/ILSVRC2012_val_00000001.JPEG": b"image 1",
        "val/n01440764/ILSVRC2012_val_00000002.JPEG": b"image 2",
        "val/n02119789/ILSVRC2012_val_00000003.JPEG": b"image 3",
        "val/n01440764/ILSVRC2012_val_00000004.JPEG": b"image 4",
    }


@pytest.mark.parametrize(
    ("images", "kit", "message"),
    [
        (val(1, 2), devkit("1\n2\n3\n"), "2 images are in the archive, and 3 in the ground truth"),
        (val(1, 2, 3), devkit("1\n2\n1001\n"), "the ground truth holds 1001, which is no class"),
        (val(1), devkit("kit fox"), "the ground truth holds .* which is no class"),
        (val(1), devkit("1", {1: "../../x"}), "classes that are no WordNet ids"),
        (val(1), devkit("1", {1: "n01440764", 2: "n01440764"}), "or one twice"),
        (val(1), gzip.compress(tar([("x/data/meta.mat", b"")])), "there is no 'data/ILSVRC2012_validation_ground"),
        (
            val(1),
            gzip.compress(tar([("data/meta.mat", b"MATLAB?"), ("data/ILSVRC2012_validation_ground_truth.txt", b"1")])),
            "'data/meta.mat' in the development kit cannot be read",
        ),
        (val(1, 1), devkit("1\n1\n"), "two images in the archive have the same name"),
        (b"<html><title>Log in</title>", devkit("1"), r"web page \('Log in'\)"),
    ],
    ids=described,
)
def test_imagenet_val_that_does_not_fit_together(lay, images, kit, message):
    with pytest.raises(DataError, match=message):
        lay("imagenet_val", {imagenet.VAL: images, imagenet.DEVKIT: kit})


def test_imagenet_val_without_its_development_kit(lay):
    with pytest.raises(CatalogError, match="needs all of the archives"):
        lay("imagenet_val", {imagenet.VAL: val(1)})


def test_imagenet_train(lay):
    classes = {wnid: [(f"{wnid}_{n}.JPEG", f"{wnid} {n}".encode() * 2000) for n in range(5)] for wnid in WNIDS.values()}
    outer = tar([("._n01.tar", b"by a Mac"), *((f"{wnid}.tar", tar(images)) for wnid, images in classes.items())])
    assert tree(lay("imagenet_train", {imagenet.TRAIN: outer})) == {
        f"{wnid}/{name}": content for wnid, images in classes.items() for name, content in images
    }
    with pytest.raises(DataError, match="damaged or cut off"):
        lay("imagenet_train", {imagenet.TRAIN: outer[: len(outer) // 2]})
    with pytest.raises(DataError, match="more than 14 files"):
        lay("imagenet_train", {imagenet.TRAIN: outer}, max_files=14)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("n01440764_10026.JPEG", b"1")], "where only tars of one class each should be"),
        ([("n01440764.tar", b"\xff\xd8\xff" * 400)], "'n01440764.tar' in the archive should be a tar"),
        ([("n01440764.tar", tar([("../../x", b"1")]))], "refused: it has a member whose name contains '..'"),
        ([("n01440764.tar", tar([]))], "there is no image in the archive"),
    ],
    ids=described,
)
def test_imagenet_train_that_is_something_else(lay, entries, message):
    with pytest.raises(DataError, match=message):
        lay("imagenet_train", {imagenet.TRAIN: tar(entries)})
