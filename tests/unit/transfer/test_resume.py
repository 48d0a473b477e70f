"""One address: a file comes whole over whatever line, and no byte comes twice that is here already."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moodbench.transfer.expected import Expectation
from moodbench.transfer.http import fetch
from moodbench.transfer.part import Note, Part
from tests.server import Server
from tests.transfers import BODY, DATE, DIGEST, OTHER, failure, known, left_beside

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


# --- several at once, and killed ones --------------------------------------------------------------------------------


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
