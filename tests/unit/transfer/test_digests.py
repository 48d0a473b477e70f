"""Digests of files, and what is said of a file that is not the right one."""

from __future__ import annotations

import hashlib

import pytest

from moodbench.digests import digest_file
from moodbench.errors import DownloadError
from moodbench.transfer.expected import Expectation, check_file
from tests.transfers import BODY, DIGEST, OTHER, PAGE, known


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_digests_are_those_of_the_whole_file(tmp_path, size):
    body, file = BODY[:1] * size, tmp_path / "f"
    file.write_bytes(body)
    assert digest_file(file, ["sha256", "md5", "git_blob"]) == {
        "sha256": hashlib.sha256(body).hexdigest(),
        "md5": hashlib.md5(body).hexdigest(),
        "git_blob": hashlib.sha1(b"blob %d\0" % size + body).hexdigest(),
    }


def test_the_git_blob_is_what_git_calls_it(tmp_path):
    (tmp_path / "f").write_bytes(b"hello\n")
    assert digest_file(tmp_path / "f", ["git_blob"]) == {"git_blob": "ce013625030ba8dba906f756967f9e9ca394464a"}


def test_a_file_that_is_right_passes_in_either_case_of_hex(tmp_path):
    (tmp_path / "f").write_bytes(BODY)
    expected = Expectation(bytes=len(BODY), md5=DIGEST.md5.upper())
    assert check_file(tmp_path / "f", expected, "a friend")["md5"] == DIGEST.md5
    assert DIGEST.known
    assert not Expectation(bytes=3).known


@pytest.mark.parametrize(
    ("content", "expected", "words"),
    [
        (BODY[:-1], known(), ["299,999 bytes", "expected 300,000", "cut short"]),
        (BODY + b"x", known(), ["300,001 bytes", "another version"]),
        (OTHER, known(), [hashlib.sha256(OTHER).hexdigest(), known().sha256, "changed at the publisher"]),
        (OTHER, DIGEST, [hashlib.md5(OTHER).hexdigest(), DIGEST.md5]),
        (PAGE, DIGEST, ["web page", "login"]),
        (b"\n <html>Google Drive - Quota exceeded", DIGEST, ["quota"]),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", DIGEST, ["Git LFS pointer"]),
        (b"", DIGEST, ["empty"]),
        (PAGE, Expectation(), ["web page"]),
        (b"", Expectation(), ["empty"]),
        (b"abc", Expectation(bytes=4), ["3 bytes", "expected 4"]),
    ],
)
def test_a_wrong_file_is_refused_with_what_it_is_and_should_be(tmp_path, content, expected, words):
    file = tmp_path / "x.tar"
    file.write_bytes(content)
    with pytest.raises(DownloadError) as caught:
        check_file(file, expected, "https://a.org/x.tar")
    message = str(caught.value)
    for word in ["x.tar", "https://a.org/x.tar", str(file), *words]:
        assert word in message


def test_what_is_markup_by_name_may_begin_like_it(tmp_path):
    (tmp_path / "x.html").write_bytes(PAGE)
    assert check_file(tmp_path / "x.html", Expectation(), "here")
    with pytest.raises(DownloadError, match="No such file"):
        check_file(tmp_path / "none", Expectation(), "here")
