"""A web server on the loopback interface that misbehaves as told, and remembers what it was asked and what it sent.

::

    with Server() as server:
        page = server.add("/a.tar", body, cuts=[100, 5000])  # the first two answers break off after so many bytes
        ...
        assert page.sent == len(body)

A test gets one as a fixture by importing `server_fixture` into its module.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Refusal:
    """An answer that is not the file."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"<html>no</html>"


@dataclass
class Asked:
    """One request, and how it was answered. `sent` counts the bytes of the body that were handed to the network."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0

    @property
    def range(self) -> str | None:
        """The ``Range`` header."""
        return self.headers.get("range")


@dataclass
class Page:
    """What lies at one path, and how it behaves. Change the attributes at any time; the next request sees it.

    Attributes
    ----------
    body : bytes
    etag, modified : str or None
        ``ETag`` (by default made of the body) and ``Last-Modified`` headers.
    cuts : list of int
        The connection breaks off after so many bytes of the body, once for each entry; None: not this time.
    hangs : list of int
        Nothing more comes after so many bytes of the body until the client goes away, once for each entry.
    refusals : list of Refusal
        Answered instead of the file, once each, before anything else.
    always : Refusal, optional
        Answered instead of the file, for ever.
    ranges, if_range, length, chunked : bool
        Obey ``Range``; obey ``If-Range``; say ``Content-Length``; send in chunks (which says no length either).
    shift : int
        A ``Range`` is answered with bytes that begin so many further on.
    trickle : (int, float), optional
        Send so many bytes at a time, with so many seconds between.
    hold : callable, optional
        Called before the head of an answer is sent.
    headers : dict
        More headers.
    redirect : str, optional
        Answer 302 to this address.
    """

    body: bytes
    etag: str | None = "auto"
    modified: str | None = None
    content_type: str = "application/octet-stream"
    cuts: list[int | None] = field(default_factory=list)
    hangs: list[int | None] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    always: Refusal | None = None
    ranges: bool = True
    if_range: bool = True
    length: bool = True
    chunked: bool = False
    shift: int = 0
    trickle: tuple[int, float] | None = None
    hold: Callable[[], object] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str | None = None
    asked: list[Asked] = field(default_factory=list)

    @property
    def tag(self) -> str | None:
        """The ``ETag`` of what lies here now."""
        return f'"{sha256(self.body).hexdigest()[:16]}"' if self.etag == "auto" else self.etag

    @property
    def sent(self) -> int:
        """Bytes of bodies sent in all, those of refusals not counted."""
        return sum(request.sent for request in self.asked if request.status in (200, 206))

    @property
    def ranges_asked(self) -> list[str | None]:
        """The ``Range`` headers of all requests so far."""
        return [request.range for request in self.asked]


class Server:
    """The server; a context manager. It also serves as a forward proxy for its own pages: only their path counts."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.faults: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """Port on 127.0.0.1."""
        return int(self._http.server_address[1])

    def url(self, path: str = "/", user: str = "") -> str:
        """Return the address of a path, with ``NAME:PASSWORD`` of a user in it."""
        return f"http://{user}{'@' if user else ''}127.0.0.1:{self.port}{path}"

    def add(self, path: str, body: bytes = b"", **behaviour) -> Page:
        """Put something at a path; `behaviour` sets attributes of `Page`."""
        self.pages[path] = Page(body, **behaviour)
        return self.pages[path]

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        for connection in list(self._open):
            _shut(connection, socket.SHUT_RDWR)
        if error[0] is None:
            assert not self.faults, self.faults


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)  # what is called sent shall be so
            server._open.add(self.connection)

        def finish(self) -> None:
            server._open.discard(self.connection)
            super().finish()

        def log_message(self, *args: object) -> None:
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # the client went away, which is what some tests are about
                self.close_connection = True
            except BaseException as fault:
                server.faults.append(fault)
                self.close_connection = True

        def do_GET(self) -> None:
            _answer(server, self)

        def do_HEAD(self) -> None:
            _answer(server, self)

    return Handler


def _answer(server: Server, handler: BaseHTTPRequestHandler) -> None:
    path = re.sub(r"^https?://[^/]*", "", handler.path)
    request = Asked(handler.command, handler.path, {k.lower(): v for k, v in handler.headers.items()})
    server.asked.append(request)
    page = server.pages.get(path.partition("?")[0])
    if page is None:
        _send(handler, request, Refusal(404, body=b"<html>not found</html>"))
        return
    page.asked.append(request)
    if page.hold is not None:
        page.hold()
    if page.refusals:
        _send(handler, request, page.refusals.pop(0))
    elif page.always is not None:
        _send(handler, request, page.always)
    elif page.redirect is not None:
        _send(handler, request, Refusal(302, {"Location": page.redirect}))
    else:
        _serve(handler, request, page)


def _serve(handler: BaseHTTPRequestHandler, request: Asked, page: Page) -> None:
    body, tag, size = page.body, page.tag, len(page.body)
    head = {"Content-Type": page.content_type, **page.headers}
    head |= {k: v for k, v in (("ETag", tag), ("Last-Modified", page.modified)) if v is not None}
    start, asked_for = 0, re.fullmatch(r"bytes=(\d+)-", request.range or "")
    condition = request.headers.get("if-range")
    fresh = condition is None or condition in (tag, page.modified) or not page.if_range
    if asked_for and page.ranges and fresh:
        start = int(asked_for[1]) + page.shift
        if start >= size:
            _send(handler, request, Refusal(416, {"Content-Range": f"bytes */{size}"}, b""))
            return
        head["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    request.status = 206 if "Content-Range" in head else 200
    if page.chunked:
        head["Transfer-Encoding"] = "chunked"
    elif page.length:
        head["Content-Length"] = str(size - start)
    else:
        handler.close_connection = True
    _head(handler, request.status, head)
    if request.method != "HEAD":
        _body(handler, request, page, body[start:])


def _body(handler: BaseHTTPRequestHandler, request: Asked, page: Page, body: bytes) -> None:
    cut = page.cuts.pop(0) if page.cuts else None
    hang = page.hangs.pop(0) if page.hangs else None
    rest = memoryview(body)[: min(len(body) if end is None else end for end in (cut, hang))]
    step, pause = page.trickle or (32 << 10, 0.0)
    while rest:
        piece, rest = rest[:step], rest[step:]
        request.sent += len(piece)
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if page.chunked else piece)
        if pause:
            time.sleep(pause)
    if hang is not None:
        handler.connection.recv(1)
    if cut is not None:
        handler.close_connection = True
        _shut(handler.connection, socket.SHUT_WR)
    elif page.chunked:
        handler.wfile.write(b"0\r\n\r\n")


def _send(handler: BaseHTTPRequestHandler, request: Asked, refusal: Refusal) -> None:
    request.status = refusal.status
    _head(handler, refusal.status, {"Content-Length": str(len(refusal.body)), **refusal.headers})
    if request.method != "HEAD":
        request.sent += len(refusal.body)
        handler.wfile.write(refusal.body)


def _head(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key, value)
    handler.end_headers()


def _shut(connection: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # closed already
        connection.shutdown(how)


@pytest.fixture(name="server")
def server_fixture(monkeypatch) -> Iterator[Server]:
    """Return a running server without pages, which is spoken to directly whatever proxy the environment names."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with Server() as server:
        yield server
