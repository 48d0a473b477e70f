"""Texts that people will paste in public: without their home, and without what addresses give away."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

_USER = re.compile(r"(?<=://)[^/\s@]*@")
_TOKEN = re.compile(r"\b(hf_|ghp_|github_pat_|sk-)[A-Za-z0-9_-]{6,}")
_SOMEBODY = re.compile(r"/(home|Users)/(?!USER\b)[^/\s,;:'\"]+")
_LONG = 300


def plain(text: object) -> str:
    """Return text on one line, at most some letters long, with `~` for the home, without names of users,
    passwords and tokens."""
    words = " ".join(str(text).split())
    words = _TOKEN.sub(r"\1…", _USER.sub("", words))
    home = _home()
    if home:
        words = re.sub(rf"{re.escape(home)}(?=/|\b)", "~", words)
    user = _user()
    if user:
        words = re.sub(rf"(?<=/){re.escape(user)}(?=/|$|[\s,'\"])", "USER", words)
    words = _SOMEBODY.sub(r"/\1/USER", words)  # a folder may be somebody else's
    return words if len(words) <= _LONG else words[: _LONG - 1] + "…"


def address(url: str) -> str:
    """Return scheme, host and port of an address, and nothing else of it."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not an address)"
    return f"{parts.scheme}://{host}{port}" if parts.scheme else f"{host}{port}"


def path(given: str | Path) -> str:
    """Return a path with `~` in the place of the home."""
    return plain(given)


def _user() -> str:
    """Return the name of who runs this, where it says something of a person."""
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or ""
    return "" if name in ("root", "user", "runner") or len(name) < 2 else name


def _home() -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 (that of `Path` raises where nobody knows it)
    return "" if home in ("~", "/", "") else home.rstrip("/")
