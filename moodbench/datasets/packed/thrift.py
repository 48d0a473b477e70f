"""Structures in Thrift's compact protocol, in which parquet writes down what a page is."""

from __future__ import annotations

from typing import Any

Struct = dict[int, Any]
"""Number of a field → a number, bytes, or another structure. What a reader of pages does not need is None."""

_DEEPEST = 8
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
_WHOLE = (4, 5, 6)  # i16, i32, i64


def read_struct(data: bytes, at: int = 0, depth: int = 0) -> tuple[Struct, int]:
    """Return a structure that begins at byte `at`, and where it ends.

    Raises
    ------
    IndexError
        The bytes end before it does.
    ValueError
        There is no such structure.

    References
    ----------
    Apache Thrift, "Thrift compact protocol"; Apache Parquet, ``parquet.thrift``, version 2.
    """
    found: Struct = {}
    number = 0
    while (head := data[at]) != _STOP:
        at += 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _signed(data, at)
        # the value of a field that is a truth is its kind
        found[number], at = (kind == _TRUE, at) if kind in (_TRUE, _FALSE) else _value(data, at, kind, depth + 1)
    return found, at + 1


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number in groups of seven bits that begins at byte `at`, and where it ends."""
    found = shift = 0
    while shift < 64:
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7
    raise ValueError("a number without an end")


def _signed(data: bytes, at: int) -> tuple[int, int]:
    found, at = varint(data, at)
    return (found >> 1) ^ -(found & 1), at


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise ValueError("structures too deep in one another")
    if kind in _WHOLE:
        return _signed(data, at)
    if kind == _STRUCT:
        return read_struct(data, at, depth)
    if kind == _BINARY:
        size, at = varint(data, at)
        return None, _within(data, at + size)
    if kind in (_LIST, _SET):
        size, inner = data[at] >> 4, data[at] & 15
        at += 1
        if size == 15:
            size, at = varint(data, at)
        for _ in range(size):
            at = at + 1 if inner in (_TRUE, _FALSE) else _value(data, at, inner, depth + 1)[1]
        return None, _within(data, at)
    if kind in (_BYTE, _DOUBLE):
        return None, _within(data, at + (1 if kind == _BYTE else 8))
    raise ValueError(f"a field of kind {kind}")


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise IndexError("the bytes end within a value")
    return end
