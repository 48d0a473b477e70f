"""Hosts that are silent or absent, proxies, and secrets that are never shown."""

from __future__ import annotations

import threading

import pytest
import requests
import urllib3

from moodbench.errors import UsageError
from moodbench.transfer import contact
from moodbench.transfer.contact import explain_error, shown
from moodbench.transfer.http import fetch
from tests.server import Refusal
from tests.transfers import BODY, DIGEST, OTHER, failure, known, wait_for


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
