"""Layouts write exactly the images that publishers packed, under the names that published lists use."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import pickletools
import struct
import tarfile
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from moodbench.catalog import ArchiveSpec, DatasetSpec
from moodbench.errors import CatalogError, DataError, UnknownNameError
from moodbench.obtain.layouts import cifar, imagenet
from moodbench.obtain.layouts.base import LAYOUTS


def tar(entries) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def described(value) -> str:
    """Name a case by its text: compressed bytes hold the time."""
    return value[:30] if isinstance(value, str) else "data"


def tree(root) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def pixels(file) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


@pytest.fixture
def lay(tmp_path):
    """Write archives and run a layout on them; its target folder comes back."""

    def lay(layout: str, archives: dict[str, bytes], **keys):
        specs = []
        for name, content in archives.items():
            (tmp_path / name).write_bytes(content)
            own = {"max_files": 1000, "max_bytes": 10_000_000, **keys}
            specs.append(ArchiveSpec(name, (), None, None, None, **own))
        spec = DatasetSpec("ours", "Ours", folder="ours", archives=tuple(specs), layout=layout)
        target = tmp_path / f"target{len(list(tmp_path.glob('target*')))}"
        target.mkdir()
        LAYOUTS.get(layout)(spec, {name: tmp_path / name for name in archives}, target, False)
        return target

    return lay


def test_every_layout_is_found():
    assert sorted(LAYOUTS.names()) == ["archive", "cifar", "imagenet_train", "imagenet_val", "mnist", "svhn"]
    with pytest.raises(UnknownNameError, match="there is no layout 'zip'"):
        LAYOUTS.get("zip")


# --- archive


def test_archives_that_share_a_folder(lay):
    one, two = (
        tar([("blur/1.jpg", b"1"), ("readme", b"same")]),
        gzip.compress(tar([("fog/1.jpg", b"2"), ("readme", b"same")])),
    )
    files = {"blur/1.jpg": b"1", "fog/1.jpg": b"2", "readme": b"same"}
    assert tree(lay("archive", {"blur.tar": one, "fog.tar": two})) == files
    assert tree(lay("archive", {"blur.tar": one, "fog.tar": two}, into="a/b")) == {
        f"a/b/{n}": c for n, c in files.items()
    }
    assert tree(lay("archive", {"one.tar": one}, take="blur", into="c")) == {"c/1.jpg": b"1"}
    with pytest.raises(DataError, match="more than 1 files"):
        lay("archive", {"blur.tar": one, "fog.tar": two}, max_files=1)


@pytest.mark.parametrize("layout", ["cifar", "imagenet_train", "imagenet_val", "mnist", "svhn"])
def test_archives_that_a_layout_does_not_know(lay, layout):
    with pytest.raises(CatalogError, match=f"has the layout '{layout}', which needs .*it has 'other.zip'"):
        lay(layout, {"other.zip": b""})
    with pytest.raises(CatalogError, match="it has none"):
        lay(layout, {})


def test_a_layout_that_takes_everything(lay):
    with pytest.raises(CatalogError, match="has 'take', which its layout 'imagenet_train' cannot do"):
        lay("imagenet_train", {imagenet.TRAIN: b""}, take="n01440764")


# --- ImageNet

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


# --- CIFAR


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
