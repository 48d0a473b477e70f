"""Pictures inside the page: nothing that runs or styles, nothing that collides, readable on dark screens."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import style
from matplotlib.figure import Figure

from moodbench.reporting.svg import Pictures, on_dark

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9"{}>{}</svg>'


def drawn(colour: str = "#2f6fde") -> bytes:
    figure = Figure(figsize=(3, 2))
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], [0.123456789, 2, 1], "o", color=colour)
    axes.set_xlabel("a < b & c")
    axes.axvspan(1, 2, color="#f4f6f9")
    out = io.BytesIO()
    with style.context({"svg.hashsalt": "x", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def elements(text: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(f"<page>{text}</page>").iter())


def test_a_figure_has_no_style_and_what_it_refers_to_is_there():
    pictures = Pictures()
    first, second = pictures.inline(drawn(), "one"), pictures.inline(drawn("#d33a2c"), "two")
    page = elements(first + second + pictures.shared())
    assert not [e for e in page if e.tag in ("style", "metadata", "script") or "style" in e.attrib]
    ids = [e.attrib["id"] for e in page if "id" in e.attrib]
    assert len(ids) == len(set(ids)) > 5
    links = {e.attrib["href"] for e in page if "href" in e.attrib}
    clips = {m for e in page for v in e.attrib.values() for m in re.findall(r"url\((#[^)]*)\)", v)}
    assert clips
    assert links | clips == {f"#{name}" for name in ids}


def test_colours_and_lengths_are_those_of_the_figure():
    text = Pictures().inline(drawn(), "picture")
    marker = [e for e in elements(text) if e.attrib.get("fill") == "#2f6fde"]
    assert marker
    (axis,) = [e for e in elements(text) if e.tag == "svg"]
    assert axis.attrib["width"] == str(round(3 * 72 * 4 / 3))
    assert axis.attrib["aria-label"] == "picture"


def test_glyphs_that_pictures_share_are_there_once():
    pictures = Pictures()
    pictures.inline(drawn(), "one")
    shapes = len(pictures.symbols)
    pictures.inline(drawn(), "two")
    assert len(pictures.symbols) == shapes


def test_shapes_that_pictures_share_have_colours_for_dark_screens_too():
    pictures = Pictures()
    pictures.inline(drawn(), "one")
    own = {e.attrib["stroke"] for e in elements(pictures.shared()) if "stroke" in e.attrib}
    assert "#000000" in own  # marks of an axis
    rules = pictures.style()
    for colour in own:
        assert f'[stroke="{colour}"] {{ stroke: light-dark({colour}, {on_dark(colour)}) }}' in rules


def test_equal_figures_make_equal_pages():
    assert [Pictures().inline(drawn(), "a") for _ in range(2)] == [Pictures().inline(drawn(), "a")] * 2


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '<image href="https://example.org/x.png"/>',
        '<image xlink:href="javascript:alert(1)"/>',
        '<use href="https://example.org/x.svg#a"/>',
        '<path onload="alert(1)" d="M0 0"/>',
        '<g style="fill: url(https://example.org/x)"><path d="M0 0"/></g>',
        '<path fill="url(//example.org/x)" d="M0 0"/>',
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload='alert(1)'/></foreignObject>",
        '<a href="javascript:alert(1)"><path d="M0 0"/></a>',
        "<animate attributeName='href' to='javascript:alert(1)'/>",
        "<style>@import 'https://example.org/x.css'</style>",
        "<text>&lt;script&gt;alert(1)&lt;/script&gt;</text>",
    ],
)
def test_nothing_hostile_is_left(hostile):
    text = Pictures().inline(SVG.format(' onload="alert(1)"', hostile), '"><script>alert(2)</script>')
    page = elements(text)
    assert not {e.tag for e in page} & {"script", "foreignObject", "animate", "style", "a"}
    for element in page:
        assert not [n for n in element.attrib if n.startswith("on")]
        assert "example.org" not in "".join(element.attrib.values())
        assert "javascript" not in "".join(element.attrib.values())


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="svg element"):
        Pictures().inline("<html/>", "no")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_greys_are_inverted():
    assert (on_dark("#000000"), on_dark("#ffffff")) == ("#e6e8ec", "#1a1e25")
    assert luminance(on_dark("#e4e7ec")) < luminance(on_dark("#667085"))


@given(st.integers(0, 0xFFFFFF).map("#{:06x}".format))
def test_what_is_read_on_white_is_read_on_dark(colour):
    dark = on_dark(colour)
    assert re.fullmatch("#[0-9a-f]{6}", dark)
    if contrast(colour, "#ffffff") >= 4.5:  # a colour of text and lines
        assert contrast(dark, on_dark("#ffffff")) >= 3
