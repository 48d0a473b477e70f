"""Names and links that lead elsewhere, come twice or are no files."""

from __future__ import annotations

import os
import stat
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.errors import DataError
from moodbench.obtain.unpack import Budget, Folder, Tally
from moodbench.obtain.unpack.names import link_target, safe_name
from tests.archives import KINDS, pack, special, tar, zipped

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
