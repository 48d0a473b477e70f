"""Talking to a host: is it there at all, with which limits, and what its failures mean in words."""

from __future__ import annotations

import math
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

from moodbench.errors import UsageError
from moodbench.release import __version__

if TYPE_CHECKING:
    from requests import Response, Session

T = TypeVar("T")

CONNECT_SECONDS = 5.0
"""How long a host may take to be there. Without a network this is all the time that passes."""

_SECRET = re.compile(r"(?i)(token|secret|passw|signature|credential|api.?key|auth|^key$|^sig$)")
_WORDS = {401: "a login is needed", 403: "forbidden", 404: "not found", 410: "removed", 407: "the proxy wants a login"}
_reached: set[tuple[str, int]] = set()
_local = threading.local()


def session() -> Session:
    """Return this thread's session: connections are kept open for the next file of the same host."""
    from requests import Session

    if not hasattr(_local, "session"):
        _local.session = Session()
        _local.session.headers["User-Agent"] = f"moodbench/{__version__}"
        _local.session.headers["Accept-Encoding"] = "identity"  # bytes as they lie there: sizes and ranges count them
    made: Session = _local.session
    return made


def limits() -> tuple[float, float]:
    """Return the seconds for connecting, and for each wait after that: ``MOODBENCH_TIMEOUT``, 30 by default.

    Raises
    ------
    UsageError
        The variable is no number above zero.
    """
    text = os.environ.get("MOODBENCH_TIMEOUT") or "30"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(f"MOODBENCH_TIMEOUT is '{text}'", fix="set it to a number of seconds, such as 30")
    return min(CONNECT_SECONDS, seconds), seconds


def shown(url: str) -> str:
    """Return an address as it may be printed and noted: without user, password and tokens."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    fields = [field.partition("=") for field in parts.query.split("&")]
    query = "&".join(f"{k}{eq}{'…' if eq and _SECRET.search(k) else v}" for k, eq, v in fields)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


class Question(Generic[T]):
    """Something that is asked of the network in a thread that may be left behind.

    Looking a name up knows no time limit of its own, so that `ask` may stay away for longer than `seconds`.
    """

    def __init__(self, ask: Callable[[], T], seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._answers: list[T] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(ask()), daemon=True)
        self._thread.start()

    def answer(self, otherwise: T) -> T:
        """Return the answer; `otherwise` if there is none in time."""
        self._thread.join(max(0.0, self._end - time.monotonic()))
        return self._answers[0] if self._answers else otherwise


class Reach:
    """Whether the hosts of some addresses are there: all are asked at once, and each answer is waited for alone.

    A host (or proxy) that answered once in this process is not asked again.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        self._gates = {url: _gate(url) for url in urls}
        connect, _ = limits()
        asked = {gate for gate in self._gates.values() if gate is not None and gate not in _reached}
        self._questions = {gate: Question(partial(_fault_of, gate, connect), connect) for gate in asked}

    def fault(self, url: str) -> str | None:
        """Return why the host of one of the addresses cannot be reached; None if it can, or if that is unknown."""
        gate = self._gates[url]
        if gate is None or gate not in self._questions:
            return None
        fault = self._questions[gate].answer(otherwise="does not answer")
        host = gate[0] if gate[0] == urlsplit(url).hostname else f"the proxy {gate[0]}:{gate[1]}"
        return None if fault is None else f"{host} {fault}"


def _fault_of(gate: tuple[str, int], seconds: float) -> str | None:
    """Return why nobody is reached at a host and port; None if somebody is."""
    try:
        socket.create_connection(gate, timeout=seconds).close()
    except (OSError, UnicodeError) as error:
        return _no_connection(error)
    _reached.add(gate)
    return None


def _gate(url: str) -> tuple[str, int] | None:
    """Return host and port that a request for `url` connects to: the proxy's, where the environment names one."""
    from requests.utils import get_environ_proxies, select_proxy

    try:
        proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
        parts = urlsplit(url if not proxy else proxy if "://" in proxy else f"http://{proxy}")
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 1080)
        return (parts.hostname, port) if parts.hostname else None
    except ValueError:
        return None


def _no_connection(error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return "is not known here: no network, or no such host"
    if isinstance(error, TimeoutError):
        return "does not answer"
    return f"cannot be reached: {(error.strerror or str(error)).lower()}"


def explain_status(response: Response) -> str:
    """Return an HTTP answer that is not the file in words."""
    words = _WORDS.get(response.status_code) or (response.reason or "").lower()
    return f"HTTP {response.status_code}" + (f" ({words})" if words else "")


def explain_error(error: Exception) -> tuple[str, bool]:
    """Return a failed request in words, and whether another attempt may help.

    The libraries' own texts are not shown: they hold addresses with everything that is in them.
    """
    from requests import exceptions as r

    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is not trusted here (REQUESTS_CA_BUNDLE names a file with more authorities)", False
    if refusal := re.search(r"Tunnel connection failed: (\d+)", text):
        return f"the proxy refuses with HTTP {refusal[1]}", refusal[1][0] == "5"
    if isinstance(error, r.TooManyRedirects):
        return "it sends in circles (too many redirects)", False
    if isinstance(error, r.InvalidURL | r.InvalidSchema | r.MissingSchema | UnicodeError | ValueError):
        return "that is no address of a file", False
    if isinstance(error, r.ConnectTimeout):
        return "the host does not answer", True
    if isinstance(error, r.Timeout) or "timed out" in text:
        return f"nothing came for {limits()[1]:g} s", True
    if isinstance(error, r.ProxyError):
        return "the proxy does not answer", True
    return "the connection broke", True


def pause_asked_for(headers: Mapping[str, str]) -> float:
    """Return the seconds of a ``Retry-After`` header, a number or a date; 0 if there is none."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
