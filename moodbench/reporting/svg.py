"""Pictures as SVG inside a page that allows no inline style, in colours for light and dark screens.

The policy of the page (``style-src`` with a hash) forbids ``style`` attributes and style sheets of pictures, which is
how matplotlib writes colours: they become presentation attributes here. What is not known to be harmless is left out.
Glyphs and markers that several pictures share are in the page once.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from xml.etree import ElementTree

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"

_ELEMENTS = frozenset(
    (
        *("svg", "g", "defs", "path", "use", "clipPath", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
        *("linearGradient", "radialGradient", "stop", "pattern", "image", "text", "tspan"),
    )
)
_GEOMETRY = frozenset(
    (
        *("d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "width", "height", "points"),
        *("transform", "viewBox", "offset", "gradientUnits", "gradientTransform", "spreadMethod", "patternUnits"),
        *("patternContentUnits", "patternTransform", "clipPathUnits", "preserveAspectRatio"),
    )
)
_LOOK = frozenset(
    (
        *("fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap"),
        *("stroke-linejoin", "stroke-dasharray", "stroke-dashoffset", "stroke-miterlimit", "opacity", "clip-path"),
        *("clip-rule", "stop-color", "stop-opacity", "font-family", "font-size", "font-weight", "font-style"),
        *("text-anchor", "image-rendering"),
    )
)
_COLOURED = ("fill", "stroke", "stop-color")
_REFERENCE = re.compile(r"url\(['\"]?#([^)'\"]+)['\"]?\)")
_NUMBER = re.compile(r"-?\d+\.\d{4,}")
_DATA_IMAGE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]+")
_HEX = re.compile(r"#[0-9a-f]{6}")


@dataclass
class Pictures:
    """The pictures of one page: what they share, and the colours that they have.

    Attributes
    ----------
    symbols : dict
        Content of a shape that is drawn repeatedly → its id in the page.
    colours : set of str
        ``#rrggbb``.
    """

    symbols: dict[str, str] = field(default_factory=dict)
    colours: set[str] = field(default_factory=set)
    _count: int = 0

    def inline(self, svg: str | bytes, label: str, zoom: float = 1.0) -> str:
        """Return an SVG file as an element for an HTML page, which screen readers call `label`.

        It is shown `zoom` times as large as it says, where there is room for that.

        Raises
        ------
        ValueError
            It is no SVG.
        """
        root = _root(svg)
        self._count += 1
        names = self._named(root)
        self.colours.add("#000000")
        width = _pixels(root.get("width", ""))
        shown = f' width="{round(zoom * width)}"' if width else ""
        box = escape(root.get("viewBox", ""))
        inside = "".join(self._written(child, names) for child in root)
        return (
            f'<svg role="img" aria-label="{escape(label)}" viewBox="{box}"{shown} fill="#000000" '
            f'stroke-linejoin="round">{inside}</svg>'
        )

    @staticmethod
    def size_of(svg: str | bytes) -> tuple[int, int]:
        """Return how wide and high a picture says it is, in pixels; 0 where it says nothing."""
        root = _root(svg)
        return _pixels(root.get("width", "")) or 0, _pixels(root.get("height", "")) or 0

    def shared(self) -> str:
        """Return the shapes that the pictures of the page refer to, as an element that shows nothing."""
        if not self.symbols:
            return ""
        shapes = "".join(content.replace(" ", f' id="{name}" ', 1) for content, name in self.symbols.items())
        return f'<svg class="shared" width="0" height="0" aria-hidden="true"><defs>{shapes}</defs></svg>'

    def style(self) -> str:
        """Return the style sheet that gives every colour its counterpart on dark screens.

        No class stands before the attribute: where a shape is used, it has no ancestors that a selector could name.
        """
        pairs = [(colour, on_dark(colour)) for colour in sorted(self.colours)]
        return "\n".join(
            f'[{name}="{light}"] {{ {name}: light-dark({light}, {dark}) }}'
            for light, dark in pairs
            for name in _COLOURED
        )

    def _named(self, root: ElementTree.Element) -> dict[str, str]:
        """Return the id in the page of everything that is referred to: of shapes that draw alike it is the same."""
        used = dict.fromkeys(reference for element in root.iter() for reference in _references(element))
        names: dict[str, str] = {}
        for definitions in root.iter(f"{_SVG}defs"):
            for element in definitions.findall(f"{_SVG}path"):
                own = element.get("id")
                if own in used:
                    names[own] = self.symbols.setdefault(self._written(element, {}), f"s{len(self.symbols)}")
        local = (name for name in used if name not in names)
        return names | {name: f"p{self._count}-{number}" for number, name in enumerate(local)}

    def _written(self, element: ElementTree.Element, names: dict[str, str]) -> str:
        tag = str(element.tag).removeprefix(_SVG)
        own = element.get("id", "")
        if tag not in _ELEMENTS or (names.get(own, "p").startswith("s")):
            return ""
        attributes = dict(_attributes(element, names))
        if own in names:
            attributes["id"] = names[own]
        for name in _COLOURED:
            if name in attributes:
                attributes[name] = attributes[name].lower()
                if _HEX.fullmatch(attributes[name]):
                    self.colours.add(attributes[name])
        words = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
        inside = escape(element.text or "") if tag in ("text", "tspan") else ""
        for child in element:
            inside += self._written(child, names)
            inside += escape(child.tail or "") if tag in ("text", "tspan") else ""
        if tag in ("g", "defs") and not inside:
            return ""
        return f"<{tag}{words}>{inside}</{tag}>" if inside else f"<{tag}{words} />"


def _root(svg: str | bytes) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    if root.tag != f"{_SVG}svg":
        raise ValueError(f"a picture is an svg element, got {root.tag}")
    return root


def _attributes(element: ElementTree.Element, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name == "style":
            for part in value.split(";"):
                key, colon, said = part.partition(":")
                if colon and key.strip() in _LOOK:
                    yield key.strip(), _renamed(said.strip(), names)
        elif name in (_LINK, "href"):
            if value.startswith("#") and value[1:] in names:
                yield "href", f"#{names[value[1:]]}"
            elif _DATA_IMAGE.fullmatch(value):
                yield "href", "".join(value.split())
        elif name in _LOOK:
            yield name, _renamed(value, names)
        elif name in _GEOMETRY:
            yield name, _short(name, value)


def _short(name: str, value: str) -> str:
    """Return numbers with three decimals: a thousandth of a point is nothing that anybody sees; a scale is not one."""
    words = " ".join(value.split())
    if "scale" in words or (name == "transform" and not words.startswith("translate(")):
        return words
    return _NUMBER.sub(lambda found: f"{float(found[0]):.3f}".rstrip("0").rstrip("."), words)


def _renamed(value: str, names: dict[str, str]) -> str:
    """Return a value that refers to nothing outside the picture."""
    if "url" not in value.lower():
        return value
    found = _REFERENCE.fullmatch(value)
    return f"url(#{names[found[1]]})" if found and found[1] in names else "none"


def _references(element: ElementTree.Element) -> Iterator[str]:
    for name, value in element.attrib.items():
        if name in (_LINK, "href") and value.startswith("#"):
            yield value[1:]
        else:
            yield from _REFERENCE.findall(value)


def _pixels(length: str) -> int | None:
    """Return a length in points or pixels as whole pixels; None where it is neither."""
    found = re.fullmatch(r"([\d.]+)(pt|px|)", length)
    return round(float(found[1]) * (4 / 3 if found[2] == "pt" else 1)) if found else None


def on_dark(colour: str) -> str:
    """Return what a colour that was chosen for white paper is on a dark screen: grey inverted, the rest kept readable.

    Parameters
    ----------
    colour : str
        ``#rrggbb``.
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    if max(red, green, blue) - min(red, green, blue) < 0.16:  # grey: paper, ink, and what is between
        return _hex(ink + (paper - ink) * light for ink, paper in zip(_INK, _PAPER, strict=True))
    if light > 0.72:  # a tint of something, to be filled with
        return _hex(colorsys.hls_to_rgb(hue, 1.06 - light, 0.6 * saturation))
    while _luminance(red, green, blue) < DIMMEST:
        light += 0.02
        red, green, blue = colorsys.hls_to_rgb(hue, light, saturation)
    return _hex((red, green, blue))


DIMMEST = 0.16
"""Luminance of a colour that has three times as much light as the ground of the page has, which lines need."""


def _luminance(*parts: float) -> float:
    """Return the relative luminance of red, green and blue, as the guidelines for accessible pages define it."""
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


_INK = (0xE6 / 255, 0xE8 / 255, 0xEC / 255)
_PAPER = (0x1A / 255, 0x1E / 255, 0x25 / 255)
"""As the style sheet of the page has them."""


def _hex(parts: Iterable[float]) -> str:
    return "#" + "".join(f"{round(255 * min(max(part, 0.0), 1.0)):02x}" for part in parts)
