"""Where weights come from: caches of the hub and of torch, offline switches, proxies. Secrets are not shown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from moodbench.diagnosis.findings import Finding
from moodbench.diagnosis.words import address, path

SECTION = "weights"

_TRUE = {"1", "ON", "YES", "TRUE"}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def check(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Yield the places as the libraries choose them, from the same variables in the same order."""
    cache = Path(environment.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(environment.get("HF_HOME") or cache / "huggingface")
    hub = Path(environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE") or home / "hub")
    torch = Path(environment.get("TORCH_HOME") or cache / "torch") / "hub" / "checkpoints"
    for name, folder in (("hub cache", hub), ("torch's cache", torch)):
        there = _is_there(folder)
        value = {"path": path(folder), "exists": there}
        yield Finding(SECTION, name, value, path(folder) + ("" if there else " (not there yet)"))
    offline = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if _is_on(environment.get(name))]
    if offline:
        problem = f"{offline[0]} is set: weights that are not in the hub cache are not fetched"
        yield Finding(SECTION, "offline", True, "yes", "warning", problem, f"unset {offline[0]} to fetch them")
    else:
        yield Finding(SECTION, "offline", False)
    if environment.get("HF_ENDPOINT"):
        yield Finding(SECTION, "hub", address(environment["HF_ENDPOINT"]))
    token = bool(environment.get("HF_TOKEN") or environment.get("HUGGING_FACE_HUB_TOKEN")) or _is_there(home / "token")
    yield Finding(SECTION, "token of the hub", token, "there" if token else "none")
    proxies = [name for name in _PROXIES if environment.get(name) or environment.get(name.lower())]
    yield Finding(SECTION, "proxies", proxies, ", ".join(proxies) or "none")


def _is_on(value: str | None) -> bool:
    return (value or "").upper() in _TRUE


def _is_there(place: Path) -> bool:
    try:
        return Path(os.path.expanduser(place)).exists()  # noqa: PTH111 (that of `Path` may raise)
    except OSError:
        return False
