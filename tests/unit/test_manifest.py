"""Origin note and manifest: what is written is what is read, and damage is one message."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moodbench.errors import DataError
from moodbench.inspection.manifest import (
    FileRecord,
    Origin,
    manifest_file,
    origin_file,
    read_manifest,
    read_origin,
    write_manifest,
    write_origin,
)

ARCHIVE = {"file": "a.tar", "source": "https://x.org/a.tar", "bytes": 5, "sha256": "0" * 64, "known": False}
ORIGIN = Origin("texture", "downloaded", "https://x.org/a.tar", 3, 12, "2026-01-02T03:04:05+00:00", (ARCHIVE,), "Ü")

paths = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=20)
records = st.builds(FileRecord, st.integers(0, 2**50), st.text("0123456789abcdef", min_size=64, max_size=64))


def test_both_lie_outside_of_the_dataset_folder(tmp_path):
    assert origin_file(tmp_path, "texture") == tmp_path / ".moodbench" / "texture.json"
    assert manifest_file(tmp_path, "texture") == tmp_path / ".moodbench" / "texture.csv"


def test_nothing_noted_is_none(tmp_path):
    assert read_origin(tmp_path, "texture") is None
    assert read_manifest(tmp_path, "texture") is None


def test_an_origin_comes_back(tmp_path):
    write_origin(tmp_path, ORIGIN)
    assert read_origin(tmp_path, "texture") == ORIGIN


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(paths, records, max_size=5))
def test_a_manifest_comes_back_in_its_order(tmp_path, content):
    write_manifest(tmp_path, "texture", content)
    read = read_manifest(tmp_path, "texture")
    assert read == content
    assert list(read) == list(content)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 1}', '{"schema": 2, "dataset": "texture"}', "\udcff"])
def test_a_damaged_origin_is_one_message_that_names_the_file(tmp_path, damage):
    write_origin(tmp_path, ORIGIN)
    origin_file(tmp_path, "texture").write_bytes(damage.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError) as caught:
        read_origin(tmp_path, "texture")
    assert str(origin_file(tmp_path, "texture")) in str(caught.value)


@pytest.mark.parametrize("damage", [b"path,bytes,sha256\na.jpg,many,00\n", b"path,bytes\na.jpg,3\n", b"\xff\xfe"])
def test_a_damaged_manifest_is_one_message_that_says_what_to_do(tmp_path, damage):
    write_manifest(tmp_path, "texture", {})
    manifest_file(tmp_path, "texture").write_bytes(damage)
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path, "texture")
    assert "moodbench download texture --from FOLDER" in str(caught.value)


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    before = {"a.jpg": FileRecord(3, "0" * 64)}
    write_manifest(tmp_path, "texture", before)
    bad = {"b.jpg": FileRecord(4, "1" * 64), "c.jpg": None}
    with pytest.raises(AttributeError):
        write_manifest(tmp_path, "texture", bad)
    assert read_manifest(tmp_path, "texture") == before


def test_no_temporary_name_stays(tmp_path):
    write_origin(tmp_path, ORIGIN)
    write_manifest(tmp_path, "texture", {"a.jpg": FileRecord(3, "0" * 64)})
    assert {file.name for file in (tmp_path / ".moodbench").iterdir()} == {"texture.json", "texture.csv"}
