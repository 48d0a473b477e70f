"""Structures of Thrift's compact protocol, byte by byte as its specification writes them."""

from __future__ import annotations

import pytest

from moodbench.datasets.packed.thrift import read_struct, varint

INNER = b"\x15\x02\x00"  # 1: i32 1
MANY = [
    (b"\x00", {}),
    (b"\x15\x96\x01\x00", {1: 75}),
    (b"\x15\x03\x14\x04\x00", {1: -2, 2: 2}),
    (b"\x05\x28\x06\x00", {20: 3}),  # a number of its own, where the step to it is too long
    (b"\x11\x12\x00", {1: True, 2: False}),
    (b"\x5c" + INNER + b"\x15\x08\x00", {5: {1: 1}, 6: 4}),
    (b"\x18\x03abc\x15\x02\x00", {1: None, 2: 1}),
    (b"\x13\x07\x17" + bytes(8) + b"\x15\x02\x00", {1: None, 2: None, 3: 1}),
    (b"\x19\x25\x02\x04\x15\x02\x00", {1: None, 2: 1}),
    (b"\x19\xf1\x10" + b"\x01" * 16 + b"\x15\x02\x00", {1: None, 2: 1}),
    (b"\x19\x1c" + INNER + b"\x15\x02\x00", {1: None, 2: 1}),
]


@pytest.mark.parametrize(("data", "expected"), MANY)
def test_a_structure_is_read_and_ends_where_it_ends(data, expected):
    assert read_struct(data + b"more") == (expected, len(data))
    assert read_struct(b"before" + data, 6) == (expected, 6 + len(data))


@pytest.mark.parametrize(("data", "expected"), MANY)
def test_one_that_is_cut_off_is_no_structure(data, expected):
    for end in range(len(data)):
        with pytest.raises(IndexError):
            read_struct(data[:end])


@pytest.mark.parametrize("data", [b"\x1c" * 99, b"\x1b\x00\x00", b"\x15" + b"\xff" * 20, b"\x19\x19" * 99])
def test_what_cannot_be_is_refused(data):
    with pytest.raises(ValueError, match=r"deep|kind|end"):
        read_struct(data)


def test_numbers_come_in_sevens():
    assert varint(b"\x00\xac\x02", 1) == (300, 3)
