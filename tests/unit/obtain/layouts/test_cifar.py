"""CIFAR: the images of its batches, whose pickles run no code."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import pickletools
import struct
from typing import ClassVar

import numpy as np
import pytest

from moodbench.errors import DataError
from moodbench.obtain.layouts import cifar
from tests.archives import pixels, tar, tree


class Python2Pickler(pickle._Pickler):
    """Writes byte strings as Python 2 wrote its texts, and truth values as numbers: so are the published batches."""

    def save_bytes(self, value):
        length = len(value)
        self.write(b"U" + bytes([length]) + value if length < 256 else b"T" + struct.pack("<i", length) + value)
        self.memoize(value)

    def save_bool(self, value):
        self.write(b"K" + bytes([value]))

    dispatch: ClassVar = {**pickle._Pickler.dispatch, bytes: save_bytes, bool: save_bool}


def python2(value) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(value)
    data = stream.getvalue().replace(b"numpy._core.", b"numpy.core.")
    assert {code.name for code, _, _ in pickletools.genops(data)} >= {"SHORT_BINSTRING"}
    return data


def batch(labels, key=b"labels") -> tuple[np.ndarray, bytes]:
    data = np.random.default_rng(0).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    names = [b"img_%d.png" % i for i in range(len(labels))]
    return data, python2({b"data": data, key: list(labels), b"filenames": names, b"batch_label": b"training batch"})


def as_image(row: np.ndarray) -> np.ndarray:
    red, green, blue = row.reshape(3, 32, 32)
    return np.dstack([red, green, blue])


@pytest.fixture
def trust(monkeypatch):
    """Put the MD5 of made-up files in place of the published ones."""

    def trust(files: dict[str, bytes]):
        for name, content in files.items():
            monkeypatch.setitem(cifar.MD5, name, hashlib.md5(content).hexdigest())
        return gzip.compress(tar(files.items()), 1)

    return trust


def cifar10_files():
    """Batches in an order that is not theirs, as in the published archive."""
    labels = {1: [6, 9, 9], 2: [1, 6], 3: [0], 4: [9, 0], 5: [6]}
    made = {f"cifar-10-batches-py/data_batch_{i}": batch(labels[i]) for i in (4, 3, 2, 5, 1)}
    made["cifar-10-batches-py/test_batch"] = batch([3, 8, 3])
    rows = {name: data for name, (data, _) in made.items()}
    return rows, {
        "cifar-10-batches-py/readme.html": b"<html>",
        **{name: content for name, (_, content) in made.items()},
    }


def test_cifar10(lay, trust):
    rows, files = cifar10_files()
    target = lay("cifar", {"cifar-10-python.tar.gz": trust(files)})
    expected = {
        "train/frog/0001.png": (1, 0),
        "train/truck/0001.png": (1, 1),
        "train/truck/0002.png": (1, 2),
        "train/automobile/0001.png": (2, 0),
        "train/frog/0002.png": (2, 1),
        "train/airplane/0001.png": (3, 0),
        "train/truck/0003.png": (4, 0),
        "train/airplane/0002.png": (4, 1),
        "train/frog/0003.png": (5, 0),
    }
    found = {name for name in tree(target) if name.startswith("train/")}
    assert found == set(expected)
    for name, (number, row) in expected.items():
        image = pixels(target / name)
        np.testing.assert_array_equal(image, as_image(rows[f"cifar-10-batches-py/data_batch_{number}"][row]))
    test = rows["cifar-10-batches-py/test_batch"]
    for row, name in enumerate(["cat/0001.png", "ship/0001.png", "cat/0002.png"]):
        np.testing.assert_array_equal(pixels(target / "test" / name), as_image(test[row]))


def test_the_same_bytes_every_time(lay, trust):
    data = trust(cifar10_files()[1])
    assert tree(lay("cifar", {"cifar-10-python.tar.gz": data})) == tree(lay("cifar", {"cifar-10-python.tar.gz": data}))


def cifar100_files(names=(b"apple", b"aquarium_fish", b"worm")):
    train, train_file = batch([2, 0, 2], b"fine_labels")
    test, test_file = batch([1], b"fine_labels")
    meta = python2({b"fine_label_names": list(names), b"coarse_label_names": [b"fish"]})
    files = {"cifar-100-python/meta": meta, "cifar-100-python/test": test_file, "cifar-100-python/train": train_file}
    return train, test, files


def test_cifar100(lay, trust):
    train, test, files = cifar100_files()
    target = lay("cifar", {"cifar-100-python.tar.gz": trust(files)})
    assert set(tree(target)) == {
        "train/worm/0001.png",
        "train/apple/0001.png",
        "train/worm/0002.png",
        "test/aquarium_fish/0001.png",
    }
    np.testing.assert_array_equal(pixels(target / "train/worm/0002.png"), as_image(train[2]))
    np.testing.assert_array_equal(pixels(target / "test/aquarium_fish/0001.png"), as_image(test[0]))


@pytest.mark.parametrize("names", [(b"a", b"../b", b"c"), (b"a", b"b/c", b"d"), (b"", b"b", b"c"), ()])
def test_cifar100_whose_classes_have_no_usable_names(lay, trust, names):
    with pytest.raises(DataError, match="no usable names of classes"):
        lay("cifar", {"cifar-100-python.tar.gz": trust(cifar100_files(names)[2])})


def test_cifar_whose_files_are_not_the_published_ones(lay):
    with pytest.raises(DataError, match=r"data_batch_4' in the archive has the MD5 \w{32}, not 634d18415352ddfa80567b"):
        lay("cifar", {"cifar-10-python.tar.gz": gzip.compress(tar(cifar10_files()[1].items()))})


def test_cifar_that_lacks_a_batch(lay, trust):
    files = cifar10_files()[1]
    del files["cifar-10-batches-py/data_batch_2"]
    with pytest.raises(DataError, match="there is no 'cifar-10-batches-py/data_batch_2' in the archive"):
        lay("cifar", {"cifar-10-python.tar.gz": trust(files)})


class Program:
    """Runs when a careless program unpickles it."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def bad_batches(tmp_path):
    data, labels = np.zeros((2, 3072), np.uint8), [0, 1]
    yield "refused: it asks for", pickle.dumps({b"data": Program(tmp_path / "ran"), b"labels": labels}, 2)
    yield "cannot be read", b"\x80\x02}q"
    yield "cannot be read", pickle.dumps([1, 2], 2)
    yield "'labels'", python2({b"data": data, b"x": b"x"})
    yield "do not fit together", python2({b"data": data, b"labels": [0]})
    yield "do not fit together", python2({b"data": data.astype(float), b"labels": labels})
    yield "a label that no class has", python2({b"data": data, b"labels": [0, 10]})
    yield "cannot reshape", python2({b"data": data[:, :3000], b"labels": labels})


@pytest.mark.parametrize("case", range(8))
def test_cifar_batches_that_are_something_else(lay, trust, tmp_path, case):
    message, content = list(bad_batches(tmp_path))[case]
    files = {**cifar10_files()[1], "cifar-10-batches-py/test_batch": content}
    with pytest.raises(DataError, match=message) as caught:
        lay("cifar", {"cifar-10-python.tar.gz": trust(files)})
    assert "test_batch" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_what_careless_unpickling_would_do(tmp_path):
    """The program of the test above does run where nobody prevents it."""
    pickle.loads(pickle.dumps(Program(tmp_path / "ran"))).close()
    assert (tmp_path / "ran").exists()
