"""The documentation site builds without a warning, has every page, and asks nothing of anybody when it is read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import yaml

from tests.blocks import DOCS, ROOT, blocks, once
from tests.browser import NONE, browser, chromium

pytest.importorskip("material", reason="needs the extra moodbench-ood[site]")

PROGRAM = chromium()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built once for all test processes."""

    def make(folder):
        done = subprocess.run(
            [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
            cwd=ROOT,
            env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-4000:]

    return once(tmp_path_factory, "site", make)


def pages(site):
    return sorted(str(file.relative_to(site)) for file in site.rglob("*.html"))


class Asked(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "embed") and values.get("src"):
            self.found.append(values["src"])
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(values["href"])


def test_every_page_is_there_and_loads_nothing_from_elsewhere(site):
    built = pages(site)
    assert {f"{page.stem}.html" for page in DOCS} <= set(built)
    assert {"api/moodbench.html", "api/detectors.html", "api/metrics.html", "changelog.html"} <= set(built)
    for name in built:
        asked = Asked()
        asked.feed((site / name).read_text(encoding="utf-8"))
        assert [url for url in asked.found if re.match(r"(https?:)?//", url)] == [], name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_formulas_are_typeset(site):
    for page in DOCS:
        text = (site / f"{page.stem}.html").read_text(encoding="utf-8")
        assert text.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == len(
            blocks(page, "math")
        )
        assert "arithmatex" not in text
        assert "merror" not in text


def test_the_reference_names_what_is_public(site):
    import moodbench
    from moodbench.detectors.made import class_names

    text = (site / "api" / "moodbench.html").read_text(encoding="utf-8")
    assert [name for name in moodbench.__all__ if f'id="moodbench.{name}"' not in text] == []
    text = (site / "api" / "detectors.html").read_text(encoding="utf-8")
    assert 'id="moodbench.detectors.ScoreDetector' in text
    links = re.findall(r'href="\.\./scores\.html#([^"]+)"', text)
    scores = (site / "scores.html").read_text(encoding="utf-8")
    assert len(links) == len(list(class_names()))
    assert [link for link in links if f'id="{link}"' not in scores] == []


def test_no_dash_of_the_reference_leads_to_nothing(site):
    for page in (site / "api").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'class="doc-md-description"' in text
        assert not re.search(r"–\s*(<[^>]+>\s*)*</li>", text), page.name


def test_menus_name_every_page_once():
    class Loader(yaml.SafeLoader):
        """Takes what names a Python object for nothing."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    named = re.findall(r"'([\w/-]+\.md)'", str(config["nav"]))
    assert len(named) == len(set(named))
    assert {page.name for page in DOCS} <= set(named), "a new page of docs/ belongs into nav: in mkdocs.yml"


@pytest.fixture(scope="module")
def tab():
    with browser(str(PROGRAM)) as page:
        yield page


@pytest.mark.skipif(PROGRAM is None, reason=NONE)
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen_or_asks_for_anything(site, tab, width):
    for name in pages(site):
        tab.forget()
        tab.open(site / name, width=width, dark=width == 390)
        assert tab.run("document.documentElement.scrollWidth") <= width, name
        assert [url for url in tab.requests if not url.startswith("file:")] == [], name
        flat = "[...document.querySelectorAll('math')].filter(m => m.getBoundingClientRect().height < 5).length"
        assert tab.run(flat) == 0, name


@pytest.mark.skipif(PROGRAM is None, reason=NONE)
def test_the_search_finds_words_without_a_server(site, tab):
    tab.open(site / "api" / "metrics.html")
    found = tab.run("""new Promise(done => {
        const input = document.querySelector('.md-search__input')
        input.focus()
        input.value = 'Benjamini'
        input.dispatchEvent(new KeyboardEvent('keyup', { key: 'i' }))
        const look = () => [...document.querySelectorAll('.md-search-result__item a')].map(a => a.href)
        const timer = setInterval(() => look().length && (clearInterval(timer), done(look())), 100)
        setTimeout(() => done([]), 60000)
    })""")
    assert any("/detect.html" in link for link in found)
