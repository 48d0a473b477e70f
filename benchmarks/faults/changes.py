"""Changes of valid inputs at random: of their bytes, of the words of a text, of the values that it says."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from moodbench.catalog.plain import load_plain

WORDS = (
    *("", "0", "-1", "1e999", "nan", ".inf", "-0.0", "9" * 30, "9" * 5000, "99999999999999999999", "0x1F", "010"),
    *("1:30", "null", "~", "true", "no", "2021-01-01", "!!python/object:os.system x", "!!timestamp 2021-01-01"),
    *("&a [*a]", "*b", "<<", "[]", "{}", "[[[[]]]]", '"\\0"', "../../x", "/dev/zero", "~nobody/x", "a" * 300, "\x00"),
    *("\u2028", "é", "[" * 60, "{" * 60, "http://[", "http://a:b/", "'", '"', "- ", ": ", "\t", "{name}", "mean"),
    *("18446744073709551616", "1.5", "1e3"),
)
"""What stands in the place of a word of a text."""


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with one to three changes: bytes flipped, cut, repeated, zeroed, or words put in others' places."""
    for _ in range(rng.randint(1, 3)):
        data = rng.choice(_CHANGES)(data, rng)
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _part(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 2, 8, 64, len(data))))


def _cut(data: bytes, rng: random.Random) -> bytes:
    start, end = _part(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, end = _part(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 30)) + data[end:]


def _fill(data: bytes, rng: random.Random) -> bytes:
    start, end = _part(data, rng)
    return data[:start] + rng.choice((b"\0", b"\xff", b" ")) * (end - start) + data[end:]


def _word(data: bytes, rng: random.Random) -> bytes:
    words = data.split(rng.choice((b" ", b"\n", b",", b":")))
    if len(words) < 2:
        return _flip(data, rng)
    old = rng.choice(words)
    new = rng.choice(WORDS).encode()
    at = data.find(old, rng.randrange(len(data)))
    return data.replace(old, new, 1) if at < 0 else data[:at] + new + data[at + len(old) :]


VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3,
        10**17,
        -0.5,
        1e300,
        0.5,
        "",
        "a",
        "a b",
        "a/b",
        "../a",
        "/a",
        ".a",
        "a" * 300,
        "~nobody",
    ),
    *(
        [],
        [None],
        [[]],
        ["a", 1],
        ["a", "a"],
        {},
        {"a": 1},
        {"": "a"},
        {"a": {"b": [1, {"c": "d"}]}},
        "unknown",
        "5 XB",
    ),
    *("http://[", "https://x.org", "mean", "test", "train", "none", "9" * 400 + " TB", "\u2028", "%s{0}{x}"),
)
"""What stands in the place of a value."""


def misspoken(data: bytes, rng: random.Random) -> bytes:
    """Return YAML or JSON in which one or two values, or keys, are others; as JSON."""
    try:
        whole = [load_plain(data.decode())]
    except ValueError:
        return mutated(data, rng)
    for _ in range(rng.randint(1, 2)):
        places = list(_places(whole))
        inside, key = rng.choice(places)
        if isinstance(inside, dict) and rng.random() < 0.15:
            inside[rng.choice(("", "a b", "mean", "replace", "../x", "part_of", "list"))] = inside.pop(key)
        elif rng.random() < 0.15:
            del inside[key]
        else:
            other = rng.choice(places)
            inside[key] = copy.deepcopy(rng.choice((rng.choice(VALUES), other[0][other[1]])))
        whole = whole or [None]
    return json.dumps(whole[0]).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def either(data: bytes, rng: random.Random) -> bytes:
    """Return `data` changed in its bytes, or in its values."""
    return rng.choice((mutated, misspoken))(data, rng)


_CHANGES = (_flip, _cut, _repeat, _fill, _word, _word)
