"""The page of `moodbench report` in a real browser: it sorts, filters, explains, and runs nothing of anybody else's.

All names in it are hostile: titles, pretext task, class folders and file names try to run scripts.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

import moodbench
from tests.browser import NONE, browser, chromium
from tests.conftest import ARGS
from tests.pages import parsed

PROGRAM = chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=NONE)

SCRIPT = "</script><script>window.hacked=1;alert(1)</script>"
IMAGE = '"><img src=x onerror="window.hacked=1">'
HANDLER = "' onmouseover='window.hacked=1' x='{{7*7}}"
NAMES = ("<img src=x onerror=window.hacked=1>.png", "a&lt;b \" ' `$`.png", "‮gnp.exe.png", "</script><script>hack.png")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory, pictures, checkpoint) -> Path:
    """The report of two models on a benchmark whose names are hostile."""
    home = tmp_path_factory.mktemp("hostile")
    shutil.copytree(pictures, home / "pictures")
    for number, name in enumerate(n.replace("/", "∕") for n in NAMES):  # a file name has no slash
        (home / "pictures" / "ood" / f"{number:02}.png").rename(home / "pictures" / "ood" / name)
    title = {"train": "Train", "test": SCRIPT, "ood": IMAGE}
    model = {"pretext": HANDLER, "timm": "test_vit", "args": ARGS, "checkpoint": str(checkpoint)}
    content = {
        "datasets": {f"h_{k}": {"title": t, "path": str(home / "pictures" / k)} for k, t in title.items()},
        "benchmarks": {
            "h": {"title": f"{SCRIPT}{IMAGE}", "id_train": "h_train", "id_test": "h_test", "ood": {"far": ["h_ood"]}}
        },
        "models": {"one": {"title": SCRIPT, **model}, "two": {"title": IMAGE, **model, "transform": "moodv2"}},
    }
    (home / "catalog.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    space = moodbench.Workspace(home / "data", home / "cache", home / "results", (home / "catalog.yaml",))
    for name in ("one", "two"):
        moodbench.extract(name, benchmark=["h"], workspace=space)
    moodbench.score(score=["msp", "energy", "mahalanobis", "vim"], workspace=space)
    return moodbench.report(out=home / "report.html", workspace=space)


@pytest.fixture(scope="module")
def tab():
    """A tab, shared: each test opens the page anew."""
    with browser(str(PROGRAM)) as page:
        yield page


@pytest.fixture
def page(tab, page_file):
    """The page in a window of a desktop; nothing may have gone wrong in it by the end of the test."""
    tab.forget()
    tab.open(page_file)
    yield tab
    assert tab.errors == []
    assert {*tab.requests} == {page_file.as_uri()}
    assert tab.run("window.hacked") is None


ROWS = "[...document.querySelectorAll('table.grid tbody tr')].filter(r => !r.hidden)"


def column(page, number: int) -> list[str]:
    """Return what stands in a column of the grid, the names in column 0."""
    return page.run(f"{ROWS}.map(r => r.cells[{number}].textContent.trim())")


def data_of(page_file) -> dict:
    return json.loads(parsed(page_file.read_text(encoding="utf-8")).script("b0-data"))


def test_hostile_names_are_shown_and_nothing_else(page, page_file):
    assert parsed(page_file.read_text(encoding="utf-8")).problems() == []
    text = page.run("document.body.innerText")
    assert SCRIPT in text
    assert IMAGE in text
    assert "x='{{7*7}}" in text
    shown = page.run("[...document.querySelectorAll('.shots .file')].map(e => e.textContent)")
    assert {"<img src=x onerror=window.hacked=1>.png", "a&lt;b \" ' `$`.png"} <= {*shown}
    assert "\\u202egnp.exe.png" in shown  # what turns letters round is written out
    page.run(
        "document.querySelectorAll('*').forEach(e => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))"
    )


def test_the_policy_runs_nothing_that_gets_in_all_the_same(tab, page_file):
    tab.forget()
    tab.open(page_file)
    for inside in ('<img src=x onerror="window.hacked=1">', '<p style="color:red" id="styled">x</p>'):
        tab.run(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(inside)})")
    tab.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hacked = 1'}))")
    tab.run("fetch('https://example.org/').catch(() => 0)")
    tab.run("new Promise(done => setTimeout(done, 100))")
    assert tab.run("window.hacked") is None
    assert tab.run("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    assert tab.errors
    assert {*tab.requests} == {page_file.as_uri()}


def test_a_heading_sorts_both_ways(page, page_file):
    data = data_of(page_file)
    assert column(page, 0) == [score["title"] for score in data["scores"]]
    page.run("document.querySelectorAll('table.grid thead button')[1].click()")
    numbers = [float(text) for text in column(page, 1)]
    assert numbers == sorted(numbers, reverse=True)
    assert page.run("document.querySelectorAll('table.grid th')[1].getAttribute('aria-sort')") == "descending"
    page.run("document.querySelectorAll('table.grid thead button')[1].focus()")
    page.press("Enter")
    assert [float(text) for text in column(page, 1)] == sorted(numbers)
    assert page.run("document.querySelectorAll('table.grid th')[1].getAttribute('aria-sort')") == "ascending"
    page.run("document.querySelectorAll('table.grid thead button')[0].click()")
    assert column(page, 0) == sorted(column(page, 0), key=str.lower)
    assert page.run("document.querySelectorAll('th[aria-sort=ascending]').length") == 1


def set_value(page, selector: str, value: str | int) -> None:
    """Choose in a select, or type into a field, as a person does."""
    what = "selectedIndex" if isinstance(value, int) else "value"
    page.run(
        f"{{ const e = document.querySelector({json.dumps(selector)}); e.{what} = {json.dumps(value)};"
        "e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true})) }"
    )


def test_filters_leave_what_matches(page):
    set_value(page, ".find-score", "maha")
    assert column(page, 0) == ["Mahalanobis"]
    assert page.run("document.querySelector('.count').value") == "1 of 4 scores, 2 of 2 models"
    set_value(page, ".find-score", "")
    page.run("document.querySelector('.chip[data-family=probability]').click()")
    assert "MSP" not in column(page, 0)
    assert len(column(page, 0)) == 3
    page.run("document.querySelector('.chip[data-family=probability]').click()")
    set_value(page, ".find-model", "two")
    hidden = "[...document.querySelectorAll('table.grid thead th')].map(h => h.hidden)"
    assert page.run(hidden) == [False, True, False]
    assert page.run("document.querySelector('.count').value") == "4 of 4 scores, 1 of 2 models"
    set_value(page, ".find-score", "nothing of the kind")
    assert column(page, 0) == []


def test_views_and_metrics_show_the_numbers_of_the_results(page, page_file):
    data = data_of(page_file)
    for view in range(len(data["views"])):
        for metric in range(len(data["metrics"])):
            set_value(page, ".view", view)
            set_value(page, ".metric", metric)
            said = [row[1][view][2 + metric] for row in data["cells"]]
            assert column(page, 2) == ["—" if number is None else f"{number / 100:.2f}" for number in said]


def test_what_stands_there_before_any_click_is_what_the_program_writes(page, page_file):
    still = parsed(page_file.read_text(encoding="utf-8"))
    cells = still.found("td", **{"class": "^(q|none)"})
    live = page.run("[...document.querySelectorAll('table.grid td')].map(c => [c.textContent, c.className])")
    assert [[tag.text, tag.attributes["class"]] for tag in cells] == live


def test_intervals_are_told_to_the_mouse_and_to_the_keyboard(page):
    page.hover("table.grid tbody tr:nth-child(2) td:nth-child(3)")
    tip = "document.getElementById('tip')"
    assert re.search(r"AUROC \d+\.\d\d %, 95 % interval \d+\.\d\d to \d+\.\d\d", page.run(f"{tip}.textContent"))
    assert page.run(f"{tip}.hidden") is False
    page.hover("h1")
    assert page.run(f"{tip}.hidden") is True
    page.run("document.querySelector('table.grid thead tr').lastElementChild.querySelector('button').focus()")
    page.press("Tab")  # into the grid: one cell of it is in the order
    place = "[document.activeElement.cellIndex, document.activeElement.parentElement.rowIndex]"
    assert page.run(place) == [1, 1]
    page.press("ArrowDown")
    page.press("ArrowRight")
    assert page.run(place) == [2, 2]
    assert page.run(f"{tip}.hidden") is False
    assert "95 % interval" in page.run(f"{tip}.textContent")
    assert page.run("document.activeElement.getAttribute('aria-describedby')") == "tip"
    page.press("Escape")
    assert page.run(f"{tip}.hidden") is True


def test_a_cell_opens_with_everything_behind_it(page, page_file):
    page.run("document.querySelector('table.grid td[tabindex=\"0\"]').focus()")
    page.press("Enter")
    dialog = "document.getElementById('cell')"
    assert page.run(f"{dialog}.open") is True
    text = page.run(f"{dialog}.innerText")
    data = data_of(page_file)
    assert data["scores"][0]["title"] in text
    for metric in data["metrics"]:
        assert metric["label"] in text
    assert "SHA-256 of the weights" in text
    page.press("Escape")
    assert page.run(f"{dialog}.open") is False
    page.run("document.querySelector('table.grid td').click()")
    page.run(f"{dialog}.querySelector('a').click()")
    assert page.run("document.getElementById('b0-origin-0').open") is True


def test_it_is_readable_on_a_phone_and_in_the_dark(page, page_file):
    for width in (320, 375, 768):
        page.open(page_file, width=width, height=800, dark=True)
        assert page.run("document.documentElement.scrollWidth") == width
        page.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.run("document.querySelector('table.grid td').click()")
        assert page.run("document.documentElement.scrollWidth") == width
    colours = page.run("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    ink, paper = ([int(part) for part in re.findall(r"\d+", colour)][:3] for colour in colours)
    assert min(ink) > 200
    assert max(paper) < 40
    page.run("document.querySelector('.theme').click()")
    assert page.run("getComputedStyle(document.body).backgroundColor") != colours[1]


NARROW = """(() => {
  const seen = (e) => e.checkVisibility() && e.getBoundingClientRect().width > 0;
  const boxes = [...document.querySelectorAll(".scroll, nav")].filter(seen);
  const shown = (b) => b.matches("nav") ? b : b.parentElement;
  const pictures = [...document.querySelectorAll(".plot svg")].filter(seen);
  return {
    unmarked: boxes.filter((b) => b.scrollWidth > b.clientWidth + 2 && !shown(b).matches(".more-right")).length,
    scales: pictures.map((p) => p.getBoundingClientRect().width / p.viewBox.baseVal.width),
    cut: pictures.filter((p) => p.getBoundingClientRect().right > innerWidth).length,
    links: [...document.querySelectorAll("nav a")].map((a) => a.getBoundingClientRect().right),
  };
})()"""


@pytest.mark.parametrize("width", [320, 390])
def test_pictures_fit_a_phone_and_what_scrolls_says_so(page, page_file, width):
    page.open(page_file, width=width, height=844)
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = page.run(NARROW)
    assert (found["unmarked"], found["cut"]) == (0, 0)
    assert len(found["scales"]) > 5
    assert min(found["scales"]) > 1.05  # pixels for a point: letters of 7 points, in which pictures are written
    assert max(found["links"]) <= width


def test_cards_of_a_desktop_end_together(page, page_file):
    bottom = "Math.round(e.lastElementChild.getBoundingClientRect().bottom)"
    ends = page.run(f"[...document.querySelectorAll('.half')].map(e => {bottom})")
    assert len(ends) == 2
    assert ends[0] == ends[1]


def test_it_prints(page):
    done = page.ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
    assert len(done["data"]) > 20_000
