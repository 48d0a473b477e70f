"""Heads in the cache folder: every byte is checked, and whose head it is."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from moodbench.errors import CacheMismatchError, ModelError
from moodbench.features.heads import head_provenance, read_head, store_head, stored_head, write_head
from moodbench.types import Head

HEAD = Head(np.arange(12, dtype=np.float32).reshape(3, 4), np.arange(3, dtype=np.float32))


@pytest.fixture
def own(tmp_path):
    store_head(tmp_path / "m" / "head.h5", HEAD)
    return tmp_path / "m" / "head.h5"


@pytest.fixture
def probe(tmp_path):
    write_head(tmp_path / "m" / "heads" / "probe.h5", HEAD, {"inputs": {}})
    return tmp_path / "m" / "heads" / "probe.h5"


def test_no_byte_of_a_head_can_change_unnoticed(own):
    good = own.read_bytes()
    for position in range(len(good)):
        data = bytearray(good)
        data[position] ^= 1 << position % 8
        own.write_bytes(data)
        with pytest.raises(ModelError) as caught:
            read_head(own)
        assert caught.value.file == own


@pytest.mark.parametrize("length", [0, 100, 1024, 1500, -1])
def test_a_head_that_is_cut_or_longer(own, length):
    own.write_bytes(own.read_bytes()[:length])
    with pytest.raises(ModelError, match="no head can be read"):
        read_head(own)


def test_a_longer_head(own):
    own.write_bytes(own.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="it is too long"):
        read_head(own)


def test_a_head_is_refused_in_the_place_of_another(own, probe, tmp_path):
    own, probe = own.read_bytes(), probe.read_bytes()
    for source, place, words in (
        (own, "n/head.h5", "the own head of 'm', in the place of the own head of 'n'"),
        (own, "m/heads/probe.h5", "the own head of 'm', in the place of the head 'probe' of 'm'"),
        (probe, "m/heads/other.h5", "the head 'probe' of 'm', in the place of the head 'other' of 'm'"),
        (probe, "m@v/heads/probe.h5", "the head 'probe' of 'm', in the place of the head 'probe' of 'm@v'"),
    ):
        target = tmp_path / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source)
        with pytest.raises(CacheMismatchError, match=words):
            stored_head(target)
        np.testing.assert_array_equal(read_head(target).weight, HEAD.weight)  # somebody names the file itself


def test_heads_of_before_are_read_and_say_nothing(tmp_path):
    """Also those of other programs: no seal, no owner."""
    file = tmp_path / "m" / "head.h5"
    file.parent.mkdir()
    with h5py.File(file, "w") as h5:
        h5["weight"], h5["bias"] = HEAD.weight, HEAD.bias
    np.testing.assert_array_equal(stored_head(file).weight, HEAD.weight)
    assert head_provenance(file) == {}
    store_head(file, HEAD)
    with h5py.File(file, "r+") as h5:
        h5.attrs["moodbench_schema"], h5.attrs["provenance"] = 1, '{"fit": 1}'
    assert head_provenance(file) == {"fit": 1}


@pytest.mark.parametrize(("schema", "words"), [(2, "its seal is damaged"), (99, "its seal is damaged")])
def test_a_new_head_without_its_seal(tmp_path, schema, words):
    file = tmp_path / "head.h5"
    with h5py.File(file, "w") as h5:
        h5["weight"], h5["bias"] = HEAD.weight, HEAD.bias
        h5.attrs["moodbench_schema"] = schema
    with pytest.raises(ModelError, match=words):
        read_head(file)


def test_what_is_no_head(tmp_path):
    file = tmp_path / "head.h5"
    file.write_text("junk")
    for refused in (read_head, stored_head, head_provenance):
        with pytest.raises(ModelError, match="no head can be read"):
            refused(file)
    file.unlink()
    assert head_provenance(file) == {}
    for fill, words in (
        (lambda h5: h5.create_group("weight"), "'weight' is not an array of numbers"),
        (lambda h5: h5.create_dataset("weight", data=["a"]), "'weight' is not an array of numbers"),
        (lambda h5: h5.create_dataset("weight", (1 << 20, 1 << 20), "f4", chunks=(64, 64)), "too large for a head"),
        (lambda h5: h5.create_dataset("bias", data=[1.0]), "KeyError"),
    ):
        with h5py.File(file, "w") as h5:
            fill(h5)
        with pytest.raises(ModelError, match=words):
            read_head(file)
