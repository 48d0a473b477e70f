"""What every kind of plot shares: the registry, one look, and files that equal inputs make byte for byte equal.

Figures are made without pyplot: no global state, no display.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from moodbench.atomic import write_file
from moodbench.errors import UsageError
from moodbench.registry import Registry

PLOTS: Registry[Callable[..., None]] = Registry("plot", package="moodbench.plots")

SUFFIXES = (".png", ".svg", ".pdf")

STYLE = {
    "svg.hashsalt": "moodbench",  # else the identifiers in the file are random
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",  # comes with matplotlib, hence the same everywhere
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "savefig.dpi": 200,
}


def plain(text: str) -> str:
    """Return text on one line, without what matplotlib would take for a formula."""
    return " ".join(text.split()).replace("$", r"\$")  # no formula


def check_suffix(file: Path) -> None:
    """Raise a `UsageError` unless the suffix is one of `SUFFIXES`."""
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"a plot cannot be written as '{file.name}'", fix=f"end the file name in {', '.join(SUFFIXES)}"
        )


def save(figure: Figure, file: Path) -> None:
    """Write a figure, whole or not at all; equal figures give equal bytes."""
    kind = file.suffix.lower().removeprefix(".")
    timeless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)  # the time of day is left out
    out = io.BytesIO()
    with warnings.catch_warnings():
        # a title in letters that the font lacks: the picture shows boxes, and that says it
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(out, format=kind, metadata=timeless)
    write_file(file, out.getvalue())
