"""What is in an archive comes out, whatever the archive is called and whoever made it."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import tracemalloc

import pytest

from moodbench.errors import DataError
from moodbench.obtain.unpack import Tally, members, nested, unpack
from tests.archives import COMPRESS, ENTRIES, FILES, KINDS, ROOM, pack, special, tar


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


@pytest.mark.parametrize("kind", COMPRESS)
def test_several_tars_in_one_file(run, kind):
    with pytest.raises(DataError, match="goes on after its end mark"):
        run(COMPRESS[kind](tar([("1.jpg", b"1")]) + tar([("2.jpg", b"2")])))


def test_zeros_after_the_end_do_no_harm(run):
    assert run(gzip.compress(tar([("1.jpg", b"1")]) + bytes(100_000)))[1] == {"1.jpg": b"1"}


def test_zstandard_where_python_knows_it(run):
    zstd = pytest.importorskip("compression.zstd")
    assert run(zstd.compress(tar(ENTRIES)))[1] == FILES


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
