"""``moodbench report --leaderboard``: the page of what people shared, its places, what it leaves out, in a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.reporting.places import Cell, ranked
from moodbench.results import read_provenance, read_results, write_results
from tests.browser import NONE, browser, chromium
from tests.commands import call
from tests.hub_server import hub
from tests.pages import parsed
from tests.runs import put, rows_of
from tests.sharing import SHARED_BY, push, pushed, refused, workspace

PROGRAM = chromium()
SCRIPT = "</script><script>window.hacked=1</script>"
IMAGE = '"><img/src=x/onerror="window.hacked=1">'
OTHER = {name: f"other {name}" for name in ("train", "test", "near", "far", "sea")}


def share(home: Path, submitter: str, *scores: str, auroc: float = 0.9, model: str = "vit", **more) -> None:
    """Share results with an interval around every AUROC."""
    row = {"auroc_low": auroc - 0.02, "auroc_high": auroc + 0.02, **more.pop("row", {})}
    place = home / f"{submitter}-{model}-{'-'.join(scores)}-{auroc}"
    pushed(workspace(place, *scores, auroc=auroc, model=model, row=row, **more), home / "lab", submitter)


def page_of(home: Path, *options: str):
    """Return the page, taken apart, and its text."""
    done = call("report", "--leaderboard", home / "lab", "--out", home / "lb.html", *options)
    assert (done.exit_code, done.stderr.startswith(f"wrote {home / 'lb.html'}")) == (0, True), done.stderr
    found = parsed((home / "lb.html").read_text(encoding="utf-8"))
    assert found.problems() == []
    return found


def lines(page) -> list[list[str]]:
    """Return the rows of the leaderboards: what stands in their cells."""
    rows = [tag for tag in page.tags if tag.name in ("tr", "td", "th")]
    found: list[list[str]] = []
    for tag in rows:
        if tag.name == "tr":
            found.append([])
        else:
            found[-1].append(" ".join(tag.text.split()))
    return [one for one in found if len(one) == 10 and one[0] != "#"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestPage:
    def test_entries_are_ranked_and_those_not_told_apart_share_places(self, home):
        share(home, "ann", "msp", auroc=0.9)
        share(home, "ann", "vim", auroc=0.93)
        share(home, "ben", "knn", auroc=0.8, row={"id_accuracy": 0.75})
        found = lines(page_of(home))
        assert [line[:3] for line in found] == [
            ["1–2", "VIM ViT", "93.00"],
            ["1–2", "MSP ViT", "90.00"],
            ["3", "KNN ViT", "80.00"],
        ]
        assert found[2][4:9] == ["25.00", "75.00", "classification", "ImageNet-1k; no further labels", "ben"]

    def test_the_answer_says_how_many_may_be_as_good(self, home):
        share(home, "ann", "msp", auroc=0.9)
        share(home, "ann", "vim", auroc=0.93)
        (title,) = page_of(home).found("h1")
        assert title.text == "VIM on ViT, 93.00"
        (lead,) = page_of(home).found("p", **{"class": "lead"})
        assert lead.text == "1 other entry is not told apart from it: the intervals overlap."

    def test_equal_submissions_give_equal_bytes(self, home):
        share(home, "ann", "msp")
        page_of(home)
        first = (home / "lb.html").read_bytes()
        page_of(home)
        assert (home / "lb.html").read_bytes() == first

    def test_a_link_leads_to_what_an_entry_was_made_from(self, home):
        share(home, "ann", "msp")
        found = page_of(home)
        (link,) = [tag for tag in found.found("a") if "origin" in tag.attributes["href"]]
        (origin,) = found.found("details", id=f"^{link.attributes['href'][1:]}$")
        for said in ("ViT, by ann", "submitted by", "signature of inputs", "digest of near"[:12]):
            assert said in origin.text

    def test_a_replication_is_said_with_both_numbers(self, home):
        share(home, "ann", "msp", auroc=0.9)
        datasets = {
            name: {
                "contents": digest,
                "rows": 3,
                "skipped": 0,
                "provenance": {"model": {"weights_sha256": "w"}, "images": {"fingerprint": f"list of {name}"}},
            }
            for name, digest in OTHER.items()
        }
        share(home, "ben", "msp", auroc=0.91, contents=OTHER, datasets=datasets)
        again = {name: {**entry, "contents": f"third {name}"} for name, entry in datasets.items()}
        contents = {name: entry["contents"] for name, entry in again.items()}
        share(home, "cyd", "msp", auroc=0.912, contents=contents, datasets=again)
        found = page_of(home)
        titles = [tag.attributes.get("title", "") for tag in found.found("th", scope="^row$", **{"class": "name"})]
        assert titles[:3] == ["the same recipe: 91.00 by ben", "the same recipe: 91.20 by cyd", ""]

    def test_what_was_tested_on_other_images_has_a_board_of_its_own(self, home):
        share(home, "ann", "msp")
        few = {name: {"contents": digest, "rows": 2, "skipped": 0} for name, digest in OTHER.items()}
        share(home, "ben", "msp", auroc=0.95, contents=OTHER, datasets=few)
        found = page_of(home)
        labels = [tag.text for tag in found.found("bdi") if tag.text.startswith("b (")]
        assert len({*labels}) == 2
        assert all(" test images)" in label for label in labels)
        assert [line[0] for line in lines(found)] == ["1", "1"]

    def test_two_boards_of_as_many_images_are_numbered(self, home):
        share(home, "ann", "msp")
        for who, far, near in (("ben", 2, 4), ("cyd", 4, 2)):
            sizes = {"far": far, "near": near}
            datasets = {name: {"contents": f"{who} {name}", "rows": sizes.get(name, 3), "skipped": 0} for name in OTHER}
            contents = {name: entry["contents"] for name, entry in datasets.items()}
            share(home, who, "msp", auroc=0.95, contents=contents, datasets=datasets)
        labels = [tag.text for tag in page_of(home).found("bdi") if tag.text.startswith("b (")]
        assert len({*labels}) == len(labels) == 3

    def test_a_headline_of_trial_runs_says_so(self, home):
        share(home, "ann", "msp", auroc=0.9, row={"remarks": ("trial: --limit 5",)})
        (lead,) = page_of(home).found("p", **{"class": "lead"})
        assert lead.text == "All are trial runs, on a part of the images (--limit)."
        share(home, "ann", "vim", auroc=0.8)
        (lead,) = page_of(home).found("p", **{"class": "lead"})
        assert lead.text.startswith(
            "This is a trial run, on a part of the images (--limit). The intervals of all others"
        )

    def test_what_lies_below_the_axis_has_a_sign_and_no_place_on_it(self, home):
        for number in range(18):
            share(home, "ann", f"s{number}", auroc=0.97 - number / 100)
        share(home, "ann", "random", auroc=0.5, row={"control": True})
        found = page_of(home).found("svg", **{"class": "interval"})
        below = [tag for tag in found if "below" in tag.attributes["class"].split()]
        assert (len(found), len(below)) == (19, 2)  # the axis begins at 83 - 2: 80 lies below it, and the control

    def test_controls_take_no_place(self, home):
        share(home, "ann", "msp", auroc=0.6)
        share(home, "ann", "random", auroc=0.7, row={"control": True})
        assert [line[:2] for line in lines(page_of(home))] == [["1", "MSP ViT"], ["", "RANDOM ViT · control"]]

    def test_without_a_mean_there_is_no_place(self, home):
        share(home, "ann", "msp")
        rows = [one for one in rows_of(scores=("vim",)) if one.ood == "far"]
        put(home / "ben" / "results", rows)
        pushed(home / "ben", home / "lab", "ben")
        assert [line[:3] for line in lines(page_of(home))] == [["1", "MSP ViT", "90.00"], ["", "VIM ViT", "—"]]

    def test_one_benchmark_is_chosen_and_others_refused(self, home):
        share(home, "ann", "msp")
        page_of(home, "--benchmark", "b")
        done = call("report", "--leaderboard", home / "lab", "--benchmark", "c", "--out", home / "x.html")
        assert (done.exit_code, (home / "x.html").exists()) == (2, False)

    def test_nothing_shared_and_no_folder(self, home):
        refused(call("report", "--leaderboard", home / "none"))
        (home / "lab").mkdir()
        assert "no shared results" in refused(call("report", "--leaderboard", home / "lab"))
        assert call("report", "--leaderboard", home / "lab", "--out", "lb.png").exit_code == 2

    def test_by_default_it_is_called_leaderboard(self, home):
        share(home, "ann", "msp")
        assert call("report", "--leaderboard", "lab").exit_code == 0
        assert (home / "leaderboard.html").exists()


class TestLeftOut:
    def test_contradictions_that_were_written_by_hand_are_named_on_both_sides(self, home):
        share(home, "ann", "msp")
        share(home, "ben", "vim")
        place = home / "lab" / SHARED_BY
        noted = read_provenance(place / "ann.csv")
        noted["submission"]["submitter"] = "eve"
        rows = [replace(row, auroc=0.91) for row in read_results(place / "ann.csv")]
        write_results(place / "eve.csv", rows, noted)
        found = page_of(home)
        assert [line[1] for line in lines(found)] == ["VIM ViT"]
        (out,) = found.found("section", id="^left-out$")
        assert out.text.count("msp on far: auroc is 0.9 from 'ann', 0.91 from 'eve'") == 2
        assert all(f"{SHARED_BY}/{name}.csv" in out.text for name in ("ann", "eve"))

    def test_cut_and_foreign_files_are_named(self, home):
        share(home, "ann", "msp")
        place = home / "lab" / SHARED_BY
        (place / "cut.csv").write_bytes((place / "ann.csv").read_bytes()[:-90])
        (place / "cut.json").write_bytes((place / "ann.json").read_bytes())
        (place / "alone.csv").write_text("a,b\n")
        (out,) = page_of(home).found("section", id="^left-out$")
        assert f"{SHARED_BY}/cut.csv" in out.text
        assert f"{SHARED_BY}/alone.csv" in out.text
        assert "ann.csv" not in out.text

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("inputs", "benchmark", "ood"), []),
            (("inputs", "benchmark", "id_test"), "test"),
            (("inputs", "contents"), ["near"]),
            (("datasets",), [1]),
            (("datasets", "near"), 3),
            (("datasets", "near", "rows"), "many"),
            (("submission", "model"), {"title": 3}),
            (("submission", "titles"), None),
            (("submission", "time"), 5),
            (("submission", "signature"), {"inputs": "x", "recipe": "y"}),
        ],
        ids=str,
    )
    def test_a_provenance_of_another_shape_is_no_submission(self, home, path, value):
        share(home, "ann", "msp")
        share(home, "ben", "vim")
        file = home / "lab" / SHARED_BY / "ann.csv"
        noted = read_provenance(file)
        inner = noted
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        write_results(file, read_results(file), noted)
        found = page_of(home)
        assert "this is no submission" in found.found("section", id="^left-out$")[0].text
        assert [line[1] for line in lines(found)] == ["VIM ViT"]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.booleans()), max_size=12))
def test_places_are_those_of_a_plain_count(drawn):
    cells = [Cell(low / 100, low / 100, (low + wide) / 100, None, None, None) for low, wide, _ in drawn]
    competing = [competes for _, _, competes in drawn]
    for cell, competes, found in zip(cells, competing, ranked(cells, competing), strict=True):
        rivals = [one for one, its in zip(cells, competing, strict=True) if its]
        above = sum(one.low > cell.high for one in rivals)
        below = sum(one.high < cell.low for one in rivals)
        assert (found.first, found.last) == ((1 + above, len(rivals) - below) if competes else (None, None))


def test_from_the_hub(home):
    share(home, "ann", "msp")
    with hub() as server:
        files = {str(f.relative_to(home / "lab")): f.read_bytes() for f in (home / "lab").rglob("*") if f.is_file()}
        server.make("lab/results", files)
        words = [sys.executable, "-m", "moodbench", "report", "--leaderboard", "hf:lab/results"]
        own = {"HF_ENDPOINT": server.url, "HF_HOME": str(home / "hf"), "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **own})
    assert done.returncode == 0, done.stderr
    assert "MSP" in (home / "leaderboard.html").read_text()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A leaderboard on which every text tries to run something."""
    home = tmp_path_factory.mktemp("hostile")
    scores = {"msp": {"title": SCRIPT, "paper": IMAGE, "year": 2020}}
    rows = [replace(row, pretext=IMAGE) for row in rows_of(auroc=0.9, scores=("msp",), note=SCRIPT, remarks=(IMAGE,))]
    for name, auroc in (("ann", 0.9), ("ben", 0.7)):
        low, high = auroc - 0.01, auroc + 0.01
        mine = [replace(r, auroc=auroc, auroc_low=low, auroc_high=high) for r in rows]
        contents = {key: f"{name} {key}" for key in OTHER}
        put(home / name / "results", mine, scores=scores, intervals=IMAGE, contents=contents)
        pushed(home / name, home / "lab", name)
    noted = read_provenance(home / "lab" / SHARED_BY / "ben.csv")
    noted["submission"] |= {"time": IMAGE, "moodbench": SCRIPT, "titles": {"b": SCRIPT, "far": IMAGE}}
    noted["submission"]["model"] = {"title": IMAGE, "data": SCRIPT, "labels_seen": IMAGE}
    file = home / "lab" / SHARED_BY / "ben.csv"
    write_results(file, read_results(file), noted)
    bad = file.with_name(f"{IMAGE.replace('/', '∕')}.csv")
    bad.write_text(SCRIPT)
    page_of(home)
    return home / "lb.html"


@pytest.fixture(scope="module")
def tab():
    """A tab, shared: each test opens the page anew."""
    with browser(str(PROGRAM)) as page:
        yield page


@pytest.mark.skipif(PROGRAM is None, reason=NONE)
class TestBrowser:
    @pytest.fixture(params=[1280, 390])
    def page(self, tab, hostile, request):
        tab.forget()
        tab.open(hostile, width=request.param)
        yield tab
        assert tab.errors == []
        assert {*tab.requests} == {hostile.as_uri()}
        assert tab.run("window.hacked") is None

    SHOWN = "[...document.querySelectorAll('.board tbody tr')].filter(r => !r.hidden)"

    def test_hostile_texts_are_texts(self, page):
        text = page.run("document.body.innerText")
        assert SCRIPT in text
        assert IMAGE in text
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        everything = (
            "document.querySelectorAll('*').forEach(e => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: 1})))"
        )
        page.run(everything)

    def test_it_filters(self, page):
        def choose(name: str, value: str) -> int:
            element = f"document.querySelector('.controls .{name}')"
            page.run(f"{{ const e = {element}; e.value = {json.dumps(value)}; e.dispatchEvent(new Event('input')) }}")
            return page.run(f"{self.SHOWN}.length")

        assert choose("find", "") == 2
        assert choose("by", "ben") == 1
        assert choose("by", "") == 2
        assert choose("find", "ann") == 1
        assert choose("find", "nobody") == 0
        assert page.run("document.querySelector('.controls .count').value") == "0 of 2 entries"
        choose("find", "")
        page.run(
            "{ const e = document.querySelector('.top-only'); e.checked = true; e.dispatchEvent(new Event('input')) }"
        )
        assert page.run(f"{self.SHOWN}.map(r => r.dataset.by)") == ["ann"]

    def test_it_sorts_and_turns_to_another_dataset(self, page):
        by = f"{self.SHOWN}.map(r => r.dataset.by)"
        assert page.run(by) == ["ann", "ben"]
        page.run("document.querySelectorAll('.board thead button')[2].click()")  # best first
        page.run("document.querySelectorAll('.board thead button')[2].click()")
        assert page.run(by) == ["ben", "ann"]
        page.run(
            "{ const e = document.querySelector('.view'); e.selectedIndex = 2; e.dispatchEvent(new Event('change')) }"
        )
        assert page.run(by) == ["ann", "ben"]
        first = f"[...{self.SHOWN}[0].cells].map(c => c.textContent.trim())"
        assert page.run(first)[2] == "90.00"
        assert page.run("document.querySelector('.board tbody .bar').dataset.tip") == "89.00 to 91.00"

    def test_the_date_opens_what_an_entry_was_made_from(self, page):
        page.run(f"{self.SHOWN}[0].querySelector('a').click()")
        page.run("new Promise(done => setTimeout(done, 50))")
        assert page.run("document.querySelector(decodeURIComponent(location.hash)).open")
        page.run("history.replaceState(null, '', location.pathname)")


def test_a_name_that_is_html_is_no_submitter(home):
    assert push(workspace(home / "ann"), home / "lab", "<b>x").exit_code == 2
