"""Archives that are damaged, lie or hold too much are refused with one message."""

from __future__ import annotations

import bz2
import gzip
import struct
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.errors import DataError
from moodbench.obtain.unpack import Tally, stream, unpack
from tests.archives import ENTRIES, FILES, KINDS, ROOM, described, pack, special, tar, tree, zipped


@pytest.mark.parametrize("kind", KINDS)
def test_limits(run, kind):
    entries = [(f"{i}.jpg", bytes(10)) for i in range(20)]
    with pytest.raises(DataError, match="more than 19 files") as caught:
        run(pack(kind, entries), "files", max_files=19)
    assert "raise max_files" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_limit_of_bytes(run, tmp_path, kind):
    entries = [("small.jpg", b"1" * 10), ("large.jpg", bytes(2_000_000))]
    with pytest.raises(DataError, match="more than 2000009 bytes"):
        run(pack(kind, entries), max_bytes=2_000_009)
    assert run_again(tmp_path, pack(kind, entries), 2_000_010) == Tally(2, 2_000_010)


def run_again(tmp_path, data: bytes, max_bytes: int) -> Tally:
    (tmp_path / "again").write_bytes(data)
    return unpack(tmp_path / "again", tmp_path / "again.d", max_files=10, max_bytes=max_bytes)


def test_copies_of_links_count(run):
    links = [(special(f"{i}.jpg", tarfile.LNKTYPE, "1"), None) for i in range(5)]
    with pytest.raises(DataError, match="more than 5999 bytes"):
        run(tar([("1", bytes(1000)), *links]), max_bytes=5999)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("name", [".hidden", "elsewhere/zeros"])
def test_a_bomb_that_nobody_wants_unpacked(run, monkeypatch, kind, name):
    monkeypatch.setattr(stream, "SLACK", 1 << 18)
    with pytest.raises(DataError, match="more than 200 times its size"):
        run(pack(kind, [("a/1.jpg", b"1"), (name, bytes(8 << 20))]), take="a", max_bytes=100)


@pytest.mark.parametrize(("declared", "message"), [(10, "damaged"), (100_000, "damaged|should have 100000")])
def test_a_zip_whose_sizes_lie(run, declared, message):
    data = zipped([("1.jpg", bytes(50_000))])
    size = struct.pack("<I", 50_000)
    assert data.count(size) == 2
    with pytest.raises(DataError, match=message):
        run(data.replace(size, struct.pack("<I", declared)))


def whole(kind: str) -> bytes:
    """An archive of which every byte matters, and (in a tar) the first block of its end mark."""
    if kind in ("tar", "gzip"):
        data = tar(ENTRIES)
        data = data[: data.rstrip(b"\0").rfind(b"banded_01.jpg\n") // 512 * 512 + 1024]
        return data if kind == "tar" else gzip.compress(data)
    return pack(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_is_cut_off_anywhere(tmp_path, kind):
    data = whole(kind)
    archive = tmp_path / "x"
    archive.write_bytes(data)
    assert unpack(archive, tmp_path / "all", **ROOM).files == len(FILES)
    step = max(1, len(data) // 40)
    for length in {*range(0, len(data), step), *range(max(0, len(data) - 12), len(data)), 512, 1024, len(data) - 512}:
        if 0 <= length < len(data):
            archive.write_bytes(data[:length])
            with pytest.raises(DataError) as caught:
                unpack(archive, tmp_path / f"cut{length}", **ROOM)
            assert caught.value.file == archive
            assert length == 0 or "damaged" in str(caught.value) or "cut off" in str(caught.value) or length < 600


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zip"])
def test_a_flipped_bit_is_never_a_wrong_file(tmp_path, kind):
    data = bytearray(whole(kind))
    archive = tmp_path / "x"
    refused = 0
    for index, position in enumerate(range(0, len(data), max(1, len(data) // 50))):
        data[position] ^= 0x10
        archive.write_bytes(data)
        data[position] ^= 0x10
        target = tmp_path / str(index)
        try:
            unpack(archive, target, **ROOM)
        except DataError:
            refused += 1
        else:
            assert tree(target) == FILES
    assert refused > 25


def test_a_damaged_header_in_the_middle(run):
    data = bytearray(tar([("1.jpg", b"1"), ("2.jpg", b"2")]))
    data[1024 + 5] ^= 1
    with pytest.raises(DataError, match="the archive is damaged"):
        run(bytes(data))


def header(**attributes) -> bytes:
    return special("x", attributes.pop("type", tarfile.REGTYPE), **attributes).tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        header(type=tarfile.XHDTYPE, size=1 << 40) + bytes(4096),
        header(type=tarfile.GNUTYPE_LONGNAME, size=1 << 33) + bytes(4096),
        header(size=-1024) + bytes(4096),
        header(type=tarfile.DIRTYPE, size=0) + header(size=-4096) + bytes(4096),
        b"".join(header(type=tarfile.XHDTYPE) for _ in range(3000)) + header(size=0) + bytes(1024),
        header(size=1 << 50) + bytes(4096),
    ],
    ids=["pax header", "long name", "negative", "negative again", "headers of headers", "larger than any disk"],
)
def test_crafted_headers(run, data):
    with pytest.raises(DataError, match="the archive is damaged"):
        run(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (
            b"<!DOCTYPE html><html><head><title>503 Service\n Unavailable</title>",
            r"a web page \('503 Service Unavailable'",
        ),
        (b"\n <html>", "a web page, likely a server's error page"),
        (b'{"message": "quota exceeded"}', 'a text that begins with \'{"message": "quota exceeded"}\''),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "a PNG image"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(30), "a 7z archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
        (b"\x01\x02\x03\x04" * 200, "nothing known .* 01 02 03 04"),
        (gzip.compress(b"<html><title>Error 403</title></html>"), r"compressed with gzip, .*web page \('Error 403'"),
        (gzip.compress(gzip.compress(tar(ENTRIES))), "what is inside is no tar but a gzip file"),
        (gzip.compress(b""), "what is inside is no tar but empty"),
        (bz2.compress(b"\x00\x00\x08\x03" * 200), "compressed with bzip2, .* nothing known"),
    ],
    ids=described,
)
def test_what_is_no_archive_says_what_it_is(run, data, message):
    with pytest.raises(DataError, match=message) as caught:
        run(data, "dtd-r1.0.1.tar.gz")
    assert caught.value.file.name == "dtd-r1.0.1.tar.gz"
    assert "fetch it again" in caught.value.fix


def test_zstandard_where_python_does_not(run):
    try:
        from compression import zstd  # noqa: F401
    except ImportError:
        with pytest.raises(DataError, match="Zstandard"):
            run(b"\x28\xb5\x2f\xfd" + bytes(100))


def test_an_encrypted_zip(run):
    data = bytearray(zipped([("1.jpg", b"1")]))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="is encrypted"):
        run(bytes(data))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be opened: No such file"):
        unpack(tmp_path / "x.tar", tmp_path / "out", **ROOM)


def test_a_name_that_the_disk_cannot_hold(run):
    with pytest.raises(DataError, match="cannot be written: File name too long"):
        run(tar([("n" * 300 + ".jpg", b"1")]))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00"]))
def test_any_bytes_at_all(tmp_path_factory, data, magic):
    folder = tmp_path_factory.mktemp("any")
    (folder / "x").write_bytes(magic + data)
    with pytest.raises(DataError):
        unpack(folder / "x", folder / "out", **ROOM)
