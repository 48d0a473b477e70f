"""Sizes and shares in words."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def human_bytes(size: float) -> str:
    """Return a number of bytes as people write it: ``5.2 GB``, with powers of 1000."""
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 99.5 else f"{size:.1f} {_UNITS[unit]}"


def in_percent(share: float) -> float:
    """Return a share of 1 in percent, to be printed: without the last digits, in which equal means may differ.

    So halves of what is printed are rounded alike, whatever order a mean was summed in.
    """
    return round(100 * share, 7)


def percent(share: float, places: int = 2) -> str:
    """Return a share of 1 as messages, tables and docs write it, with a blank: ``99.45 %``."""
    return f"{in_percent(share):.{places}f} %"


def many(count: float | None, one: str, more: str | None = None) -> str:
    """Return a number of things with its noun: ``1 image``, ``2 images``; `more` is the plural without an -s."""
    plural = more or one + "s"
    return f"unknown number of {plural}" if count is None else f"{count} {one if count == 1 else plural}"
