"""What a study will cost, as text."""

from __future__ import annotations

from collections.abc import Sequence

from moodbench.sizes import human_bytes, many
from moodbench.studies.plan import Cost


def costs_in_words(costs: Sequence[Cost]) -> str:
    """Return a table of the steps, and below it the sum."""
    rows = [("step", "to do", "time", "disk", "by")]
    for one in costs:
        if not one.left:
            rows.append((one.step, "nothing", "", "", ""))
            continue
        size = "" if one.unit != "images" else "unknown" if one.bytes is None else human_bytes(one.bytes)
        rows.append((one.step, f"{one.left} {one.unit if one.left != 1 else one.unit[:-1]}", _time(one), size, one.by))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join([*(row[c].ljust(widths[c]) for c in range(4)), row[4]]).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", *_sums(costs)]) + "\n"


def _time(one: Cost) -> str:
    if one.unit == "files":
        return ""
    return "unknown" if one.seconds is None else duration(one.seconds)


def duration(seconds: float) -> str:
    """Return a time as people say it: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _sums(costs: Sequence[Cost]) -> list[str]:
    left = [one for one in costs if one.left]
    if not left:
        return ["Nothing is to do."]
    images = sum(one.left for one in left if one.unit == "images")
    heavy = [one for one in left if one.unit != "files"]
    known = sum(one.seconds for one in heavy if one.seconds is not None)
    unknown = sum(one.seconds is None for one in heavy)
    on = " ".join(one.by for one in left if one.unit == "images")
    hours = f"{known / 3600:.2g} {'CPU' if 'cpu (' in on or not images else 'GPU'}-hours"
    time = f"time: {duration(known)} ({hours})" if known else "time: unknown"
    if unknown and known:
        time += f", and {many(unknown, 'step')} that nobody has measured here"
    if any(one.unit == "images" and one.seconds is None for one in left):
        time += "; --measure tries a few images of each such model"
    size = sum(one.bytes or 0 for one in left)
    more = ", and more that is unknown" if any(one.bytes is None for one in left) else ""
    return [
        f"{len(left)} of {many(len(costs), 'step')} to do; {many(images, 'image')} to extract",
        time,
        f"disk: {human_bytes(size)} of caches{more}",
    ]
