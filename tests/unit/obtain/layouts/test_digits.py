"""SVHN and MNIST: the images of their matrices and index files."""

from __future__ import annotations

import gzip
import io
import struct

import numpy as np
import pytest
from scipy.io import savemat

from moodbench.errors import CatalogError, DataError
from tests.archives import described, pixels, tree

# --- SVHN


def mat(**values) -> bytes:
    stream = io.BytesIO()
    savemat(stream, values)
    return stream.getvalue()


def test_svhn(lay):
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    labels = np.array([[5], [10], [1], [9]], np.uint8)
    target = lay("svhn", {"test_32x32.mat": mat(X=images, y=labels), "train_32x32.mat": mat(X=images, y=labels)})
    names = ["000001_5.png", "000002_0.png", "000003_1.png", "000004_9.png"]
    assert set(tree(target)) == {f"{split}/{name}" for split in ("test", "train") for name in names}
    for number, name in enumerate(names):
        np.testing.assert_array_equal(pixels(target / "test" / name), images[..., number])


X = np.zeros((32, 32, 3, 2), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>502 Bad Gateway</html>", "it is a web page"),
        (mat(X=X, y=np.array([[1], [2]], np.uint8))[:300], "cannot be read as MATLAB 5"),
        (mat(X=X), "has no images 'X'"),
        (mat(X=X.astype(float), y=np.ones((2, 1), np.uint8)), "has no images 'X'"),
        (mat(X=X, y=np.ones((3, 1), np.uint8)), "not one of 1 … 10 for each image"),
        (mat(X=X, y=np.array([[0], [1]], np.uint8)), "not one of 1 … 10 for each image"),
    ],
    ids=described,
)
def test_svhn_that_is_something_else(lay, content, message):
    with pytest.raises(DataError, match=message):
        lay("svhn", {"test_32x32.mat": content})


# --- MNIST


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_files(images, labels, split="t10k"):
    return {
        f"{split}-images-idx3-ubyte.gz": gzip.compress(idx(images)),
        f"{split}-labels-idx1-ubyte.gz": gzip.compress(idx(np.array(labels, np.uint8))),
    }


def test_mnist(lay):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    both = {**mnist_files(images, [7, 2, 1]), **mnist_files(images[:2], [5, 0], "train")}
    target = lay("mnist", both)
    assert set(tree(target)) == {"test/7_0.png", "test/2_1.png", "test/1_2.png", "train/5_0.png", "train/0_1.png"}
    np.testing.assert_array_equal(pixels(target / "test/1_2.png"), images[2])
    np.testing.assert_array_equal(pixels(target / "train/0_1.png"), images[1])
    uncompressed = {name: gzip.decompress(content) for name, content in both.items()}
    assert tree(lay("mnist", uncompressed)) == tree(target)
    assert set(tree(lay("mnist", mnist_files(images, [7, 2, 1]), into="m"))) == {
        "m/test/7_0.png",
        "m/test/2_1.png",
        "m/test/1_2.png",
    }


def test_mnist_without_its_labels(lay):
    files = mnist_files(np.zeros((1, 28, 28), np.uint8), [1])
    del files["t10k-labels-idx1-ubyte.gz"]
    with pytest.raises(CatalogError, match="needs all of the archives"):
        lay("mnist", files)


ONE = np.zeros((1, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx(ONE))[:-3], "damaged or cut off"),
        (gzip.compress(idx(ONE)[:-3]), "should have 784 values, and has 781"),
        (gzip.compress(idx(ONE) + b"more"), "should have 784 values, and has 788"),
        (gzip.compress(idx(ONE)[:9]), "the file is cut off"),
        (gzip.compress(idx(ONE[0])), "no idx file of 3 dimensions"),
        (gzip.compress(b"<html><title>403 Forbidden</title>"), r"it is a web page \('403 Forbidden'\)"),
        (b"", "it is empty"),
        (gzip.compress(bytes((0, 0, 8, 3)) + b"\xff" * 12), f"should have {(2**32 - 1) ** 3} values, and has 0"),
        (gzip.compress(idx(np.zeros((2, 28, 28), np.uint8))), "2 images, and 't10k-labels-idx1-ubyte.gz' 1 labels"),
    ],
    ids=described,
)
def test_mnist_that_is_something_else(lay, content, message):
    with pytest.raises(DataError, match=message):
        lay("mnist", {**mnist_files(ONE, [1]), "t10k-images-idx3-ubyte.gz": content})


def test_a_bomb_in_the_place_of_mnist(lay):
    bomb = gzip.compress(idx(ONE) + bytes(20_000_000))
    with pytest.raises(DataError, match="holds more than max_bytes in its catalogue entry allows"):
        lay("mnist", {**mnist_files(ONE, [1]), "t10k-images-idx3-ubyte.gz": bomb}, max_bytes=100_000)
