"""Archives are unpacked completely or refused with one message: damaged, lying and malicious ones alike."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.errors import DataError
from moodbench.obtain.unpack import Budget, Folder, Tally, members, nested, stream, unpack
from moodbench.obtain.unpack.names import link_target, safe_name

FILES = {
    "dtd/images/banded/banded 01.jpg": b"striped" * 300,
    "dtd/images/banded/Käse\nund 茶.jpg": b"",
    "dtd/images/dotted/dotted_01.JPG": bytes(range(256)) * 9,
    "dtd/labels/train1.txt": b"banded/banded_01.jpg\n",
}
ENTRIES = tuple(FILES.items())
COMPRESS = {"tar": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
KINDS = (*COMPRESS, "zip")
ROOM = {"max_files": 1000, "max_bytes": 10_000_000}


def tar(entries) -> bytes:
    """A tar of names with content, or of whole `TarInfo`s (with content, or None)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", encoding="utf-8", errors="surrogateescape") as archive:
        for name, content in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is not None:
                info.size = len(content)
            archive.addfile(info, None if content is None else io.BytesIO(content))
    return stream.getvalue()


def zipped(entries) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def pack(kind: str, entries=ENTRIES) -> bytes:
    return zipped(entries) if kind == "zip" else COMPRESS[kind](tar(entries))


def special(name: str, kind: bytes, target: str = "", **attributes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def described(value) -> str:
    """Name a case by its text: compressed bytes hold the time."""
    return value[:30] if isinstance(value, str) else "data"


def tree(root) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path):
    """Unpack bytes into an empty folder; nothing may ever appear beside it."""

    def run(data: bytes, name: str = "some.archive", **options):
        archive = tmp_path / name
        archive.write_bytes(data)
        target = tmp_path / "out" / "target"
        before = tree(tmp_path)
        try:
            return unpack(archive, target, **{**ROOM, **options}), tree(target)
        finally:
            outside = {path: content for path, content in tree(tmp_path).items() if not path.startswith("out/target/")}
            assert outside == before
            assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]

    return run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip", "no suffix"])
def test_the_content_says_what_it_is(run, kind, name):
    done, files = run(pack(kind), name)
    assert files == FILES
    assert done == Tally(len(FILES), sum(map(len, FILES.values())))


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_an_archive(run, kind):
    _, files = run(pack(kind), take="dtd/images")
    assert files == {n.removeprefix("dtd/images/"): c for n, c in FILES.items() if n.startswith("dtd/images/")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_is_not_there(run, kind):
    with pytest.raises(DataError, match=r"no file below 'dtd/image' in the archive; at its top are 'dtd'"):
        run(pack(kind), take="dtd/image")


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_without_files(run, kind):
    with pytest.raises(DataError, match="no file in the archive"):
        run(pack(kind, ()))


def test_dots_and_slashes_that_mean_nothing(run):
    assert run(tar([("./a//b/./c.jpg", b"1"), (special("./", tarfile.DIRTYPE), None)]))[1] == {"a/b/c.jpg": b"1"}


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_files_are_left_out(run, kind):
    hidden = ("a/._1.jpg", "a/.DS_Store", "__MACOSX/a/1.jpg", ".git/x", "a/__MACOSX/1.jpg")
    done, files = run(pack(kind, [("a/1.jpg", b"1"), *((name, b"?") for name in hidden)]))
    assert files == {"a/1.jpg": b"1"}
    assert done.files == 1


def test_modes_and_owners_of_the_archive_are_ignored(tmp_path, run):
    info = special("a/x.jpg", tarfile.REGTYPE, mode=0o6777, uid=12345, gid=12345)
    old = os.umask(0o022)
    try:
        run(tar([(special("a", tarfile.DIRTYPE, mode=0o000), None), (info, b"1")]))
    finally:
        os.umask(old)
    path = tmp_path / "out" / "target" / "a" / "x.jpg"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert path.stat().st_uid == os.getuid()


BAD_NAMES = [
    "../x.jpg",
    "a/../../x.jpg",
    "/x.jpg",
    "a/..",
    "C:/x.jpg",
    "C:x.jpg",
    "..\\x.jpg",
    "a\\x.jpg",
    "d/" * 40 + "x",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_elsewhere(run, kind, name):
    with pytest.raises(DataError, match="refused: it has a member whose name") as caught:
        run(pack(kind, [("fine.jpg", b"1"), (name, b"2")]))
    assert name in str(caught.value)


def test_a_bad_name_is_refused_outside_the_wanted_part_too(run):
    with pytest.raises(DataError, match="refused"):
        run(tar([("a/1.jpg", b"1"), ("../b", b"2")]), take="a")


def test_a_name_that_is_no_text(run):
    with pytest.raises(DataError, match=r"is not in UTF-8: 'caf\\udce9.jpg'"):
        run(tar([("caf\udce9.jpg", b"1")]))


def test_a_zip_that_does_not_say_its_names_are_utf8(run):
    data = zipped([("café.jpg", b"1")]).replace(struct.pack("<H", 0x800), struct.pack("<H", 0))
    assert run(data)[1] == {"café.jpg": b"1"}


@settings(max_examples=50)
@given(st.text(max_size=30))
def test_a_safe_name_stays_below(name):
    try:
        safe = safe_name(name)
    except ValueError:
        return
    assert ".." not in safe.split("/")
    assert not safe.startswith("/")
    assert safe_name(safe) == safe


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["a", "b", "..", "."]), min_size=1, max_size=6).map("/".join))
def test_a_link_target_is_what_the_file_system_would_say(target):
    expected = os.path.normpath(f"/root/d/e/{target}")
    try:
        assert f"/root/{link_target('d/e/name', target)}" == expected
    except ValueError:
        steps = ["d", "e"]
        escaped = False
        for part in target.split("/"):
            if part == "..":
                escaped = escaped or not steps
                steps = steps[:-1]
            elif part != ".":
                steps.append(part)
        assert escaped or not steps


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "a/../../../x", ""])
def test_links_that_lead_out(run, kind, target):
    with pytest.raises(DataError, match=r"refused: its member 'd/link.jpg' is a link to"):
        run(tar([("d/1.jpg", b"1"), (special("d/link.jpg", kind, target), None), ("d/link.jpg/2.jpg", b"2")]))


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def test_links_of_a_zip(run):
    link = zip_entry("a/link.jpg", stat.S_IFLNK | 0o777)
    assert run(zipped([(link, "../b/1.jpg"), ("b/1.jpg", b"1")]))[1] == {"a/link.jpg": b"1", "b/1.jpg": b"1"}


def test_a_link_of_a_zip_that_leads_out(run):
    link = zip_entry("a/link.jpg", stat.S_IFLNK | 0o777)
    with pytest.raises(DataError, match="outside the archive"):
        run(zipped([("b/1.jpg", b"1"), (link, "../../x")]), take="b")


def test_links_within_become_copies(run):
    entries = [
        (special("a/early.jpg", tarfile.SYMTYPE, "chain.jpg"), None),
        (special("a/chain.jpg", tarfile.SYMTYPE, "../b/1.jpg"), None),
        ("b/1.jpg", b"one"),
        (special("a/hard.jpg", tarfile.LNKTYPE, "b/1.jpg"), None),
    ]
    done, files = run(tar(entries))
    assert files == dict.fromkeys(("a/early.jpg", "a/chain.jpg", "a/hard.jpg", "b/1.jpg"), b"one")
    assert done == Tally(4, 12)


@pytest.mark.parametrize(
    ("entries", "take"),
    [
        ([(special("a", tarfile.SYMTYPE, "b"), None), (special("b", tarfile.SYMTYPE, "a"), None)], ""),
        ([(special("a", tarfile.SYMTYPE, "nothing"), None)], ""),
        ([(special("a", tarfile.LNKTYPE, "later"), None), ("later", b"1")], ""),
        ([("d/1", b"1"), (special("a", tarfile.SYMTYPE, "d"), None)], ""),
        ([("b/1", b"1"), (special("a/2", tarfile.LNKTYPE, "b/1"), None)], "a"),
    ],
    ids=["in a circle", "to nothing", "to what comes later", "to a folder", "out of the wanted part"],
)
def test_links_without_a_file(run, entries, take):
    with pytest.raises(DataError, match=r"is a link to '.+', and no such file was unpacked"):
        run(tar(entries), take=take)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"Z"])
def test_devices_and_the_like(run, kind):
    with pytest.raises(DataError, match="'dev/zero' is a device, a pipe"):
        run(tar([("1.jpg", b"1"), (special("dev/zero", kind, devmajor=1, devminor=5), None)]))


def test_a_device_in_a_zip(run):
    with pytest.raises(DataError, match="is a device"):
        run(zipped([(zip_entry("x", stat.S_IFCHR | 0o666), b"")]))


@pytest.mark.parametrize("kind", ["tar", "gzip"])
def test_a_name_that_comes_twice(run, kind):
    done, files = run(pack(kind, [("1.jpg", b"same"), ("1.jpg", b"same")]))
    assert (done, files) == (Tally(1, 4), {"1.jpg": b"same"})


@pytest.mark.parametrize("other", [b"else", b"sam", b"same and more"])
def test_a_name_that_comes_twice_and_differs(run, other):
    with pytest.raises(DataError, match=r"have the name '1\.jpg', or names .* and differ"):
        run(tar([("1.jpg", b"same"), ("1.jpg", other)]))


@pytest.mark.parametrize("entries", [[("a", b"1"), ("a/b", b"2")], [("a/b", b"2"), ("a", b"1")]])
def test_a_file_and_a_folder_with_one_name(run, entries):
    with pytest.raises(DataError, match="both a file and a folder"):
        run(tar(entries))


def test_names_that_the_file_system_holds_for_one(tmp_path):
    """On such a system the second open finds the first file; here it is put there instead."""
    folder = Folder(tmp_path / "out", Budget(tmp_path / "x.tar", 10, 100))
    folder.write("a.jpg", [b"one"])
    (tmp_path / "out" / "A.JPG").write_bytes(b"one")
    with pytest.raises(DataError, match="the same on this file system"):
        folder.write("A.JPG", [b"two"])


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


@pytest.mark.parametrize("kind", COMPRESS)
def test_several_tars_in_one_file(run, kind):
    with pytest.raises(DataError, match="goes on after its end mark"):
        run(COMPRESS[kind](tar([("1.jpg", b"1")]) + tar([("2.jpg", b"2")])))


def test_zeros_after_the_end_do_no_harm(run):
    assert run(gzip.compress(tar([("1.jpg", b"1")]) + bytes(100_000)))[1] == {"1.jpg": b"1"}


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


def test_zstandard_where_python_knows_it(run):
    zstd = pytest.importorskip("compression.zstd")
    assert run(zstd.compress(tar(ENTRIES)))[1] == FILES


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


@pytest.mark.parametrize("there", ["file", "folder"])
def test_only_into_an_empty_folder(tmp_path, there):
    (tmp_path / "x.tar").write_bytes(tar([("1.jpg", b"1")]))
    target = tmp_path / "out"
    if there == "file":
        target.write_bytes(b"mine")
    else:
        target.mkdir()
        (target / "mine").write_bytes(b"")
    with pytest.raises(DataError, match="empty folders only"):
        unpack(tmp_path / "x.tar", target, **ROOM)


def test_a_name_that_the_disk_cannot_hold(run):
    with pytest.raises(DataError, match="cannot be written: File name too long"):
        run(tar([("n" * 300 + ".jpg", b"1")]))


def test_tars_in_a_tar_are_read_without_unpacking_them(tmp_path):
    large = bytes(1000) * 20_000
    inner = tar([("n01_1.JPEG", b"one"), ("n01_2.JPEG", large)])
    (tmp_path / "x.tar").write_bytes(tar([("n01.tar", inner), ("n02.tar", tar([("n02_1.JPEG", b"two")]))]))
    found = {}
    tracemalloc.start()
    for member in members(tmp_path / "x.tar"):
        for image in nested(member):
            found[image.name] = (member.name, sum(map(len, image.chunks())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == {"n01_1.JPEG": ("n01.tar", 3), "n01_2.JPEG": ("n01.tar", len(large)), "n02_1.JPEG": ("n02.tar", 3)}
    assert peak < 12_000_000


@pytest.mark.parametrize("content", [b"", b"no tar", b"x" * 600, tar([("1.jpg", b"1" * 600)])[:700]], ids=len)
def test_tars_in_a_tar_that_are_none(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(tar([("n01.tar", content)]))
    with pytest.raises(DataError, match=r"should be a tar|damaged or cut off"):
        read_all(tmp_path / "x.tar")


def read_all(archive):
    return [b"".join(image.chunks()) for member in members(archive) for image in nested(member)]


def test_a_large_member_does_not_fit_in_a_small_place(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar([("meta.mat", bytes(1001))]))
    for member in members(tmp_path / "x.tar"):
        assert (member.name, member.size) == ("meta.mat", 1001)
        with pytest.raises(DataError, match="more than 1000 bytes"):
            member.read(1000)
    for member in members(tmp_path / "x.tar"):
        assert member.read(1001) == bytes(1001)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00"]))
def test_any_bytes_at_all(tmp_path_factory, data, magic):
    folder = tmp_path_factory.mktemp("any")
    (folder / "x").write_bytes(magic + data)
    with pytest.raises(DataError):
        unpack(folder / "x", folder / "out", **ROOM)
