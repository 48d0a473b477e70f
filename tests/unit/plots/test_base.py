"""What all plots share: files, widths, options that mean nothing, and pictures that stand in one page of HTML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.plots.base import PAPER, PLOTS, SUFFIXES, WIDTHS, check_suffix, inches, inline_svg, picture, plain
from moodbench.plots.given import Given
from moodbench.tables.order import Titles
from tests.plots import drawn, world

KINDS = PLOTS.names()


def named(given=None):
    """Return a world whose names hold what SVG, HTML and matplotlib take for something else."""
    odd = '$a_1$ & <b onload="x"> 100 % é'
    titles = Titles(models={"model00": odd}, scores={"score00": odd}, datasets={"ood00": odd})
    return replace(given or world(1, 1), titles=titles)


@pytest.mark.parametrize(("kind", "format"), [*((kind, "svg") for kind in KINDS), ("roc", "png"), ("heatmap", "pdf")])
def test_equal_inputs_give_equal_bytes(kind, format):
    first, second = (picture(kind, named(world(2, 2)), format) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_never_formulas_or_elements(kind):
    text = picture(kind, named(world(3, 2)), "svg").decode()
    assert "onload" not in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    ET.fromstring(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", ["column", 4.5])
def test_pictures_are_as_wide_as_asked_for(kind, width):
    wide = inches(width, PLOTS.get(kind))
    assert drawn(kind, replace(world(2, 2), width=wide)).get_size_inches()[0] == pytest.approx(wide)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_stand_side_by_side_in_a_page(kind):
    first, second = (inline_svg(kind, world(2, 2), key=key) for key in ("a", "b-2"))
    ids = [set(re.findall(r'\bid="([^"]*)"', text)) for text in (first, second)]
    assert not ids[0] & ids[1]
    for text, known, key in ((first, ids[0], "a"), (second, ids[1], "b-2")):
        root = ET.fromstring(text)
        assert root.get("id") == key
        assert set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', text)) <= {(i, "") for i in known} | {
            ("", i) for i in known
        }
        assert "<style" not in text
        assert "<metadata" not in text
        assert not re.search(r"(src|href)=\"http", text)


@pytest.mark.parametrize("key", ["", "1", "a b", 'a"', "a_b", "é"])
def test_keys_are_plain(key):
    with pytest.raises(ValueError, match="key"):
        inline_svg("distributions", world(1, 1), key=key)


def test_widths_are_names_or_inches():
    plot = PLOTS.get("distributions")
    assert inches(None, plot) == WIDTHS["text"]
    assert inches("column", plot) == WIDTHS["column"]
    assert inches("3.5", plot) == inches(3.5, plot) == 3.5
    for wrong in ("wide", "1", "nan", "inf", "-3", "61", ""):
        with pytest.raises(UsageError, match=f"'{wrong}' wide"):
            inches(wrong, plot)


@pytest.mark.parametrize("kind", KINDS)
def test_options_that_mean_nothing_are_refused(kind):
    names = {"model": "models", "score": "scores", "ood": "oods"}
    for option in PLOTS.get(kind).without:
        given = replace(world(1, 1), **{names[option]: ("x",)})
        with pytest.raises(UsageError, match=f"'plot {kind}' takes no --{option}: it "):
            picture(kind, given, "svg")


def test_suffixes_say_the_format(tmp_path):
    for suffix in (*SUFFIXES, ".PDF"):
        check_suffix(tmp_path / f"a{suffix}")
    for wrong in ("a.gif", "a", ".svg"):
        with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
            check_suffix(tmp_path / wrong)


def test_unknown_kinds_name_the_known_ones():
    with pytest.raises(UnknownNameError, match="distributions"):
        picture("distribution", world(1, 1), "svg")


def test_letters_on_paper_are_readable():
    assert (
        min(value for name, value in PAPER.items() if name.endswith(("size", "titlesize")) and "ajor" not in name) >= 6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_without_results_there_is_nothing_to_draw(kind):
    with pytest.raises(ResultsError):
        picture(kind, Given([]), "svg")


def test_plain_text_is_one_line_without_formulas():
    assert plain("a\n $x$  b") == r"a \$x\$ b"
