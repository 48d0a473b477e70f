"""The YAML of catalogues: plain values, and nothing that surprises."""

from __future__ import annotations

import os

import pytest

from moodbench.catalog import load_catalog
from moodbench.catalog.plain import PlainError, load_plain
from moodbench.errors import CatalogError

LAUGHS = "a0: &a0 [ha]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2021-01-01", "2021-01-01"),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("010", "010"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("-", None),
        ("true", True),
        ("'true'", "true"),
        ("null", None),
        ("~", None),
        ("", None),
        ("-12", -12),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'12'", "12"),
        ("{a: &x [1, 2], b: *x}", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x {n: 1, m: 2}\nb: {n: 3, <<: *x}", {"a": {"n": 1, "m": 2}, "b": {"n": 3, "m": 2}}),
    ],
)
def test_values_are_what_they_look_like(text, value):
    if text == "-":
        value = [None]
    found = load_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!python/object:os.system x", "the tag"),
        ("!!str 3", "the tag"),
        ("a: !x [1]", "the tag"),
        ("no: &a [*a]", "stands for nothing"),
        (LAUGHS, "more than 1000000 values"),
        ("[" * 10_000, "inside one another"),
        ("{a: " * 100, "inside one another"),
        ("- " * 10_000, "inside one another"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' occurs twice"),
        ("1: a", "a key must be a text, and this is 1"),
        ("? [a]\n: b", "a key must be a text"),
        ("a: 99999999999999999999", "more than 18 digits"),
        ("a: 1e999", "too large"),
        ('"a\\0b"', "cannot be shown"),
        ("<<: 3", "takes one mapping"),
        ("--- a\n--- b", "second document"),
        ("{a: b", "not valid YAML"),
        ("\x00", "not valid YAML"),
        ('"\\ud800"', "not valid YAML"),
    ],
)
def test_what_is_not_plain_is_refused(text, message):
    with pytest.raises(PlainError, match=message):
        load_plain(text)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 40)
    cases = {"pipe": "a pipe", "large": "the limit", ".": "a folder", "/dev/zero": "a device", "no": "does not exist"}
    for name, message in cases.items():
        with pytest.raises(CatalogError, match=message):
            load_catalog([tmp_path / name])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("datasets: {d: {title: A, path: ~nobody-of-this-name/x}}", "has the path"),
        ("datasets: {d: {title: A, path: ''}}", "empty path"),
        ("datasets: {d: {title: 2021-01-01, images: yes}}", "has images: 'yes'"),
        ("datasets: {d: {title: A, per_image: 'http://[{name}', folder: d, list: x}}", "has the address"),
        ("datasets: {d: {title: 1.5}}", 'quote it:  title: "1.5"'),
        ("models: {m: {title: A, pretext: hybrid, timm: x, params: -1}}", "has params: -1"),
        ("models: {m: {title: A, pretext: hybrid, timm: x, text_supervision: yes}}", "write true or false"),
        ("models: {m: {title: A, pretext: hybrid, timm: x, image: {size: 1000000}}}", "at most 10000"),
        (
            "datasets: {a0: {title: A, path: x}, "
            + ", ".join(f"a{i}: {{title: A, part_of: a{i - 1}}}" for i in range(1, 99))
            + "}",
            "chain",
        ),
    ],
)
def test_values_that_make_no_sense(tmp_path, entry, message):
    (tmp_path / "mine.yaml").write_text(entry)
    with pytest.raises(CatalogError, match=message) as caught:
        load_catalog([tmp_path / "mine.yaml"])
    assert caught.value.file == tmp_path / "mine.yaml"
