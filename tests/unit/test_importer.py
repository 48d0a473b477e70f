"""Features of other programs, good and bad."""

from __future__ import annotations

import errno
import pickle
import resource

import h5py
import numpy as np
import pytest

from benchmarks.faults.steps import Steps, error, watched
from moodbench.commands.cache import list_caches, remove_caches
from moodbench.commands.import_ import import_features
from moodbench.errors import CacheError, CacheMismatchError, DataError, ModelError, UsageError
from moodbench.features.heads import is_left_over, store_head
from moodbench.features.lock import exclusive
from moodbench.features.reader import RowReader
from moodbench.types import Head
from moodbench.workspace import ModelName, Workspace

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4)).astype(np.float16)
W, B = RNG.normal(size=(3, 4)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
LOGITS = X.astype(np.float32) @ W.T + B


@pytest.fixture
def space(tmp_path):
    return Workspace(cache_dir=tmp_path / "cache")


@pytest.fixture
def head(tmp_path):
    np.savez(tmp_path / "head.npz", weight=W, bias=B)
    return tmp_path / "head.npz"


def npz(tmp_path, name="rows.npz", **arrays):
    np.savez(tmp_path / name, **{"features": X, **arrays})
    return tmp_path / name


def read(done):
    (block,) = RowReader(done.file).blocks(100)
    return block


def test_features_logits_labels_and_ids(tmp_path, space, head):
    file = npz(tmp_path, labels=np.arange(6, dtype=np.int32), ids=np.array(list("abcdef")))
    done = import_features("net", "set", file, head=head, workspace=space)
    block = read(done)
    assert (done.rows, done.dim, done.classes, done.already) == (6, 4, 3, False)
    np.testing.assert_array_equal(block.features, X.astype(np.float32))
    np.testing.assert_allclose(block.logits, LOGITS, rtol=1e-6)
    assert block.labels.tolist() == list(range(6))
    with h5py.File(done.file) as h5:
        assert h5["ids"].asstr()[:].tolist() == list("abcdef")


@pytest.mark.parametrize("suffix", ["npy", "pkl"])
def test_bare_arrays(tmp_path, space, suffix):
    file = tmp_path / f"rows.{suffix}"
    if suffix == "npy":
        np.save(file, X)
    else:
        file.write_bytes(pickle.dumps(X.astype(np.float32)))
    block = read(import_features("net", "set", file, workspace=space))
    np.testing.assert_array_equal(block.features, X.astype(np.float32))
    assert block.logits is None
    assert (block.labels == -1).all()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_references_pickles(tmp_path, space, protocol):
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(X.astype(np.float32), protocol))
    (tmp_path / "fc.pkl").write_bytes(pickle.dumps([W, B], protocol))
    done = import_features("net", "set", tmp_path / "rows.pkl", head=tmp_path / "fc.pkl", workspace=space)
    np.testing.assert_allclose(read(done).logits, LOGITS, rtol=1e-6)


@pytest.mark.parametrize("suffix", ["h5", "npz", "pkl"])
def test_head_files(tmp_path, space, suffix):
    file = tmp_path / f"head.{suffix}"
    if suffix == "h5":
        with h5py.File(file, "w") as h5:
            h5["weight"], h5["bias"] = W, B
    elif suffix == "npz":
        np.savez(file, weight=W, bias=B)
    else:
        file.write_bytes(pickle.dumps({"weight": W, "bias": B}))
    assert import_features("net", "set", npz(tmp_path), head=file, workspace=space).classes == 3
    assert space.head_file(ModelName.parse("net")).exists()


class Danger:
    """Runs a program when unpickled by anything careless."""

    def __reduce__(self):
        import os

        return (os.system, ("touch unpickled",))


def test_a_pickle_of_anything_else_is_refused(tmp_path, space, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps([X, Danger()]))
    with pytest.raises(DataError, match="only NumPy arrays are accepted"):
        import_features("net", "set", tmp_path / "rows.pkl", workspace=space)
    assert not (tmp_path / "unpickled").exists()


def test_labels_from_a_file(tmp_path, space):
    (tmp_path / "labels.txt").write_text("0\n1\n2\n0\n1\n-1\n")
    done = import_features("net", "set", npz(tmp_path), labels=tmp_path / "labels.txt", workspace=space)
    assert read(done).labels.tolist() == [0, 1, 2, 0, 1, -1]


def test_equal_arrays_are_accepted_again_and_others_refused(tmp_path, space, head):
    import_features("net", "set", npz(tmp_path), head=head, workspace=space)
    assert import_features("net", "set", npz(tmp_path), head=head, workspace=space).already
    with pytest.raises(CacheMismatchError, match="another cache is stored"):
        import_features("net", "set", npz(tmp_path, features=X + 1), head=head, workspace=space)
    np.savez(tmp_path / "other.npz", weight=W + 1, bias=B)
    with pytest.raises(CacheMismatchError, match="another head is stored"):
        import_features("net", "more", npz(tmp_path), head=tmp_path / "other.npz", workspace=space)


def test_a_stored_head_is_used_for_later_imports(tmp_path, space, head):
    import_features("net", "set", npz(tmp_path), head=head, workspace=space)
    assert import_features("net", "more", npz(tmp_path), workspace=space).classes == 3


def bad(**arrays):
    return pytest.param(arrays, id="-".join(arrays))


NAN = np.where(np.arange(24).reshape(6, 4) == 9, np.nan, X)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": NAN}, "'features' has NaN, infinity or values beyond float32 in 1 row: 2"),
        ({"features": X[0]}, "should be numbers of shape"),
        ({"features": np.array([["a", "b"]])}, "should be numbers of shape"),
        ({"features": X[:0]}, "no rows"),
        ({"features": X[:, :3]}, "the features are 3 wide, the head expects 4"),
        ({"logits": LOGITS[:3]}, "6 rows of features, but 3 of logits"),
        ({"logits": LOGITS[:, :2]}, "the logits have 2 classes, the head 3"),
        ({"logits": LOGITS + 1}, "the logits are not features @ weight.T"),
        ({"labels": np.arange(5)}, "labels should be 6 integers"),
        ({"labels": np.full(6, 0.5)}, "labels should be 6 integers"),
        ({"labels": np.full(6, -2)}, "found -2"),
        ({"ids": np.arange(4)}, "but 4 ids"),
    ],
)
def test_bad_arrays_are_refused_and_nothing_is_written(tmp_path, space, head, arrays, message):
    with pytest.raises(DataError, match=message):
        import_features("net", "set", npz(tmp_path, **arrays), head=head, workspace=space)
    assert space.cached_models() == []


def test_logits_in_half_precision_agree_well_enough(tmp_path, space, head):
    file = npz(tmp_path, logits=LOGITS.astype(np.float16))
    assert import_features("net", "set", file, head=head, workspace=space).classes == 3


@pytest.mark.parametrize("name", ["rows.txt", "missing.npz", "broken.npz", "object.npy"])
def test_files_of_other_kinds(tmp_path, space, name):
    (tmp_path / "rows.txt").write_text("1 2 3")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not really")
    np.save(tmp_path / "object.npy", np.array([Danger()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError):
        import_features("net", "set", tmp_path / name, workspace=space)


def test_no_features_in_the_file(tmp_path, space):
    np.savez(tmp_path / "rows.npz", x=X)
    with pytest.raises(DataError, match=r"no array 'features'; it holds \['x'\]"):
        import_features("net", "set", tmp_path / "rows.npz", workspace=space)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", pickle.dumps([W]), pickle.dumps([W, B, B]), pickle.dumps([W.T, B])]
)
def test_bad_heads(tmp_path, space, content):
    (tmp_path / "fc.pkl").write_bytes(content)
    with pytest.raises(ModelError):
        import_features("net", "set", npz(tmp_path), head=tmp_path / "fc.pkl", workspace=space)


@pytest.mark.parametrize(("model", "dataset"), [("a/b", "set"), ("net+head", "set"), ("net", "../set"), ("", "set")])
def test_names_that_would_leave_the_cache_folder(tmp_path, space, model, dataset):
    with pytest.raises(UsageError):
        import_features(model, dataset, npz(tmp_path), workspace=space)


def test_names_of_classes(tmp_path, space):
    labels, names = np.array([0, 2, 1, 0, -1, 2]), ["ant", "bee", "cow"]
    done = import_features("net", "set", npz(tmp_path, labels=labels, classes=np.array(names)), workspace=space)
    assert RowReader(done.file).class_names == tuple(names)
    again = npz(tmp_path, "again.npz", labels=labels)
    assert import_features("net", "set", again, workspace=space).already  # says nothing against the names
    other = npz(tmp_path, "other.npz", labels=labels, classes=np.array(names[::-1]))
    with pytest.raises(CacheMismatchError, match="with other names of classes"):
        import_features("net", "set", other, workspace=space)
    import_features("net", "bare", again, workspace=space)
    assert RowReader(space.cache_file(ModelName("net"), "bare")).class_names is None
    with pytest.raises(CacheMismatchError, match="without names of classes"):
        import_features("net", "bare", npz(tmp_path, labels=labels, classes=np.array(names)), workspace=space)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (np.arange(3), "should be texts"),
        (np.array([["a", "b", "c"]]), "should be texts"),
        (np.array(["a", "b", "a"]), "'a' twice"),
        (np.array(["a", "", "b"]), "empty"),
        (np.array(["a", "b"]), "2 'classes', and a label 2"),
        (np.array([b"a", b"\xff", b"c"]), "not all UTF-8"),
    ],
)
def test_names_of_classes_that_make_no_sense(tmp_path, space, classes, message):
    file = npz(tmp_path, labels=np.array([0, 2, 1, 0, -1, 2]), classes=classes)
    with pytest.raises(DataError, match=message):
        import_features("net", "set", file, workspace=space)


def test_a_head_that_comes_with_rows_that_are_there_is_stored(tmp_path, space, head):
    import_features("net", "set", npz(tmp_path), workspace=space)
    file = space.head_file(ModelName.parse("net"))
    assert not file.exists()
    again = import_features("net", "set", npz(tmp_path), head=head, workspace=space)
    assert (again.already, file.exists()) == (True, True)
    with_logits = npz(tmp_path, "more.npz", logits=LOGITS)
    import_features("other", "set", with_logits, workspace=space)
    assert import_features("other", "set", with_logits, head=head, workspace=space).already
    assert space.head_file(ModelName.parse("other")).exists()
    np.savez(tmp_path / "second.npz", weight=W, bias=B + 1)
    with pytest.raises(CacheMismatchError, match="another head is stored"):
        import_features("net", "set", npz(tmp_path), head=tmp_path / "second.npz", workspace=space)


@pytest.mark.parametrize("given", [True, False])
def test_a_head_that_a_killed_import_left_is_in_nobodys_way(tmp_path, space, head, given):
    name = ModelName.parse("net")
    store_head(space.head_file(name), Head(np.ones((2, 5), np.float32), np.zeros(2, np.float32)))
    done = import_features("net", "set", npz(tmp_path), head=head if given else None, workspace=space)
    assert done.classes == (3 if given else None)
    assert space.head_file(name).exists() == given


def test_a_head_is_needed_while_another_import_runs(tmp_path, space, head):
    import_features("net", "set", npz(tmp_path), head=head, workspace=space)
    file = space.head_file(ModelName.parse("net"))
    space.cache_file(ModelName.parse("net"), "set").unlink()
    with exclusive(file.with_name("set.h5")):
        assert not is_left_over(file)
        assert is_left_over(file, of=file.with_name("set.h5"))
    assert is_left_over(file)


def test_an_import_that_fails_leaves_no_head(tmp_path, space, head):
    with pytest.raises(DataError):
        import_features("net", "set", npz(tmp_path, features=np.full((6, 4), np.nan)), head=head, workspace=space)
    assert not list(space.cache_dir.rglob("*.h5"))


def test_what_killed_processes_left_is_removed(tmp_path, space):
    folder = space.cache_dir / "net"
    folder.mkdir(parents=True)
    left = [".set.h5.new", ".set.h5.import", "..set.h5.import.new", ".set.h5.123.tmp", "..set.h5.import.7.tmp"]
    kept = [".other.h5.new", ".set.h5.mine", "set.h5.new", ".set.h5.x.tmp", ".sets.h5.123.tmp"]
    for name in left + kept:
        (folder / name).touch()
    import_features("net", "set", npz(tmp_path), workspace=space)
    assert sorted(one.name for one in folder.iterdir()) == sorted([*kept, "set.h5", ".set.h5.lock"])


def test_a_model_that_is_called_like_one_of_timm_keeps_its_name(tmp_path, space):
    import_features("timm-x", "set", npz(tmp_path), workspace=space)
    import_features("timm:x", "set", npz(tmp_path, features=X + 1), workspace=space)
    assert [str(model) for model in space.cached_models()] == ["timm-x", "timm:x"]
    assert [info.model for info in list_caches(space)] == ["timm-x", "timm:x"]
    remove_caches(space, "timm-x")
    assert [str(model) for model in space.cached_models()] == ["timm:x"]


@pytest.mark.parametrize("size", [0, 2000, 6000, 9000])
def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path, space, head, size):
    file, limits = npz(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(CacheError, match=r"cannot be|could not be"):
            import_features("net", "set", file, head=head, workspace=space)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [one.name for one in space.cache_dir.rglob("*") if one.is_file()] in ([], [".set.h5.lock"])
    assert not import_features("net", "set", file, head=head, workspace=space).already


def test_a_system_that_refuses_to_remove_is_one_message(tmp_path, space):
    import_features("net", "set", npz(tmp_path), workspace=space)
    with watched(Steps(2, error(errno.EIO))), pytest.raises(CacheError, match="cannot be removed: Input/output error"):
        remove_caches(space, "net")
    assert [path.name for path in remove_caches(space, "net")] == ["set.h5"]
