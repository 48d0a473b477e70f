"""moodbench.transfer: files come whole and checked over whatever line, and no byte comes twice that is here already."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench import lock as lock_module
from moodbench.digests import digest_file
from moodbench.errors import DownloadError, UsageError
from moodbench.lock import exclusive, lock_file
from moodbench.transfer import contact, mirror
from moodbench.transfer import part as part_module
from moodbench.transfer.contact import explain_error, pause_asked_for, shown
from moodbench.transfer.expected import Expectation, check_file
from moodbench.transfer.http import fetch
from moodbench.transfer.meter import SMALL, Bars
from moodbench.transfer.part import Note, Part
from tests.server import Refusal, Server, server_fixture  # noqa: F401

BODY = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
PAGE = b"<!DOCTYPE html><title>Sign in</title>"
DATE = "Thu, 01 Jan 2015 00:00:00 GMT"


def known(body: bytes = BODY) -> Expectation:
    return Expectation(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


DIGEST = Expectation(md5=hashlib.md5(BODY).hexdigest())


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Nobody sleeps between attempts; for how long they would have is noted."""
    noted: list[float] = []
    monkeypatch.setattr(mirror, "sleep", noted.append)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return noted


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "data" / "a.bin"


def left_beside(target: Path) -> set[str]:
    return {file.name.removeprefix(target.name) for file in target.parent.iterdir()} - {""}


def failure(*args, **options) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(*args, **options)
    return str(caught.value)


# --- digests ---------------------------------------------------------------------------------------------------------


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


# --- one address -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [Expectation(), DIGEST, known()])
def test_a_file_is_fetched_once(server, target, expected):
    page = server.add("/a.bin", BODY)
    got = fetch(server.url("/a.bin"), target, expected=expected)
    assert target.read_bytes() == BODY
    assert (got.file, got.url, got.bytes) == (target, server.url("/a.bin"), len(BODY))
    assert (got.sha256, got.checked, got.fetched_bytes) == (known().sha256, expected.known, len(BODY))
    again = fetch(server.url("/a.bin"), target, expected=expected)
    assert (again.url, again.bytes, again.sha256, again.fetched_bytes) == (None, len(BODY), known().sha256, 0)
    assert len(page.asked) == 1
    assert left_beside(target) == set()
    headers = page.asked[0].headers
    assert headers["user-agent"].startswith("moodbench/")
    assert headers["accept-encoding"] == "identity"


def test_a_body_that_is_called_encoded_is_kept_as_it_is(server, target):
    server.add("/a.bin", BODY, headers={"Content-Encoding": "x-gzip"})  # as many servers call a .tar.gz
    assert fetch(server.url("/a.bin"), target, expected=known()).checked


@pytest.mark.parametrize("expected", [Expectation(), DIGEST])
@pytest.mark.parametrize("version", [{}, {"etag": None, "modified": DATE}, {"etag": 'W/"1"', "modified": DATE}])
def test_a_broken_line_costs_no_byte(server, target, pauses, expected, version):
    page = server.add("/a.bin", BODY, cuts=[1000, 0, 99_000, 150_000], **version)
    got = fetch(server.url("/a.bin"), target, expected=expected)
    assert target.read_bytes() == BODY
    assert page.ranges_asked == [None, "bytes=1000-", "bytes=1000-", "bytes=100000-", "bytes=250000-"]
    assert page.asked[-1].headers["if-range"] == (version.get("modified") or page.tag)
    assert page.sent == got.fetched_bytes == len(BODY)
    assert pauses == [1, 2, 1, 1]  # every byte won begins the count again


def test_without_version_and_digest_two_answers_are_never_joined(server, target):
    page = server.add("/a.bin", BODY, etag=None, cuts=[1000])
    fetch(server.url("/a.bin"), target)
    assert page.ranges_asked == [None, None]
    assert target.read_bytes() == BODY


def test_without_version_the_digest_decides(server, target):
    page = server.add("/a.bin", BODY, etag=None, cuts=[1000])
    assert fetch(server.url("/a.bin"), target, expected=DIGEST).fetched_bytes == len(BODY)
    assert page.ranges_asked == [None, "bytes=1000-"]
    assert "if-range" not in page.asked[1].headers


def interrupted(server, target, body: bytes = BODY, at: int = 100_000, expected: Expectation = DIGEST, **behaviour):
    """Leave a part of `at` bytes, as a run does that is stopped there."""
    page = server.add("/a.bin", body, **behaviour)
    page.cuts.append(at)
    failure(server.url("/a.bin"), target, attempts=1, expected=expected)
    assert Part(target).size == at
    page.asked.clear()
    return page


@pytest.mark.parametrize("expected", [Expectation(), known(OTHER)])
@pytest.mark.parametrize("behaviour", [{}, {"if_range": False}, {"ranges": False}])
def test_a_changed_file_begins_anew(server, target, expected, behaviour):
    page = interrupted(server, target, expected=Expectation(), **behaviour)
    page.body = OTHER
    fetch(server.url("/a.bin"), target, expected=expected)
    assert target.read_bytes() == OTHER


@pytest.mark.parametrize("size", [100, 100_000, 100_001, 400_000])
def test_a_file_of_another_size_begins_anew(server, target, size):
    page = interrupted(server, target, expected=Expectation(), etag='"same"', if_range=False)
    page.body = (OTHER * 2)[:size]
    fetch(server.url("/a.bin"), target)
    assert target.read_bytes() == page.body


def test_a_server_without_ranges_sends_it_all_again(server, target):
    page = interrupted(server, target, ranges=False)
    assert fetch(server.url("/a.bin"), target, expected=DIGEST).fetched_bytes == len(BODY)
    assert page.ranges_asked == ["bytes=100000-"]


def test_an_answer_from_elsewhere_in_the_file_is_not_used(server, target):
    page = interrupted(server, target, shift=5)
    fetch(server.url("/a.bin"), target, expected=DIGEST)
    assert target.read_bytes() == BODY
    assert page.ranges_asked == ["bytes=100000-", None]


def test_a_part_with_a_wrong_byte_is_fetched_once_more_from_its_start(server, target):
    page = interrupted(server, target)
    with Part(target).file.open("r+b") as stream:
        stream.write(bytes([BODY[0] ^ 1]))
    said = []
    fetch(server.url("/a.bin"), target, expected=DIGEST, report=said.append)
    assert target.read_bytes() == BODY
    assert page.ranges_asked == ["bytes=100000-", None]
    assert any("once more from its start" in line for line in said)


@pytest.mark.parametrize("expected", [Expectation(), known()])
def test_a_part_that_is_whole_is_only_checked(server, target, expected):
    interrupted(server, target)
    Part(target).file.write_bytes(BODY)
    server.pages.clear()
    got = fetch(server.url("/a.bin"), target, expected=expected)
    assert (got.fetched_bytes, got.sha256, got.url) == (0, known().sha256, server.url("/a.bin"))
    assert left_beside(target) == set()


def test_a_whole_part_with_a_wrong_byte_is_not(server, target):
    page = interrupted(server, target)
    Part(target).file.write_bytes(OTHER)
    assert fetch(server.url("/a.bin"), target, expected=known()).checked
    assert page.ranges_asked == [None]


@pytest.mark.parametrize(("expected", "ranges"), [(DIGEST, ["bytes=100000-"]), (Expectation(), [None])])
@pytest.mark.parametrize("note", [None, b"{", b'{"schema": 1, "note": {"url": 3}}', b'{"schema": 99, "note": {}}'])
def test_a_part_without_a_readable_note_is_used_if_the_digest_can_tell(server, target, expected, ranges, note):
    page = interrupted(server, target)
    Part(target).note_file.unlink()
    if note is not None:
        Part(target).note_file.write_bytes(note)
    fetch(server.url("/a.bin"), target, expected=expected)
    assert target.read_bytes() == BODY
    assert page.ranges_asked == ranges


def test_nothing_is_left_to_send(server, target):
    page = server.add("/a.bin", BODY, length=False)  # so its size is not known beforehand
    part = Part(target)
    target.parent.mkdir()
    part.start(Note(server.url("/a.bin"), page.tag))
    part.file.write_bytes(BODY)
    assert fetch(server.url("/a.bin"), target).fetched_bytes == 0
    assert [request.status for request in page.asked] == [416]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("behaviour", [{"length": False}, {"chunked": True}])
def test_a_size_that_is_not_said_is_no_obstacle(server, target, behaviour):
    page = server.add("/a.bin", BODY, cuts=[1000, 5000], **behaviour)
    fetch(server.url("/a.bin"), target, expected=known())
    assert target.read_bytes() == BODY
    assert page.sent == len(BODY)


def test_a_chunked_body_that_breaks_off_is_noticed_without_knowing_anything(server, target):
    page = server.add("/a.bin", BODY, chunked=True, cuts=[1000])
    fetch(server.url("/a.bin"), target)
    assert target.read_bytes() == BODY
    assert page.ranges_asked == [None, "bytes=1000-"]


def test_redirects_are_followed_and_circles_left(server, target):
    server.add("/a.bin", redirect="/b")
    server.add("/b", redirect=server.url("/c"))
    page = server.add("/c", BODY, cuts=[1000])
    got = fetch(server.url("/a.bin"), target, expected=DIGEST)
    assert (got.url, got.fetched_bytes) == (server.url("/a.bin"), len(BODY))
    assert page.ranges_asked == [None, "bytes=1000-"]
    server.add("/b", redirect="/a.bin")
    target.unlink()
    assert "circles" in failure(server.url("/a.bin"), target)


def test_a_slow_line_is_no_broken_one(server, target):
    server.add("/a.bin", BODY, trickle=(30_000, 0.001))
    assert fetch(server.url("/a.bin"), target, expected=known()).fetched_bytes == len(BODY)


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", mirror.BUSY)
def test_a_busy_server_is_asked_again(server, target, pauses, status):
    server.add("/a.bin", BODY, refusals=[Refusal(status)] * 4)
    assert fetch(server.url("/a.bin"), target).fetched_bytes == len(BODY)
    assert pauses == [1, 2, 4, 8]


def test_pauses_are_as_long_as_the_server_wants_within_limits(server, target, pauses):
    waits = [Refusal(429, {"Retry-After": "7"}), Refusal(503, {"Retry-After": "soon"}), Refusal(503), Refusal(503)]
    server.add("/a.bin", BODY, refusals=waits)
    said = []
    fetch(server.url("/a.bin"), target, report=said.append)
    assert pauses == [7, 2, 4, 8]
    assert said[0] == "'a.bin': HTTP 429 (too many requests); trying again in 7 s"
    server.add("/a.bin", BODY, refusals=[Refusal(429, {"Retry-After": "3600"})])
    target.unlink()
    assert "come back in 3,600 s" in failure(server.url("/a.bin"), target)
    assert len(pauses) == 4


def test_a_pause_may_be_a_date():
    assert 90 < pause_asked_for({"Retry-After": formatdate(time.time() + 100, usegmt=True)}) <= 100
    assert pause_asked_for({"Retry-After": DATE}) == 0
    assert pause_asked_for({}) == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 204, 206])
def test_a_refusal_for_good_leads_to_the_next_mirror_at_once(server, target, pauses, status):
    first = server.add("/a.bin", always=Refusal(status, body=b""))
    server.add("/b.bin", BODY)
    said = []
    got = fetch([server.url("/a.bin"), server.url("/b.bin")], target, report=said.append)
    assert got.url == server.url("/b.bin")
    assert (len(first.asked), pauses) == (1, [])
    assert [f"HTTP {status}" in line for line in said] == [True]


def test_when_all_mirrors_fail_each_is_named_with_its_reason(server, target, pauses):
    server.add("/a.bin", always=Refusal(403))
    server.add("/c.bin", always=Refusal(503))
    urls = [server.url(path) for path in ("/a.bin", "/b.bin", "/c.bin")]
    message = failure(urls, target, attempts=3, fix="moodbench download things --from FILE")
    assert message == (
        "'a.bin' cannot be fetched from any of its addresses:\n"
        f"    {urls[0]}: HTTP 403 (forbidden)\n"
        f"    {urls[1]}: HTTP 404 (not found)\n"
        f"    {urls[2]}: HTTP 503 (service unavailable), at the last of 3 attempts\n"
        f"  file: {target}\n"
        "  fix:  try again later: the server is busy\n"
        "        or moodbench download things --from FILE"
    )
    assert pauses == [1, 2]
    assert left_beside(target) == set()
    assert "no address" in failure([], target)
    assert failure(urls[:1], target, fix="do it by hand").endswith("\n  fix:  do it by hand")


def test_a_line_that_stays_broken_keeps_what_came(server, target):
    page = server.add("/a.bin", BODY, cuts=[1000, 0, 0, 0, 0, 0])
    message = failure(server.url("/a.bin"), target, attempts=3)
    assert "look at the network" in message
    assert "goes on after the 1,000 bytes" in message
    assert not target.exists()
    page.cuts.clear()
    assert fetch(server.url("/a.bin"), target).fetched_bytes == len(BODY) - 1000


def test_another_mirror_goes_on_if_the_digest_can_tell(server, target):
    server.add("/a.bin", BODY, cuts=[100_000, 0])
    second = server.add("/b.bin", BODY, etag='"other"', cuts=[100_000])
    urls = [server.url("/a.bin"), server.url("/b.bin")]
    assert fetch(urls, target, expected=known(), attempts=2).fetched_bytes == len(BODY)
    assert second.ranges_asked == ["bytes=100000-", "bytes=200000-"]
    assert target.read_bytes() == BODY


def test_another_mirror_begins_anew_if_not_and_is_asked_first_the_next_time(server, target):
    first = server.add("/a.bin", OTHER, cuts=[50_000, 0])
    second = server.add("/b.bin", BODY, cuts=[100_000, 0])
    urls = [server.url("/a.bin"), server.url("/b.bin")]
    failure(urls, target, attempts=2)
    assert second.ranges_asked == [None, "bytes=100000-"]
    assert fetch(urls, target).fetched_bytes == len(BODY) - 100_000
    assert target.read_bytes() == BODY
    assert len(first.asked) == 2


def test_a_wrong_file_is_put_aside_and_the_next_mirror_tried(server, target):
    server.add("/a.bin", OTHER)
    urls = [server.url("/a.bin"), server.url("/b.bin")]
    message = failure(urls, target, expected=known())
    assert hashlib.sha256(OTHER).hexdigest() in message
    assert known().sha256 in message
    assert f"file: {target}.wrong" in message
    assert target.with_name("a.bin.wrong").read_bytes() == OTHER
    assert left_beside(target) == {".wrong", ".wrong.json"}
    server.add("/b.bin", BODY)
    assert fetch(urls, target, expected=known()).url == urls[1]
    assert left_beside(target) == set()


def test_a_file_that_was_wrong_is_not_fetched_twice(server, target):
    body = OTHER * 8  # more than fits into the buffers on the way
    page = server.add("/a.bin", body)
    expected = Expectation(md5=DIGEST.md5)
    failure(server.url("/a.bin"), target, expected=expected)
    message = failure(server.url("/a.bin"), target, expected=expected)
    assert "still offers the file that is kept as a.bin.wrong" in message
    assert f"remove {target}.wrong" in message
    assert page.sent < 2 * len(body)
    page.body = BODY  # mended
    assert fetch(server.url("/a.bin"), target, expected=expected).checked


def test_a_file_that_was_right_all_along_is_used(server, target):
    server.add("/a.bin", BODY)
    failure(server.url("/a.bin"), target, expected=Expectation(sha256="0" * 64))
    assert fetch(server.url("/a.bin"), target, expected=known()).fetched_bytes == 0
    assert target.read_bytes() == BODY
    assert ".wrong" not in left_beside(target)


def test_another_size_is_refused_before_it_is_fetched(server, target):
    first = server.add("/a.bin", BODY * 8)
    server.add("/c.bin", PAGE, content_type="text/html; charset=utf-8")
    urls = [server.url("/a.bin"), server.url("/c.bin")]
    message = failure(urls, target, expected=known())
    assert "it offers 2,400,000 bytes; expected are 300,000" in message
    assert "calls it a web page" in message
    assert first.sent < len(first.body)
    server.add("/b.bin", BODY)
    assert fetch([*urls, server.url("/b.bin")], target, expected=known()).url == server.url("/b.bin")


def test_more_than_expected_is_not_taken(server, target):
    server.add("/a.bin", BODY * 8, length=False)
    assert "more than 300,000 bytes" in failure(server.url("/a.bin"), target, expected=known())
    assert left_beside(target) == set()


@pytest.mark.parametrize("body", [PAGE, b"version https://git-lfs.github.com/spec/v1\n", b""])
def test_what_is_no_dataset_at_all_is_refused_without_a_digest(server, target, body):
    server.add("/a.bin", body)
    server.add("/b.bin", BODY)
    urls = [server.url("/a.bin"), server.url("/b.bin")]
    assert fetch(urls, target).url == urls[1]
    assert "kept as" in failure(urls[0], target.with_name("c.bin"))


def test_a_target_that_is_not_right_is_put_aside(server, target):
    target.parent.mkdir()
    target.write_bytes(OTHER)
    server.add("/a.bin", BODY)
    said = []
    assert fetch(server.url("/a.bin"), target, expected=known(), report=said.append).fetched_bytes == len(BODY)
    assert "kept as a.bin.wrong" in said[0]


def test_a_full_disk_keeps_what_came(server, target, monkeypatch):
    page = server.add("/a.bin", BODY, trickle=(50_000, 0))
    write = os.write

    def full(descriptor, data):
        if len(data) + os.fstat(descriptor).st_size > 120_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(part_module.os, "write", full)
    message = failure(server.url("/a.bin"), target)
    assert "No space left" in message
    assert str(target.parent) in message
    monkeypatch.undo()
    kept = Part(target).size
    assert kept > 0
    assert fetch(server.url("/a.bin"), target).fetched_bytes == len(BODY) - kept
    assert page.ranges_asked[-1] == f"bytes={kept}-"


def test_a_folder_that_cannot_be_is_one_clear_error(server, tmp_path):
    server.add("/a.bin", BODY)
    (tmp_path / "file").touch()
    assert "cannot be written" in failure(server.url("/a.bin"), tmp_path / "file" / "a.bin")


@pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://a.org/x", "http://[bad/x", "http://a..b/x"])
def test_a_bad_address_is_one_clear_error(target, url):
    assert "a.bin" in failure(url, target)


def test_a_stop_by_hand_keeps_what_came_and_lets_go(server, target):
    server.add("/a.bin", BODY, trickle=(10_000, 0.001))

    class Stop(Bars):
        def advance(self, count):
            super().advance(count)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url("/a.bin"), target, meter=Stop())
    kept = Part(target).size
    assert left_beside(target) == {".part", ".part.json"}
    assert fetch(server.url("/a.bin"), target).fetched_bytes == len(BODY) - kept


# --- hosts, proxies, secrets -----------------------------------------------------------------------------------------


def test_silence_is_waited_for_within_limits(server, target, monkeypatch):
    monkeypatch.setenv("MOODBENCH_TIMEOUT", "0.3")
    release, first = threading.Event(), iter([True])
    server.add("/a.bin", BODY, hold=lambda: next(first, False) and release.wait(60))
    said = []
    assert fetch(server.url("/a.bin"), target, report=said.append).fetched_bytes == len(BODY)
    release.set()
    assert "nothing came for 0.3 s" in said[0]


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan", "inf"])
def test_a_limit_must_be_a_number(target, monkeypatch, text):
    monkeypatch.setenv("MOODBENCH_TIMEOUT", text)
    with pytest.raises(UsageError, match="MOODBENCH_TIMEOUT"):
        fetch("http://127.0.0.1/x", target)


def test_connecting_is_never_waited_for_longer_than_five_seconds(monkeypatch):
    monkeypatch.setenv("MOODBENCH_TIMEOUT", "300")
    assert contact.limits() == (5, 300)
    monkeypatch.setenv("MOODBENCH_TIMEOUT", "2")
    assert contact.limits() == (2, 2)


def test_hosts_that_are_silent_are_all_given_one_limit_and_no_second_attempt(target, monkeypatch, pauses):
    monkeypatch.setattr(contact, "CONNECT_SECONDS", 0.05)
    release, asked = threading.Event(), []

    def connect(gate, timeout):
        asked.append(gate)
        release.wait(60)
        raise OSError

    monkeypatch.setattr(contact.socket, "create_connection", connect)
    message = failure(["http://a.invalid/x", "https://b.invalid:99/x", "http://a.invalid/y"], target)
    release.set()
    wait_for(lambda: len(asked) == 2)  # threads begin when a busy machine lets them
    assert sorted(asked) == [("a.invalid", 80), ("b.invalid", 99)]
    assert pauses == []
    for words in ("a.invalid does not answer", "b.invalid does not answer", "HTTPS_PROXY"):
        assert words in message


def test_nobody_listening_is_said_at_once(target, pauses, nowhere):
    message = failure(f"http://127.0.0.1:{nowhere}/x", target)
    assert "127.0.0.1 cannot be reached: connection refused" in message
    assert pauses == []


def test_the_proxy_of_the_environment_is_used(server, target, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url())
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    page = server.add("/a.bin", BODY, cuts=[1000])
    assert fetch("http://files.invalid/a.bin", target, expected=DIGEST).fetched_bytes == len(BODY)
    assert {request.path for request in page.asked} == {"http://files.invalid/a.bin"}


def test_a_proxy_that_is_not_there_is_named(target, monkeypatch, nowhere):
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{nowhere}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    assert f"the proxy 127.0.0.1:{nowhere} cannot be reached" in failure("http://files.invalid/a", target)


def test_secrets_are_used_and_never_shown(server, target):
    page = server.add("/a.bin", BODY, cuts=[1000], refusals=[Refusal(503)])
    url = server.url("/a.bin?token=hush&v=1", user="me:hush")
    said = []
    got = fetch([server.url("/none?X-Amz-Signature=hush"), url], target, report=said.append)
    assert page.asked[-1].headers["authorization"].startswith("Basic ")
    assert got.url == server.url("/a.bin?token=…&v=1")
    server.add("/a.bin", OTHER)
    message = failure(url, target.with_name("b.bin"), expected=known(), report=said.append)
    kept = target.with_name("b.bin.wrong.json").read_text()
    assert "hush" not in "".join([*said, message, kept])
    assert shown("http://[") == "(not an address)"


@pytest.mark.parametrize(
    ("error", "words", "hope"),
    [
        (requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "REQUESTS_CA_BUNDLE", False),
        (requests.exceptions.ProxyError("OSError('Tunnel connection failed: 407 No')"), "HTTP 407", False),
        (requests.exceptions.ProxyError("OSError('Tunnel connection failed: 502 No')"), "HTTP 502", True),
        (requests.exceptions.ProxyError("Unable to connect to proxy"), "proxy", True),
        (requests.exceptions.ConnectTimeout(), "does not answer", True),
        (urllib3.exceptions.ReadTimeoutError(None, "/?token=hush", "Read timed out."), "nothing came", True),
        (urllib3.exceptions.ProtocolError("IncompleteRead"), "broke", True),
        (requests.exceptions.InvalidURL("x"), "no address", False),
    ],
)
def test_failures_are_said_in_words(error, words, hope):
    text, again = explain_error(error)
    assert words in text
    assert "hush" not in text
    assert again is hope


# --- several at once, and killed ones --------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from moodbench.transfer.http import fetch
print(fetch(sys.argv[1], Path(sys.argv[2])).fetched_bytes, flush=True)
"""


def child(url: str, target: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CHILD, url, str(target)], stdout=subprocess.PIPE, text=True)


def wait_for(true, process=None) -> None:
    while not true():
        assert process is None or process.poll() is None
        time.sleep(0.002)


def test_two_processes_fetch_a_file_once(server, target):
    release = threading.Event()
    page = server.add("/a.bin", BODY, hold=lambda: release.wait(60))
    with child(server.url("/a.bin"), target) as other:
        wait_for(lambda: page.asked, other)
        said = []
        got = fetch(server.url("/a.bin"), target, report=lambda line: (said.append(line), release.set()))
        assert other.communicate()[0] == f"{len(BODY)}\n"
    assert said == ["'a.bin' is being fetched by another process: waiting for it"]
    assert (got.fetched_bytes, len(page.asked)) == (0, 1)
    assert left_beside(target) == set()


def test_two_threads_fetch_a_file_once(server, target):
    release, got = threading.Event(), []
    page = server.add("/a.bin", BODY, hold=lambda: release.wait(60))
    first = threading.Thread(target=lambda: got.append(fetch(server.url("/a.bin"), target).fetched_bytes))
    first.start()
    wait_for(lambda: page.asked)
    got.append(fetch(server.url("/a.bin"), target, report=lambda line: release.set()).fetched_bytes)
    first.join()
    assert sorted(got) == [0, len(BODY)]


def test_who_waits_gets_its_turn_when_the_other_fails(server, target):
    release, lost = threading.Event(), []
    page = server.add("/a.bin", BODY, hold=lambda: release.wait(60), refusals=[Refusal(404)])
    first = threading.Thread(target=lambda: lost.append(failure(server.url("/a.bin"), target)))
    first.start()
    wait_for(lambda: page.asked)
    assert fetch(server.url("/a.bin"), target, report=lambda line: release.set()).fetched_bytes == len(BODY)
    first.join()
    assert len(lost) == 1


def test_a_lock_is_for_one_and_leaves_nothing(tmp_path):
    file = tmp_path / "new" / "f"
    with exclusive(file, tidy=True):
        assert lock_file(file).exists()
        with pytest.raises(BlockingIOError), exclusive(file):
            pass
    assert not lock_file(file).exists()
    with exclusive(file):
        pass


def test_a_lock_does_not_follow_a_link(tmp_path):
    file, elsewhere = tmp_path / "f", tmp_path / "elsewhere"
    for there in (False, True):
        lock_file(file).symlink_to(elsewhere)
        with pytest.raises(OSError, match=r"'\.f\.lock' is a link, remove it"), exclusive(file, tidy=True):
            pass
        assert elsewhere.exists() == there
        lock_file(file).unlink()
        elsewhere.touch()
    with exclusive(file, tidy=True):
        pass


def test_a_lock_on_a_file_that_is_removed_meanwhile_does_not_count(tmp_path, monkeypatch):
    file, lockf, tries = tmp_path / "f", lock_module.fcntl.lockf, []

    def tidied_by_the_last_holder(descriptor, how):
        tries.append(descriptor)
        if len(tries) < 4:
            lock_file(file).unlink()
            if len(tries) > 1:  # somebody else made it anew
                lock_file(file).touch()
        lockf(descriptor, how)

    monkeypatch.setattr(lock_module.fcntl, "lockf", tidied_by_the_last_holder)
    with exclusive(file):
        assert len(tries) == 4
        assert lock_file(file).exists()


def test_a_killed_process_loses_what_is_on_the_line_and_no_more(server, target):
    body = random.Random(2).randbytes(8 << 20)
    chance = random.Random(3)
    stops = [chance.randrange(1 << 18, 1 << 20) for _ in range(4)]
    page = server.add("/a.bin", body, trickle=(32 << 10, 0.001), hangs=[3 << 19] * len(stops))
    for times, stop in enumerate(stops, start=1):
        with child(server.url("/a.bin"), target) as process:
            wait_for(lambda t=times, s=stop: len(page.asked) == t and page.asked[-1].sent >= s, process)
            process.kill()
        assert not target.exists()
    got = fetch(server.url("/a.bin"), target, expected=known(body))
    assert target.read_bytes() == body
    assert got.fetched_bytes < len(body) - sum(stops) + len(stops) * (256 << 10)
    assert page.sent < len(body) + len(stops) * (256 << 10)
    assert left_beside(target) == set()


@pytest.fixture(scope="module")
def shared():
    with Server() as server:
        yield server


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 20_000),
    cuts=st.lists(st.none() | st.integers(0, 20_000), max_size=8),
    version=st.sampled_from([{}, {"etag": None}, {"etag": 'W/"1"'}, {"etag": None, "modified": DATE}]),
    ranges=st.booleans(),
    digest=st.booleans(),
    chunked=st.booleans(),
)
def test_whatever_breaks_the_file_comes_right(shared, size, cuts, version, ranges, digest, chunked):
    body = BODY[:size]
    cuts = [cut if cut is None or cut < size else None for cut in cuts]
    page = shared.add("/a.bin", body, cuts=list(cuts), ranges=ranges, chunked=chunked, **version)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "a.bin")
        got = fetch(shared.url("/a.bin"), target, expected=known(body) if digest else Expectation(), attempts=20)
        assert target.read_bytes() == body
        assert left_beside(target) == set()
    assert got.fetched_bytes == page.sent
    continued = ranges and (digest or version.get("modified") or not version)
    assert page.sent <= size + (0 if continued else sum(cut or 0 for cut in cuts))


# --- progress --------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_are_for_terminals(server, tmp_path, monkeypatch, capsys):
    server.add("/a.bin", BODY)
    with Bars(files=2) as meter:
        fetch(server.url("/a.bin"), tmp_path / "a.bin", meter=meter)
        assert meter.done == len(BODY)
    assert capsys.readouterr() == ("", "")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Bars(files=2, progress=False) as meter:
        fetch(server.url("/a.bin"), tmp_path / "b.bin", meter=meter)
    assert screen.getvalue() == ""
    with Bars(files=2, total=2 * SMALL) as meter:
        meter.begin("big.tar", SMALL // 2, SMALL)
        meter.advance(SMALL // 2)
        meter.end()
        meter.begin("small.tar", 0, 10)
    assert "big.tar" in screen.getvalue()
    assert "all files" in screen.getvalue()
    assert "small.tar" not in screen.getvalue()


def test_a_single_file_has_one_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Bars() as meter:
        meter.begin("a.tar", 0, None)
    assert "a.tar" in screen.getvalue()
    assert "all files" not in screen.getvalue()


def test_bytes_are_counted_once_whatever_breaks_and_from_every_thread(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    paths = [f"/{i}.bin" for i in range(6)]
    for path in paths:
        server.add(path, BODY, ranges=False, cuts=[1000, 2000])
    with Bars(files=6, lines=3) as meter:
        work = [
            threading.Thread(target=fetch, args=(server.url(path), tmp_path / path[1:]), kwargs={"meter": meter})
            for path in paths
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        assert meter.done == 6 * len(BODY)
