"""An HTML page taken apart by the standard library's parser, and what must not be in it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "path", "use", "rect", "line", "circle", "hr"}
RUNNABLE = {"iframe", "object", "embed", "base", "form", "frame", "applet", "animate", "foreignobject"}


@dataclass
class Tag:
    """An element: its name, attributes, and the text inside, that of its children included."""

    name: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Parsed(HTMLParser):
    """All elements, in the order in which they begin."""

    tags: list[Tag] = field(default_factory=list)
    open: list[Tag] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that begins."""
        self.tags.append(Tag(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(self.tags[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that ends where it begins."""
        self.tags.append(Tag(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close an element; they close in the order in which they were opened."""
        assert self.open[-1].name == tag, f"{tag} closes {self.open[-1]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        """Note text."""
        for one in self.open:
            one.text += data

    def found(self, name: str, **attributes: str | re.Pattern[str]) -> list[Tag]:
        """Return the elements of a name whose attributes are as said."""

        def fits(tag: Tag) -> bool:
            return tag.name == name and all(
                re.search(wanted, tag.attributes.get(key, "")) for key, wanted in attributes.items()
            )

        return [tag for tag in self.tags if fits(tag)]

    def script(self, name: str) -> str:
        """Return the text of the script with an id."""
        (one,) = self.found("script", id=f"^{re.escape(name)}$")
        return one.text

    def problems(self) -> list[str]:
        """Return what a page that runs and fetches nothing of others must not have."""
        found = [f"<{tag.name}>" for tag in self.tags if tag.name in RUNNABLE]
        for tag in self.tags:
            for key, value in tag.attributes.items():
                if key.startswith("on") or key == "style":
                    found.append(f"{tag.name} {key}={value[:40]}")
                if key in ("src", "href", "action", "srcset") and not re.match(
                    r"(#|data:(image/(png|jpeg);base64,|,$))", value
                ):
                    found.append(f"{tag.name} {key}={value[:40]}")
        ids = [tag.attributes["id"] for tag in self.tags if "id" in tag.attributes]
        found += [f"id {name} twice" for name in {*ids} if ids.count(name) > 1]
        (policy,) = self.found("meta", **{"http-equiv": "Content-Security-Policy"})
        for kind in ("script", "style"):
            for tag in self.found(kind):
                digest = base64.b64encode(hashlib.sha256(tag.text.encode()).digest()).decode()
                if tag.attributes.get("type") != "application/json" and digest not in policy.attributes["content"]:
                    found.append(f"a {kind} that the policy does not name")
        if "default-src 'none'" not in policy.attributes["content"] or "unsafe" in policy.attributes["content"]:
            found.append("a policy that lets things in")
        return found


def parsed(html: str) -> Parsed:
    """Return a page taken apart; what is open at its end is a fault."""
    page = Parsed()
    page.feed(html)
    page.close()
    assert not page.open
    return page
