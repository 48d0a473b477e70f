"""What every kind of plot shares: the registry, one look, and files that equal inputs make byte for byte equal.

Figures are made without pyplot: no global state, no display.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from moodbench.atomic import write_file
from moodbench.errors import UsageError
from moodbench.plots.given import Given
from moodbench.registry import Registry

WIDTHS: Mapping[str, float] = {"column": 3.25, "text": 6.875}
"""Inches of a column and of the text of a two-column page, as conferences' styles set them; journals' are wider."""

SUFFIXES = (".png", ".svg", ".pdf")

STYLE: dict[str, Any] = {
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

PAPER: dict[str, Any] = {
    **STYLE,
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "savefig.dpi": 300,
}
"""Letters of a caption's size where the picture is printed as wide as it is."""


@dataclass(frozen=True)
class Plot:
    """A kind of picture.

    Attributes
    ----------
    draw : callable
        What is given → the figure. It raises a `ResultsError` where there is nothing to draw, a `UsageError` where what
        was asked for does not fit.
    width : str or None
        A name in `WIDTHS`, where no width is asked for; None: the figure is as large as its content needs.
    several : bool
        Takes the results of several benchmarks at once.
    layers : bool
        Shows layers of models too, which other kinds do only where they are named; a model's name stands for them.
    without : mapping
        Options that mean nothing here (model, score, ood, group) → why, in words that follow "it".
    """

    draw: Callable[[Given], Figure]
    width: str | None = "column"
    several: bool = False
    without: Mapping[str, str] = field(default_factory=dict)
    layers: bool = False


PLOTS: Registry[Plot] = Registry("plot", package="moodbench.plots")


def as_plot(
    *,
    width: str | None = "column",
    several: bool = False,
    without: Mapping[str, str] | None = None,
    layers: bool = False,
) -> Callable[[Callable[[Given], Figure]], Plot]:
    """Return a decorator that makes a `Plot` of a function from what is given to a figure."""
    return lambda draw: Plot(draw, width, several, without or {}, layers)


def inches(width: str | float | None, plot: Plot) -> float | None:
    """Return a width in inches: a name in `WIDTHS`, a number, or None for that of the plot.

    Raises
    ------
    UsageError
        It is neither, or no width that can be read.
    """
    if width is None:
        return None if plot.width is None else WIDTHS[plot.width]
    if width in WIDTHS:
        return WIDTHS[str(width)]
    try:
        value = float(width)
    except ValueError:
        value = math.nan
    if not 2 <= value <= 60:
        names = " or ".join(WIDTHS)
        raise UsageError(f"a picture cannot be '{width}' wide", fix=f"give {names}, or inches from 2 to 60")
    return value


def plain(text: str) -> str:
    """Return text on one line, without what matplotlib would take for a formula."""
    return " ".join(text.split()).replace("$", r"\$")  # no formula


def check_suffix(file: Path) -> None:
    """Raise a `UsageError` unless the suffix is one of `SUFFIXES`."""
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"a plot cannot be written as '{file.name}'", fix=f"end the file name in {', '.join(SUFFIXES)}"
        )


def check_options(kind: str, plot: Plot, given: Given) -> None:
    """Raise a `UsageError` if something was asked for that means nothing to this kind of plot."""
    asked = {"model": given.models, "score": given.scores, "ood": given.oods}
    if given.param is not None and kind != "sweep":
        raise UsageError(f"'plot {kind}' takes no --param: it draws no sweep", fix="leave it out, or: plot sweep")
    for option, why in plot.without.items():
        if asked.get(option):
            raise UsageError(f"'plot {kind}' takes no --{option}: it {why}", fix=f"leave out --{option}")


def picture(kind: str, given: Given, format: str, width: str | float | None = None) -> bytes:
    """Return a picture as the bytes of a file; equal inputs give equal bytes.

    Parameters
    ----------
    kind : str
        A name in `PLOTS`.
    given : Given
        Its own width is not read.
    format : str
        ``png``, ``svg`` or ``pdf``.
    width : str or float, optional
        As `inches` takes it.
    """
    plot = PLOTS.get(kind)
    check_options(kind, plot, given)
    wide = inches(width, plot)
    with style.context(["default", STYLE if wide is None else PAPER]):
        return as_bytes(plot.draw(replace(given, width=wide)), format)


def inline_svg(kind: str, given: Given, *, key: str, width: str | float | None = None) -> str:
    """Return a picture as an ``<svg>`` element to stand in a page of HTML with others.

    Parameters
    ----------
    kind, given, width
        As those of `picture`.
    key : str
        Letters, digits and ``-``: begins every id, so that those of two pictures with different keys never meet. It is
        the id of the element too.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", key):
        raise ValueError(f"a key is a letter, then letters, digits and '-', got {key!r}")
    text = picture(kind, given, "svg", width).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    # a rule for all elements would reach beyond the picture
    text = re.sub(r'\s*<style type="text/css">.*?</style>', "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{key}-", text)
    start = f'<svg id="{key}" role="img" aria-label="{escape(kind)}" stroke-linejoin="round" stroke-linecap="butt" '
    return start + text.removeprefix("<svg").lstrip()


def as_bytes(figure: Figure, format: str) -> bytes:
    """Return a figure as the bytes of a file in a format; equal figures give equal bytes."""
    timeless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)  # the time of day is left out
    out = io.BytesIO()
    with warnings.catch_warnings():
        # a title in letters that the font lacks: the picture shows boxes, and that says it
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(out, format=format, metadata=timeless)
    return out.getvalue()


def save(figure: Figure, file: Path) -> None:
    """Write a figure, whole or not at all; equal figures give equal bytes."""
    write_file(file, as_bytes(figure, file.suffix.lower().removeprefix(".")))
