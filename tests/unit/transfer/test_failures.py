"""What goes wrong: busy servers, mirrors that fail, wrong files, full disks and stops by hand."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from email.utils import formatdate

import pytest

from moodbench.transfer import mirror
from moodbench.transfer import part as part_module
from moodbench.transfer.contact import pause_asked_for
from moodbench.transfer.expected import Expectation
from moodbench.transfer.http import fetch
from moodbench.transfer.meter import Bars
from moodbench.transfer.part import Part
from tests.server import Refusal
from tests.transfers import BODY, DATE, DIGEST, OTHER, PAGE, failure, known, left_beside


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
