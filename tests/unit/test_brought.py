"""Files that people bring: what they declare is compared with what they are, before anything is taken for it."""

from __future__ import annotations

import codecs
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest

from moodbench.commands.import_ import import_features
from moodbench.errors import DataError, ModelError
from moodbench.features import npy
from moodbench.features.heads import read_head
from moodbench.features.reader import RowReader
from moodbench.pickles import load_pickle
from moodbench.workspace import Workspace

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 4)).astype(np.float32)
W, B = RNG.normal(size=(3, 4)).astype(np.float32), RNG.normal(size=3).astype(np.float32)


@pytest.fixture
def bring(tmp_path):
    """Return what imports a file as rows of a model of its own."""
    count = iter(range(100))

    def run(file, **more):
        return import_features(f"net{next(count)}", "set", file, workspace=Workspace(cache_dir=tmp_path / "c"), **more)

    return run


def rows_of(done):
    (block,) = RowReader(done.file).blocks(100)
    return block.features


def npy_header(shape, descr="<f4"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


# -- arrays -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f2", ">f8", "<i2", "u1"])
@pytest.mark.parametrize("fortran", [False, True])
def test_every_kind_of_number_and_order(tmp_path, bring, monkeypatch, save, kind, fortran):
    monkeypatch.setattr("moodbench.features.given.BLOCK", 48)  # several blocks
    values = (np.abs(X) * 20).astype(kind)
    values = np.asfortranarray(values) if fortran else values
    save(tmp_path / "rows.npz", features=values)
    np.save(tmp_path / "rows.npy", values)
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(values))
    for name in ("rows.npz", "rows.npy", "rows.pkl"):
        np.testing.assert_array_equal(rows_of(bring(tmp_path / name)), values.astype(np.float32))


def test_an_archive_that_unpacks_to_far_more_is_refused_by_its_header(tmp_path, bring, monkeypatch):
    monkeypatch.setattr(npy, "ROOM", 1 << 10)
    np.savez_compressed(tmp_path / "bomb.npz", features=np.zeros((4000, 100), np.float32))
    with pytest.raises(DataError, match=r"'features'.*unpacks from .* bytes to 1600000"):
        bring(tmp_path / "bomb.npz")
    np.savez_compressed(tmp_path / "real.npz", features=RNG.normal(size=(400, 100)))
    assert bring(tmp_path / "real.npz").rows == 400


@pytest.mark.parametrize("shape", [(10**9, 768), (3, 4), (0, 10**30), (-1, 4), (7, 4, 1)])
def test_a_header_that_declares_another_size(tmp_path, bring, shape):
    content = npy_header(shape) + X.tobytes()
    (tmp_path / "rows.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        archive.writestr("features.npy", content)
    for name in ("rows.npy", "rows.npz"):
        with pytest.raises(DataError):
            bring(tmp_path / name)


def test_a_header_that_never_ends(tmp_path, bring):
    with zipfile.ZipFile(tmp_path / "rows.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(1 << 20))
    with pytest.raises(DataError, match="its header is longer"):
        bring(tmp_path / "rows.npz")


def test_a_flipped_byte_in_an_archive(tmp_path, bring):
    np.savez(tmp_path / "rows.npz", features=X)
    data = bytearray((tmp_path / "rows.npz").read_bytes())
    data[data.index(X.tobytes()) + 5] ^= 1
    (tmp_path / "rows.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"'features'.*CRC"):
        bring(tmp_path / "rows.npz")


KINDS = {
    "complex": X.astype(complex),
    "dates": np.zeros((7, 4), "M8[D]"),
    "intervals": np.zeros((7, 4), "m8[s]"),
    "records": np.zeros((7, 4), "f4,f4"),
    "bool": X > 0,
    "texts": np.full((7, 4), "1.0"),
    "objects": X.astype(object),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number_is_neither_features_nor_head(tmp_path, bring, kind):
    values = KINDS[kind]
    np.savez(tmp_path / "rows.npz", features=values, weight=values[:3], bias=B)
    np.save(tmp_path / "rows.npy", values)
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(values))
    (tmp_path / "head.pkl").write_bytes(pickle.dumps([values[:3], B]))
    for name in ("rows.npz", "rows.npy", "rows.pkl"):
        with pytest.raises(DataError, match=r"features|no arrays can be read"):
            bring(tmp_path / name)
    for name in ("rows.npz", "head.pkl"):
        with pytest.raises(ModelError, match=r"weight|no head can be read"):
            read_head(tmp_path / name)


def test_a_head_in_hdf5_of_complex_numbers(tmp_path):
    with h5py.File(tmp_path / "head.h5", "w") as h5:
        h5["weight"], h5["bias"] = W.astype(complex), B
    with pytest.raises(ModelError, match="number"):
        read_head(tmp_path / "head.h5")


def test_a_head_in_hdf5_that_was_never_written(tmp_path):
    with h5py.File(tmp_path / "head.h5", "w") as h5:
        h5.create_dataset("weight", (1_000_000, 1000), "f4")
        h5["bias"] = np.zeros(1_000_000, np.float32)
    assert (tmp_path / "head.h5").stat().st_size < 5_000_000
    with pytest.raises(ModelError, match=r"'weight' of shape .* is too large"):
        read_head(tmp_path / "head.h5")


def test_values_beyond_float32(tmp_path, bring):
    np.savez(tmp_path / "rows.npz", features=X.astype(float) * 1e39, weight=W.astype(float) * 1e39, bias=B)
    with pytest.raises(DataError, match="beyond float32 in 7 rows"):
        bring(tmp_path / "rows.npz")
    with pytest.raises(ModelError, match="beyond float32"):
        read_head(tmp_path / "rows.npz")
    np.savez(tmp_path / "large.npz", features=X * 1e30)
    np.savez(tmp_path / "head.npz", weight=W * 1e30, bias=B)
    with pytest.raises(DataError, match="'logits' has NaN, infinity"):
        bring(tmp_path / "large.npz", head=tmp_path / "head.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.array([np.inf] * 7)}, "labels are class numbers"),
        ({"labels": np.full(7, 2**63, np.uint64)}, "labels are class numbers"),
        ({"ids": np.array([b"\xff"] * 7)}, "'ids' are not all UTF-8"),
        ({"ids": np.array(["a\0b"] * 7)}, "'ids' has a text with a zero in it"),
        ({"ids": X}, "'ids' should be texts"),
    ],
)
def test_labels_and_ids_that_cannot_be_kept(tmp_path, bring, arrays, message):
    np.savez(tmp_path / "rows.npz", features=X, **arrays)
    with pytest.raises(DataError, match=message):
        bring(tmp_path / "rows.npz")


@pytest.mark.parametrize("text", ["1 2 99999999999999999999", "1" * 5000, "one"])
def test_texts_that_are_no_labels(tmp_path, bring, text):
    (tmp_path / "labels.txt").write_text(text)
    np.save(tmp_path / "rows.npy", X)
    with pytest.raises(DataError, match="no labels can be read"):
        bring(tmp_path / "rows.npy", labels=tmp_path / "labels.txt")


@pytest.mark.parametrize("suffix", ["npz", "npy", "pkl", "txt", "h5"])
def test_what_is_no_file(tmp_path, bring, suffix):
    os.mkfifo(tmp_path / f"pipe.{suffix}")
    (tmp_path / f"folder.{suffix}").mkdir()
    (tmp_path / f"device.{suffix}").symlink_to("/dev/zero")
    np.save(tmp_path / "good.npy", X)
    for name, word in (("pipe", "a pipe"), ("folder", "a folder"), ("device", "a device")):
        file = tmp_path / f"{name}.{suffix}"
        with pytest.raises(DataError, match=word):
            bring(tmp_path / "good.npy", labels=file)
        with pytest.raises(ModelError, match="not a regular file" if suffix == "h5" else word):
            bring(tmp_path / "good.npy", head=file)
        with pytest.raises(DataError, match=word if suffix not in ("txt", "h5") else f"{word}|cannot be imported"):
            bring(file)


# -- pickles ------------------------------------------------------------------------------------------------------


class Call:
    """Pickles as a call of a function, after which the result may be sent a state."""

    def __init__(self, function, *arguments, state=None):
        self.how = (function, arguments, state)

    def __reduce__(self):
        return self.how


RECONSTRUCT = np.array(0).__reduce__()[0]


def stride_0():
    return Call(np.ndarray, (10**9, 4), np.dtype("f4"), b"abcd", 0, (0, 0))


def longer_and_longer():
    text = Call(codecs.encode, b"a" * 1000, "hex")
    for _ in range(30):
        text = Call(codecs.encode, text, "hex")
    return text


@pytest.mark.parametrize("make", [stride_0, longer_and_longer, lambda: {((1,),): 2}, lambda: {1, 2}, lambda: print])
def test_a_pickle_that_calls_for_more(make):
    with pytest.raises(ValueError, match="refused"):
        load_pickle(pickle.dumps(make()))


@pytest.mark.parametrize("shape", [(10**9,), (-1,), "x", (1.5,), (True, 2)])
def test_an_array_is_as_large_as_its_bytes(shape):
    assert load_pickle(pickle.dumps(Call(RECONSTRUCT, np.ndarray, (10**10,), b"d"))).shape == (0,)
    array = Call(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, shape, np.dtype("f4"), False, b"abcd"))
    with pytest.raises(ValueError, match=r"refused|damaged"):
        load_pickle(pickle.dumps(array))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04" + b"]" * 100,
        b"\x8e" + (10**15).to_bytes(8, "little") + b"abc",
        b"\x96" + (10**15).to_bytes(8, "little") + b"abc",
        b"\x80\x04\x95" + (10**15).to_bytes(8, "little"),
        b"(" * 10_000 + b".",
        b"\x8b\xff\xff\xff\x7f",
        b"I" + b"9" * 5000 + b"\n.",
    ],
)
def test_a_pickle_that_declares_what_it_has_not(data):
    with pytest.raises(ValueError, match="pickle"):
        load_pickle(data)


def test_a_pickle_of_too_many_operations(monkeypatch):
    monkeypatch.setattr("moodbench.pickles.MOST_OPERATIONS", 1000)
    assert load_pickle(pickle.dumps(X)).shape == (7, 4)
    with pytest.raises(ValueError, match="write arrays instead"):
        load_pickle(pickle.dumps(list(range(1000))))


def test_lists_that_occur_again_and_again(tmp_path, bring):
    row = [0.5] * 1000
    rows = [row] * 1000
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(rows))
    with pytest.raises(DataError, match="lists that occur again and again"):
        bring(tmp_path / "rows.pkl")
    (tmp_path / "deep.pkl").write_bytes(pickle.dumps([rows] * 1000))
    with pytest.raises(DataError, match="'features'"):
        bring(tmp_path / "deep.pkl")


def test_lists_of_numbers_and_texts_are_arrays(tmp_path, bring):
    given = {
        "features": X.tolist(),
        "labels": [0, 1, 2, 0, 1, 2, -1],
        "ids": ["a", "bb", b"c", "d", "e", "f", "g" * 50],
    }
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(given))
    done = bring(tmp_path / "rows.pkl")
    np.testing.assert_array_equal(rows_of(done), X)
    with h5py.File(done.file) as h5:
        assert h5["ids"].asstr()[:].tolist() == ["a", "bb", "c", "d", "e", "f", "g" * 50]
