"""Tables as a page: tags that nest, real tables, and names that cannot break out."""

from __future__ import annotations

from html.parser import HTMLParser

from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import per_dataset
from tests.tables import TABLE, awkward, result


class _Page(HTMLParser):
    """Checks that tags nest, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_one_page_with_real_tables():
    text = FORMATS.get("html")([TABLE, TABLE])
    page = _Page()
    page.feed(text)
    assert page.open == []
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("table"), tags.count("thead"), tags.count("html")) == (2, 2, 1)
    scopes = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert [scopes.count(scope) for scope in ("col", "colgroup", "rowgroup", "row", None)] == [10, 8, 4, 4, 0]
    assert not {"script", "link", "img"} & set(tags)  # self-contained
    assert (
        '<tr><th scope="row">MSP</th><td>50.00</td><td>87.50</td>'
        '<td class="edge best"><strong>98.50</strong></td><td class="second"><u>10.00</u></td></tr>'
    ) in text
    assert '<span class="chip probability">probability</span>' in text
    assert "prefers-color-scheme: dark" in text


def test_html_shows_intervals_and_escapes_names():
    name = "<script>alert('x')</script>\" onload="
    text = FORMATS.get("html")([awkward(name), per_dataset([result(name, "msp", 0.5, auroc_low=0.4, auroc_high=0.6)])])
    assert "<script" not in text
    assert '" onload' not in text
    assert "&lt;script&gt;" in text
    assert 'title="40.00 to 60.00"' in text
