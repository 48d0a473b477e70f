"""How fast images of a model were extracted here: ``.rates.json`` beside its caches, for estimates.

A time is never the same twice, so it stands in no cache and no result. What is lost is measured again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from moodbench.atomic import replace_file

FEW = 64
"""Images below which a time says more about starting than about images."""

RATES = ".rates.json"


def rate_of(folder: Path, device: str, views: str = "") -> float | None:
    """Return images a second of a model on a device with these views besides; None where that was never measured."""
    try:
        images, seconds = _read(folder)[device][views]
        return float(images) / float(seconds)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def note_rate(folder: Path, device: str, images: int, seconds: float, views: str = "") -> None:
    """Add what an extraction took to what is known; of few images, and where the file system refuses, nothing."""
    if images < FEW or seconds <= 0:
        return
    known = _read(folder)
    of_device = known.setdefault(device, {})
    try:
        before = [float(one) for one in of_device[views]]
    except (KeyError, TypeError, ValueError):
        before = []
    had, took = before if len(before) == 2 else (0.0, 0.0)
    of_device[views] = [had + images, round(took + seconds, 3)]
    with suppress(OSError):
        replace_file(folder / RATES, (json.dumps(known, indent=1, sort_keys=True) + "\n").encode())


def _read(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / RATES).read_bytes())
        if isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()):
            return found
    return {}
